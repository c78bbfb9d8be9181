"""Precision and recall of events in one figure."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.alarms import overlapping
from anomaly.evaluation.curves import Clip, Floats
from anomaly.evaluation.metrics import SummedMetric, ratio


class EventF1(SummedMetric):
    """Harmonic mean of event precision and event recall, over all videos together."""

    meaning = "harmonic mean of event_precision and event_recall"
    formula = "2 x precision x recall / (precision + recall); 0 where nothing true was reported"
    source = "usual in event detection"

    @override
    def sums(self, clip: Clip) -> tuple[float, ...]:
        if clip.alarms is None:
            return (float("nan"),) * 4
        true, found = overlapping(clip)
        return len(true), len(clip.alarms), len(found), len(clip.events)

    @override
    def of_sums(self, *sums_R: Floats) -> Floats:
        true_R, alarms_R, found_R, events_R = sums_R
        value_R = ratio(2 * true_R * found_R, true_R * events_R + found_R * alarms_R)
        return np.where(events_R > 0, np.nan_to_num(value_R), np.nan)
