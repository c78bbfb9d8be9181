"""Events and alarms, against counting them one threshold at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.evaluation.alarms import MERGE_GAP_SECONDS, alarm_points
from anomaly.evaluation.curves import Clip, Stretch
from anomaly.evaluation.metrics import metrics
from anomaly.evaluation.metrics.false_alarms_per_camera_hour import false_alarm_rates


def clip(scores, events=(), alarms=None, seconds: float = 0.5, **more) -> Clip:
    abnormal_T = np.zeros(len(scores), dtype=bool)
    for start, stop in events:
        abnormal_T[start:stop] = True
    return Clip(
        "a",
        np.array(scores, dtype=np.float64),
        abnormal_T,
        seconds_T=np.arange(len(scores)) * seconds,
        events=tuple(Stretch(*event) for event in events),
        alarms=None if alarms is None else tuple(Stretch(*alarm) for alarm in alarms),
        **more,
    )


def false_alarms_one_by_one(one: Clip, threshold: float) -> int:
    """Group the frames at or above a threshold, event by event, as an operator would."""
    gap = round(MERGE_GAP_SECONDS / one.frame_seconds)
    count = 0
    edges = [0, *(np.flatnonzero(np.diff(one.abnormal_T)) + 1), len(one.score_T)]
    for start, stop in pairwise(edges):
        if one.abnormal_T[start]:
            continue
        groups: list[list[int]] = []
        for frame in range(start, stop):
            if one.score_T[frame] >= threshold:
                if groups and frame - groups[-1][-1] <= gap + 1:
                    groups[-1].append(frame)
                else:
                    groups.append([frame])
        for group in groups:
            touches_before = start > 0 and group[0] - start <= gap
            touches_after = stop < len(one.score_T) and stop - 1 - group[-1] <= gap
            count += not (touches_before or touches_after)
    return count


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 8)), max_size=3),
    st.sampled_from([0.4, 0.5, 1.0, 2.0, 5.0]),
)
def test_false_alarms_at_all_thresholds_are_those_of_one_at_a_time(
    scores, spans, seconds: float
) -> None:
    abnormal_T = np.zeros(len(scores), dtype=bool)
    for start, length in spans:
        abnormal_T[start : start + length] = True
    edges = np.flatnonzero(np.diff(abnormal_T, prepend=False, append=False)).reshape(-1, 2)
    one = clip(scores, [tuple(map(int, edge)) for edge in edges], seconds=seconds)
    if seconds > MERGE_GAP_SECONDS:
        return  # every frame is then alone: no run to speak of
    points = alarm_points(one)
    for threshold in range(7):
        there = points.score_N >= threshold
        assert points.false_N[there].sum() == false_alarms_one_by_one(one, threshold)
        found = sum(
            one.score_T[event.start : event.stop].max() >= threshold for event in one.events
        )
        assert points.true_N[there].sum() == found


def test_recall_is_paid_for_in_false_alarms_an_hour() -> None:
    scores = np.zeros(7200)  # an hour at two frames a second
    scores[[1000, 2000, 3000]] = [5, 3, 1]
    scores[4000:4010], scores[6000:6010] = 4, 2
    one = clip(scores, [(4000, 4010), (6000, 6010)])
    hour = 3600 / (7180 * 0.5)
    assert false_alarm_rates([one], [0.5, 1.0]) == pytest.approx([1 * hour, 2 * hour])
    assert value("false_alarms_per_camera_hour", [one]) == pytest.approx(2 * hour)


def value(name: str, clips: list[Clip]) -> float:
    return metrics().get(name)().value(clips)


def test_reported_alarms_are_judged_by_what_they_overlap() -> None:
    first = clip(np.zeros(100), [(10, 20), (50, 60)], alarms=[(15, 25), (30, 35), (58, 70)])
    second = clip(np.zeros(100), [(10, 20)], alarms=[])
    assert value("event_precision", [first, second]) == pytest.approx(2 / 3)
    assert value("event_recall", [first, second]) == pytest.approx(2 / 3)
    assert value("event_f1", [first, second]) == pytest.approx(2 / 3)
    assert value("detection_delay_seconds", [first, second]) == pytest.approx((2.5 + 4) / 2)


def test_an_alarm_before_its_event_is_not_late_and_one_alarm_may_find_two_events() -> None:
    one = clip(np.zeros(100), [(10, 20), (30, 40)], alarms=[(5, 35)])
    assert value("detection_delay_seconds", [one]) == 0.0
    assert (value("event_precision", [one]), value("event_recall", [one])) == (1.0, 1.0)


def test_silence_has_no_precision_and_nothing_to_find_no_recall() -> None:
    silent = clip(np.zeros(50), [(10, 20)], alarms=[])
    assert np.isnan(value("event_precision", [silent]))
    assert (value("event_recall", [silent]), value("event_f1", [silent])) == (0.0, 0.0)
    normal = clip(np.zeros(50), alarms=[(1, 2)])
    assert value("event_precision", [normal]) == 0.0
    assert np.isnan(value("event_recall", [normal]))


def test_without_times_or_alarms_nothing_is_said_of_them() -> None:
    bare = Clip("a", np.arange(5.0), np.arange(5) > 2, events=(Stretch(3, 5),))
    for name in (
        "false_alarms_per_camera_hour",
        "event_precision",
        "event_recall",
        "event_f1",
        "detection_delay_seconds",
        "accuracy_at_threshold",
    ):
        assert np.isnan(value(name, [bare])), name


def test_accuracy_counts_frames_on_the_right_side_of_their_own_threshold() -> None:
    low = clip([0, 1, 2, 3], [(2, 4)], threshold=2.0)
    high = clip([0, 1, 2, 3], [(2, 4)], threshold=3.0)
    assert value("accuracy_at_threshold", [low, high]) == 7 / 8


def test_the_best_frame_speaks_for_its_video() -> None:
    clips = [clip([0, 5], [(0, 1)]), clip([4, 4]), clip([6, 0])]
    assert value("video_auc_max", clips) == 0.5


def test_cameras_are_judged_one_by_one() -> None:
    gate = [clip([10, 11], [(1, 2)], camera="gate"), clip([10], camera="gate")]
    hall = [clip([1, 2], [(1, 2)], camera="hall")]
    lobby = [clip([3], camera="lobby")]
    metric = metrics().get("frame_auc_per_camera")()
    assert metric.value(gate + hall + lobby) == 1.0
    assert metric.left_out(gate + hall + lobby) == 1
    assert value("frame_auc_micro", gate + hall + lobby) < 1.0
