"""What recall costs: false alarms where most events are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.evaluation.alarms import alarm_points, normal_hours
from anomaly.evaluation.curves import Clip, Curve, Floats, pieces, quantised
from anomaly.evaluation.metrics import Metric, ratio

EVENT_RECALL = 0.8


class FalseAlarmsPerCameraHour(Metric):
    """False alarms in an hour of normal video, at the threshold that finds 80 % of the events."""

    meaning = (
        "false alarms an hour of normal video, at the threshold that finds 80 % of the events"
    )
    formula = (
        "at the highest threshold where 80 % of the events hold a frame that reaches it: "
        "alarms (gaps up to 2 s bridged) that touch no event / hours of normal frames"
    )
    source = (
        "usual in event detection (TRECVID SED); "
        "other recalls: key `false_alarms_by_event_recall`"
    )
    unit = "an hour"
    lower_is_better = True

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        return false_alarm_rates(clips, [EVENT_RECALL])[0]

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        levels = quantised([alarm_points(clip) for clip in clips])
        return _rates(levels.drawn(weights_RV), weights_RV @ _hours(clips), EVENT_RECALL)


def false_alarm_rates(clips: Sequence[Clip], event_recalls: Sequence[float]) -> list[float]:
    """Return false alarms an hour at the highest thresholds that find these shares of the events."""
    (curve,) = pieces([alarm_points(clip) for clip in clips], at_once=2**62)
    hours_1 = _hours(clips).sum(keepdims=True)
    return [float(_rates(curve, hours_1, recall)[0]) for recall in event_recalls]


def _hours(clips: Sequence[Clip]) -> Floats:
    return np.array([normal_hours(clip) for clip in clips])


def _rates(curve: Curve, hours_R: Floats, event_recall: float) -> Floats:
    enough_RK = curve.true_RK >= event_recall * curve.true_R1 - 1e-9
    level_R1 = np.argmax(enough_RK, axis=1)[:, None]
    false_R = np.take_along_axis(curve.false_RK, level_R1, axis=1)[:, 0]
    return np.where(curve.true_R1[:, 0] > 0, ratio(false_R, hours_R), np.nan)
