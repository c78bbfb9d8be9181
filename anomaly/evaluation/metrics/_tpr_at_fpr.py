"""What the metrics of one false-positive rate have in common."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Curve, Floats
from anomaly.evaluation.metrics import PooledMetric


class TprAtFpr(PooledMetric):
    """Height of the ROC curve over the frames of all videos at one false-positive rate."""

    rate: ClassVar[float]
    formula = "true-positive rate at that false-positive rate, linear between thresholds"
    source = (
        "usual where alarms cost people's time; as `roc_curve` of scikit-learn, interpolated"
    )

    @override
    def of_curve(self, curve: Curve) -> Floats:
        false_RK, true_RK = curve.rates()[:2]
        before_RK, step_RK = false_RK[:, :-1], np.diff(false_RK)
        upright_RK = (before_RK <= self.rate).astype(np.float64)
        share_RK = np.divide(
            self.rate - before_RK, step_RK, out=upright_RK, where=step_RK > 0
        ).clip(0, 1)
        found_R: Floats = (np.diff(true_RK) * share_RK).sum(axis=1)
        return np.where(curve.false_R1[:, 0] > 0, found_R, np.nan)
