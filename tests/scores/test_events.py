from __future__ import annotations

from dataclasses import replace

import numpy as np

from anomaly.scores import FrameScores, Part, ScoreSpec
from anomaly.scores.events import find_events

SPEC = ScoreSpec(low_ratio=0.5, merge_gap_seconds=0.3, minimum_seconds=0.2)


def at_ten_frames_a_second(score: list[float], place=None) -> FrameScores:
    score_T = np.array(score, dtype=np.float64)
    seconds_T = np.arange(len(score_T)) / 10
    return FrameScores(score_T, score_T.copy(), ~np.isnan(score_T), seconds_T, place)


def spans(score: list[float], threshold: float = 4.0) -> list[tuple[int, int]]:
    events = find_events(at_ten_frames_a_second(score), threshold, SPEC)
    return [(event.start_frame, event.stop_frame) for event in events]


def test_an_event_lasts_while_the_score_stays_above_the_low_threshold() -> None:
    assert spans([0, 2.5, 4, 3, 2, 1.9, 0, 0]) == [(1, 5)]


def test_a_stretch_that_never_reaches_the_threshold_is_no_event() -> None:
    assert spans([0, 3.9, 3.9, 3.9, 0]) == []


def test_events_close_to_each_other_are_one_and_distant_ones_are_two() -> None:
    assert spans([5, 5, 0, 0, 0, 5, 5]) == [(0, 7)]
    assert spans([5, 5, 0, 0, 0, 0, 5, 5]) == [(0, 2), (6, 8)]


def test_an_event_shorter_than_the_minimum_is_dropped() -> None:
    assert spans([0, 9, 0, 0, 0, 0, 0]) == []


def test_frames_that_could_not_be_decoded_do_not_cut_an_event() -> None:
    nan = np.nan
    assert spans([0, 5, 5, nan, nan, 5, 5, 0]) == [(1, 7)]


def test_a_long_undecodable_stretch_cuts_an_event_in_two() -> None:
    assert spans([5, 5, *[np.nan] * 8, 5, 5]) == [(0, 2), (10, 12)]


def test_an_event_names_its_peak_in_frames_seconds_and_place() -> None:
    place = np.full((6, 2), -1, dtype=np.int16)
    place[3] = (2, 7)
    scores = at_ten_frames_a_second([0, 4, 5, 8, 4, 0], place)
    (event,) = find_events(scores, 4.0, SPEC)
    assert (event.peak_frame, event.score, event.place) == (3, 8.0, (2, 7))
    assert event.mean_score == (4 + 5 + 8 + 4) / 4
    np.testing.assert_allclose(
        [event.start_seconds, event.peak_seconds, event.stop_seconds], [0.1, 0.3, 0.5]
    )


def test_a_video_without_any_score_has_no_event() -> None:
    assert spans([np.nan, np.nan]) == []
    assert spans([]) == []


def test_an_event_tells_the_part_that_spoke_at_its_peak_and_the_grid_of_that_part() -> None:
    scores = replace(
        at_ten_frames_a_second([0, 5, 9, 5, 0, 0, 0, 0, 0, 7, 7]),
        parts=(Part("motion", (13, 18)), Part("static", (5, 6))),
        part_T=np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], np.int8),
    )
    events = find_events(scores, 4.0, SPEC)
    assert [(event.part, event.grid) for event in events] == [
        ("static", (5, 6)),
        ("motion", (13, 18)),
    ]
    single = replace(scores, part_T=None)
    assert {event.part for event in find_events(single, 4.0, SPEC)} == {"motion"}
