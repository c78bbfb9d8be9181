"""Average precision over the frames of all videos: the step-wise area, not the trapezoid."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Curve, Floats
from anomaly.evaluation.metrics import PooledMetric


class AveragePrecision(PooledMetric):
    """Mean precision over the abnormal frames, each at its own threshold."""

    meaning = "average precision over the frames of all videos"
    formula = "sum over thresholds of (recall gained) x precision, no interpolation"
    source = "as `average_precision_score` of scikit-learn; headline of XD-Violence (Wu et al., ECCV 2020)"

    @override
    def of_curve(self, curve: Curve) -> Floats:
        alarms_RK = curve.false_RK + curve.true_RK
        precision_RK = np.divide(
            curve.true_RK, alarms_RK, out=np.zeros_like(alarms_RK), where=alarms_RK > 0
        )
        value_R: Floats = (np.diff(curve.rates().true_RK) * precision_RK[:, 1:]).sum(axis=1)
        return np.where(curve.false_R1[:, 0] > 0, value_R, np.nan)
