"""Mean AUC of single videos; those with one class have none and are left out, and counted."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import PerClipMetric


class FrameAucMacro(PerClipMetric):
    """Mean over videos with both classes of the area under their own ROC curve."""

    meaning = "mean over the videos with both classes of their own AUC"
    formula = "mean of the AUC of each video's own frames, over videos with normal and abnormal frames"
    source = "Georgescu et al., TPAMI 2021, its two-class reading"

    @override
    def of_clip(self, clip: Clip) -> float:
        return clip.auc
