"""Events and labels are half-open intervals of frames."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import find_events


@st.composite
def scored_videos(draw):
    levels = st.sampled_from([0.0, 1.0, 3.4, 3.6, 5.0, 7.0, np.nan])
    score_T = np.array(draw(st.lists(levels, max_size=120)))
    gaps = draw(st.lists(st.floats(0.01, 1.0), min_size=len(score_T), max_size=len(score_T)))
    return FrameScores(
        score_T, score_T.copy(), ~np.isnan(score_T), np.cumsum(np.array(gaps, dtype=np.float64))
    )


SPECS = st.builds(
    ScoreSpec, merge_gap_seconds=st.floats(0.0, 2.0), minimum_seconds=st.floats(0.0, 1.0)
)


@given(scored_videos(), SPECS)
def test_events_are_ordered_apart_long_enough_and_peak_above_the_threshold(
    scores, spec
) -> None:
    events = find_events(scores, 5.0, spec)
    for event in events:
        assert 0 <= event.start_frame <= event.peak_frame < event.stop_frame <= len(scores)
        assert event.score == np.nanmax(scores.score_T[event.start_frame : event.stop_frame])
        assert event.score >= 5.0
        assert event.stop_seconds - event.start_seconds >= spec.minimum_seconds - 1e-6
        assert not np.isnan(scores.score_T[[event.start_frame, event.stop_frame - 1]]).any()
    for before, after in itertools.pairwise(events):
        assert before.stop_frame <= after.start_frame
        assert after.start_seconds - before.stop_seconds > spec.merge_gap_seconds


@given(scored_videos())
def test_without_a_minimum_length_every_frame_above_the_threshold_lies_in_an_event(
    scores,
) -> None:
    spec = ScoreSpec(minimum_seconds=0.0)
    inside_T = np.zeros(len(scores), dtype=bool)
    for event in find_events(scores, 5.0, spec):
        inside_T[event.start_frame : event.stop_frame] = True
    assert inside_T[scores.score_T >= 5.0].all()


@given(scored_videos(), st.floats(0.1, 4.0))
def test_a_higher_threshold_never_marks_more_frames(scores, higher_by) -> None:
    def marked(threshold: float) -> int:
        events = find_events(scores, threshold, ScoreSpec(minimum_seconds=0.0))
        return sum(event.stop_frame - event.start_frame for event in events)

    assert marked(3.0 + higher_by) <= marked(3.0)
