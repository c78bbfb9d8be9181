"""The protocol keeps what is learnt from apart from what is judged."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.datasets.labels import ABNORMAL, IGNORED
from tests.benchmarks.detector.corruptions import CORRUPTIONS
from tests.benchmarks.detector.protocol import learnt_ranges, trials

pytestmark = pytest.mark.data


def learnt(clip):
    index_T = np.arange(len(clip.labels_T))
    learnt_T = np.zeros(len(index_T), bool)
    for start, stop in learnt_ranges(clip, index_T, index_T / 25):
        learnt_T[start:stop] = True
    return learnt_T


def test_no_frame_is_learnt_from_and_judged_in_one_fold(shared_data):
    for trial in trials(shared_data):
        for fold in trial.folds:
            judged = {clip.path: clip.labels_T != IGNORED for clip in fold.test}
            for clip in fold.train:
                if clip.path in judged:
                    assert not (learnt(clip) & judged[clip.path]).any(), trial.name


def test_no_abnormal_frame_is_learnt_from_unless_the_trial_says_so(shared_data):
    for trial in trials(shared_data):
        spoilt = sum(
            int((learnt(clip) & (clip.truth.labels_T == ABNORMAL)).sum())
            for fold in trial.folds
            for clip in fold.train
        )
        assert bool(spoilt) == ("abnormal" in trial.name), trial.name


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_the_shape_of_pictures_and_changes_them(name):
    frames = np.random.default_rng(0).integers(0, 255, (6, 48, 64), dtype=np.uint8)
    changed = CORRUPTIONS[name](frames, np.arange(6) / 25, np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert changed.shape[1:] == frames.shape[1:]
    assert len(changed) == (3 if name == "half frame rate" else 6)
    assert name == "half frame rate" or not np.array_equal(changed, frames)
