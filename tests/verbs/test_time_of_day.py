"""A detector to which the time of day counts is told when videos begin, in training and in scoring."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from anomaly.fanout import one_by_one
from anomaly.scores.tables import read_scores
from anomaly.storage import open_root
from anomaly.verbs.bags import clock_of
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec


def raw_scores(clips, place, begin):
    """Learn two videos of 22 and 23 o'clock, and score a third that begins at `begin`."""
    names = ["20260105_220000", "20260105_230000", f"20260106_{begin}"]
    folder = place / "site"
    folder.mkdir(parents=True)
    for clip, name in zip(clips, names, strict=False):
        shutil.copy(clip, folder / f"gate-{name}.mp4")
    archive = ArchiveSpec(root=str(folder), pattern=r"(?P<camera>\w+)-(?P<time>\d+_\d+)\.mp4")
    request = TrainRequest(
        detector="same_place",
        detector_parameters={"hours": 1.0},
        videos=tuple(f"gate-{name}.mp4" for name in names[:2]),
        into="mine",
    )
    root = str(place / "root")
    train(root, archive, request, fan_out=one_by_one)
    score(root, archive, videos=[f"gate-{names[2]}.mp4"], fan_out=one_by_one)
    return np.array(read_scores(open_root(root), "site", "mine")["raw"].to_pylist())


def test_what_is_usual_at_night_is_stranger_at_noon(clips, tmp_path):
    night = raw_scores(clips, tmp_path / "night", "223000")
    noon = raw_scores(clips, tmp_path / "noon", "120000")
    assert (noon >= night).all()
    assert noon.max() > night.max() + 0.2


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        (None, None),
        (datetime(2026, 1, 5, 6, 30, tzinfo=UTC), 6.5),
        (datetime(2026, 1, 5, 1, 0, tzinfo=timezone(timedelta(hours=2))), 23.0),
    ],
)
def test_the_clock_is_that_of_utc(start, hours):
    assert clock_of(start) == hours
