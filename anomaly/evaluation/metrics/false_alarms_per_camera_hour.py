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

    def __init__(self, event_recall: float = EVENT_RECALL) -> None:
        self.event_recall = event_recall

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        curves = pieces([alarm_points(clip) for clip in clips], at_once=2**62)
        return float(self._per_hour(next(curves), np.ones((1, len(clips))), clips)[0])

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        levels = quantised([alarm_points(clip) for clip in clips])
        return self._per_hour(levels.drawn(weights_RV), weights_RV, clips)

    def _per_hour(
        self, curve: Curve, weights_RV: NDArray[Any], clips: Sequence[Clip]
    ) -> Floats:
        hours_R = weights_RV @ np.array([normal_hours(clip) for clip in clips])
        enough_RK = curve.true_RK >= self.event_recall * curve.true_R1 - 1e-9
        false_R = np.take_along_axis(
            curve.false_RK, np.argmax(enough_RK, axis=1)[:, None], axis=1
        )[:, 0]
        return np.where(curve.true_R1[:, 0] > 0, ratio(false_R, hours_R), np.nan)
