"""Share of the events that were reported."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.alarms import overlapping
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import SummedMetric


class EventRecall(SummedMetric):
    """Share of events that a reported alarm overlaps."""

    meaning = "share of the events that a reported alarm overlaps"
    formula = "events that share a frame with an alarm / events"
    source = "usual in event detection; any overlap counts, however short"

    @override
    def sums(self, clip: Clip) -> tuple[float, float]:
        if clip.alarms is None:
            return float("nan"), float("nan")
        _, found = overlapping(clip)
        return len(found), len(clip.events)
