"""Share of the reported alarms that are about something."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.alarms import overlapping
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import SummedMetric


class EventPrecision(SummedMetric):
    """Share of reported alarms that overlap an event."""

    meaning = "share of the reported alarms that overlap an event"
    formula = "alarms that share a frame with an event / alarms"
    source = "usual in event detection; any overlap counts, however short"

    @override
    def sums(self, clip: Clip) -> tuple[float, float]:
        if clip.alarms is None:
            return float("nan"), float("nan")
        true, _ = overlapping(clip)
        return len(true), len(clip.alarms)
