"""How many abnormal frames are found while 1 % of the normal ones raise a false alarm."""

from __future__ import annotations

from anomaly.evaluation.metrics._tpr_at_fpr import TprAtFpr


class TprAtOnePercent(TprAtFpr):
    """Share of abnormal frames found at a false-positive rate of 1 %."""

    meaning = "share of abnormal frames found where 1 % of the normal ones are called abnormal"
    rate = 0.01
