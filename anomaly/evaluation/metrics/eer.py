"""Equal error rate over the frames of all videos, interpolated between thresholds."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Curve, Floats
from anomaly.evaluation.metrics import PooledMetric


class EqualErrorRate(PooledMetric):
    """False-alarm rate at the threshold that misses as many abnormal frames; lower is better."""

    meaning = "rate of false alarms where it equals the rate of misses"
    formula = (
        "false-positive rate where it equals 1 - true-positive rate, linear between thresholds"
    )
    source = "UCSD protocol, Mahadevan et al., CVPR 2010"
    lower_is_better = True

    @override
    def of_curve(self, curve: Curve) -> Floats:
        false_RK, true_RK = curve.rates()[:2]
        excess_RK = false_RK + true_RK - 1.0  # false alarms minus misses, grows from -1 to 1
        before_RK, gain_RK = excess_RK[:, :-1], np.diff(excess_RK)
        share_RK = np.divide(
            -before_RK, gain_RK, out=np.zeros_like(gain_RK), where=gain_RK > 0
        ).clip(0, 1)
        rate_R = (np.diff(false_RK) * share_RK).sum(axis=1)
        return np.where(curve.true_R1[:, 0] > 0, rate_R, np.nan)
