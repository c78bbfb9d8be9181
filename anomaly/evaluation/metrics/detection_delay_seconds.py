"""How late alarms come."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.alarms import delays_seconds
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import SummedMetric


class DetectionDelaySeconds(SummedMetric):
    """Mean time from the start of an event to that of its first alarm, over the events found."""

    meaning = "mean time from the start of an event to its first reported alarm, over the events found"
    formula = (
        "mean of max(0, start of the first overlapping alarm - start of the event); "
        "events not found are left out, event_recall tells them"
    )
    source = "usual in event detection"
    unit = "seconds"
    lower_is_better = True

    @override
    def sums(self, clip: Clip) -> tuple[float, float]:
        if clip.alarms is None or clip.seconds_T is None:
            return float("nan"), float("nan")
        delays = delays_seconds(clip)
        return sum(delays), len(delays)
