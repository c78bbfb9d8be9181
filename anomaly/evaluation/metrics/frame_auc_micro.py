"""The headline: one ROC curve over the frames of all videos."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.curves import Curve, Floats, area
from anomaly.evaluation.metrics import PooledMetric


class FrameAucMicro(PooledMetric):
    """Area under one ROC curve over all frames of all videos."""

    meaning = "one ROC curve over the frames of all videos, no per-video normalisation"
    formula = (
        "share of pairs (abnormal frame, normal frame) of any videos in which the "
        "abnormal one scores higher; ties count half"
    )
    source = "Mann and Whitney 1947; as `roc_auc_score` of scikit-learn"

    @override
    def of_curve(self, curve: Curve) -> Floats:
        return area(curve)
