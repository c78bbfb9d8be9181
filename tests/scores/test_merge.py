from __future__ import annotations

import numpy as np
import pytest

from anomaly.detectors import WindowScores
from anomaly.errors import StoreError
from anomaly.scores.merge import RowScores, merge, to_frames


def windows(scores: list[list[float]], rows: list[list[int]], cells=None) -> WindowScores:
    return WindowScores(
        np.array(scores, dtype=np.float64), np.array(rows, dtype=np.int64), cells
    )


def video(raw: list[float], index: list[int], n_frames: int, stride: int = 1) -> RowScores:
    index_R = np.array(index, dtype=np.int64)
    return RowScores(np.array(raw, dtype=np.float64), index_R, index_R / 10, n_frames, stride)


def test_a_row_seen_by_two_windows_gets_their_mean() -> None:
    row_scores, places, _ = merge(iter([windows([[1, 2], [4, 6]], [[0, 1], [1, 2]])]), 4)
    np.testing.assert_array_equal(row_scores, [1, 3, 6, np.nan])
    assert places is None


def test_the_maximum_can_be_taken_instead() -> None:
    row_scores, *_ = merge(iter([windows([[1, 2], [4, 6]], [[0, 1], [1, 2]])]), 4, reduce="max")
    np.testing.assert_array_equal(row_scores, [1, 4, 6, np.nan])


def test_the_place_of_a_row_is_its_most_anomalous_cell() -> None:
    cells = (
        np.array([0, 0, 2], dtype=np.int64),
        np.array([[1, 1], [3, 4], [5, 6]], dtype=np.int16),
        np.array([0.2, 0.9, 0.1]),
    )
    later = (np.array([2]), np.array([[7, 8]], dtype=np.int16), np.array([0.05]))
    blocks = [
        windows([[0.9], [0], [0.1]], [[0], [1], [2]], cells),
        windows([[1]], [[3]], later),
    ]
    _, places, _ = merge(iter(blocks), 4)
    assert places is not None
    np.testing.assert_array_equal(places, [[3, 4], [-1, -1], [5, 6], [-1, -1]])


def test_a_block_without_any_active_cell_is_no_trouble() -> None:
    none = (np.zeros(0, np.int64), np.zeros((0, 2), np.int16), np.zeros(0))
    _, places, _ = merge(iter([windows([[0]], [[0]], none)]), 1)
    assert places is not None
    assert places.tolist() == [[-1, -1]]


def test_a_row_outside_the_video_is_refused() -> None:
    with pytest.raises(StoreError, match="rows 0 to 5 of a video of 3 rows"):
        merge(iter([windows([[1, 2]], [[0, 5]])]), 3)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(StoreError, match="row 1 the score nan"):
        merge(iter([windows([[1, np.nan]], [[0, 1]])]), 3)


def test_a_hole_in_the_video_has_no_score_but_a_time() -> None:
    rows = video([1, 2, 5], [0, 1, 4], 6)
    frames = to_frames(rows, rows.raw_R * 10)
    np.testing.assert_array_equal(frames.raw_T, [1, 2, np.nan, np.nan, 5, np.nan])
    np.testing.assert_array_equal(frames.score_T, [10, 20, np.nan, np.nan, 50, np.nan])
    assert frames.covered_T.tolist() == [True, True, False, False, True, False]
    np.testing.assert_allclose(frames.seconds_T, np.arange(6) / 10)


def test_frames_that_the_stride_skips_take_the_nearest_row_and_count_as_covered() -> None:
    rows = video([1, 2], [0, 4], 7, stride=4)
    frames = to_frames(rows, rows.raw_R)
    assert frames.raw_T.tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert frames.covered_T.all()


def test_a_row_lost_under_a_stride_leaves_a_hole_where_no_row_is_near() -> None:
    rows = video([1, 2], [0, 12], 13, stride=4)
    frames = to_frames(rows, rows.raw_R)
    assert np.flatnonzero(np.isnan(frames.score_T)).tolist() == [4, 5, 6, 7, 8]


def test_an_unmeasured_row_borrows_from_the_nearest_and_is_not_covered() -> None:
    rows = video([np.nan, np.nan, 3, 4], [0, 1, 2, 3], 4)
    frames = to_frames(rows, rows.raw_R + 1)
    assert frames.score_T.tolist() == [4, 4, 4, 5]
    assert frames.covered_T.tolist() == [False, False, True, True]


def test_a_video_too_short_for_any_window_scores_zero_and_is_not_covered() -> None:
    rows = video([np.nan], [0], 1)
    frames = to_frames(rows, rows.raw_R)
    assert frames.score_T.tolist() == [0.0]
    assert np.isnan(frames.raw_T).all()
    assert not frames.covered_T.any()


def test_a_video_without_any_decoded_frame_has_no_score_at_all() -> None:
    frames = to_frames(video([], [], 3), np.zeros(0))
    assert np.isnan(frames.score_T).all()
    assert len(frames) == 3


def test_a_row_beyond_the_end_of_the_video_is_refused() -> None:
    with pytest.raises(StoreError, match="frame 9"):
        video([1], [9], 5)


def test_a_row_is_told_the_part_of_its_highest_window_however_windows_are_cut() -> None:
    scores_NL = np.array([[1.0, 5.0], [4.0, 3.0]])
    rows_NL = np.array([[0, 1], [1, 2]])
    block = WindowScores(scores_NL, rows_NL, part_N=np.array([1, 0], np.int8))
    pieces = [
        WindowScores(scores_NL[n : n + 1], rows_NL[n : n + 1], part_N=block.part_N[n : n + 1])
        for n in (0, 1)
    ]
    for stream in ([block], pieces):
        assert merge(iter(stream), 4).part_R.tolist() == [1, 1, 0, 0]
    assert merge(iter([windows([[0]], [[0]])]), 1).part_R is None
