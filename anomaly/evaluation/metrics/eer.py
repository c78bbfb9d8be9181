"""Equal error rate over the frames of all videos, interpolated between thresholds."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Curve, Floats
from anomaly.evaluation.metrics import PooledMetric


class EqualErrorRate(PooledMetric):
    """False-alarm rate at the threshold that misses as many abnormal frames; lower is better."""

    meaning = "rate of false alarms where it equals the rate of misses"

    @override
    def of_curve(self, curve: Curve) -> Floats:
        false_RK, true_RK = curve.rates()
        excess_RK = false_RK + true_RK - 1.0  # false alarms minus misses, grows from -1 to 1
        above = np.argmax(excess_RK >= 0, axis=1)
        rows = np.arange(len(excess_RK))
        low_R, high_R = excess_RK[rows, above - 1], excess_RK[rows, above]
        share_R = -low_R / (high_R - low_R)
        before_R, after_R = false_RK[rows, above - 1], false_RK[rows, above]
        return before_R + share_R * (after_R - before_R)
