"""The predictor foresees what it has learnt, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.errors import StoreError
from anomaly.features import FeatureSpec, vector_block
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def wave(seed, n_rows=400, period=12.0):
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(n_rows) / period + generator.random())
    values = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return values + generator.normal(0, 0.02, values.shape)


def bag(values, video="v"):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values.astype(np.float32))
    return Bag(video, "c", {"features": MemorySource(block)})


def fit(bags, validation=(), seed=0, **parameters):
    detector = detectors().get("predictor").build(parameters, {"features": RECIPE})
    context = FitContext(np.random.default_rng(seed))
    return detector.fit(bags, validation=list(validation), context=context)


def scores(detector, values):
    blocks = list(detector.score(bag(values)))
    rows = np.concatenate([block.rows_NL[:, 0] for block in blocks])
    return rows, np.concatenate([block.scores_NL[:, 0] for block in blocks])


@pytest.fixture(scope="module")
def detector():
    training = {"epochs": 15, "learning_rate": 5e-3}
    return fit([bag(wave(seed)) for seed in range(3)], [bag(wave(9))], training=training)


def test_rows_that_follow_the_learnt_course_are_foreseen_better_than_by_staying_put(detector):
    values = wave(20)
    rows, errors = scores(detector, values)
    step = np.linalg.norm(np.diff(values, axis=0), axis=1)[rows - 1]
    assert np.median(errors) < np.median(step) / 3


def test_a_course_that_was_never_seen_scores_higher(detector):
    _, normal = scores(detector, wave(20))
    _, backwards = scores(detector, wave(20)[::-1])
    _, faster = scores(detector, wave(20, period=5.0))
    assert np.quantile(backwards, 0.1) > np.quantile(normal, 0.99)
    assert np.quantile(faster, 0.1) > np.quantile(normal, 0.99)


def test_scores_are_for_the_rows_after_the_first_window(detector):
    rows, _ = scores(detector, wave(20, 100))
    assert rows.tolist() == list(range(8, 100))
    assert detector.support_rows == 8


def test_a_video_shorter_than_a_window_gets_one_finite_score(detector):
    rows, errors = scores(detector, wave(20, 3))
    assert rows.tolist() == [2]
    assert np.isfinite(errors).all()


def test_videos_that_are_all_shorter_than_a_window_cannot_be_learnt_from():
    with pytest.raises(StoreError, match="none of 1 training videos has 9 usable rows"):
        fit([bag(wave(0, 8))])
