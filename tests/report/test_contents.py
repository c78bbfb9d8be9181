"""Gathering a report's contents from the tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.report.contents import gather, thin


def test_events_come_by_score_with_camera_and_local_time(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="Asia/Kolkata")
    scores = [event.row["score"] for event in contents.events]
    assert scores == sorted(scores, reverse=True)
    assert [event.rank for event in contents.events] == [1, 2, 3]
    assert contents.cameras == ("entrance", "loading-dock")
    assert contents.videos == 3
    assert contents.hours * 3600 == 42
    first = contents.events[0].local_start
    assert first is not None
    assert first.utcoffset() is not None
    assert str(first.tzinfo) == "Asia/Kolkata"


def test_fewer_events_can_be_shown_than_there_are(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="UTC", max_events=1)
    assert (len(contents.events), contents.events_in_all, len(contents.timelines)) == (1, 3, 1)


def test_another_archive_or_checkpoint_shows_nothing_of_this_one(scanned: Any) -> None:
    for archive, checkpoint in (("other", "knn-1"), ("site & co", "knn-2")):
        contents = gather(scanned.root, archive, checkpoint, time_zone="UTC")
        assert (contents.events, contents.videos, contents.evaluations) == ((), 0, ())


scores = hnp.arrays(
    np.float64, st.integers(1, 200), elements=st.one_of(st.floats(-5, 50), st.just(np.nan))
)


@given(scores, st.integers(1, 60))
def test_thinning_a_timeline_loses_neither_the_highest_nor_the_lowest_score(
    score_T: np.ndarray, bins: int
) -> None:
    lowest_K, highest_K = thin(np.arange(len(score_T)) / 10, score_T, bins)
    assert lowest_K.shape == highest_K.shape == (bins,)
    known = score_T[~np.isnan(score_T)]
    if not len(known):
        assert np.isnan(highest_K).all()
        return
    assert np.nanmax(highest_K) == known.max()
    assert np.nanmin(lowest_K) == known.min()
    assert np.array_equal(np.isnan(lowest_K), np.isnan(highest_K))


def test_a_stretch_without_scores_stays_empty() -> None:
    score_T = np.ones(100)
    score_T[40:60] = np.nan
    _, highest_K = thin(np.arange(100) / 25, score_T, 10)
    assert np.isnan(highest_K).tolist() == [False] * 4 + [True] * 2 + [False] * 4
