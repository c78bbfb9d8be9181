"""Macro AUC as some evaluations count it: a video with one class is a perfect one."""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import PerClipMetric


class FrameAucMacroSingleClassOne(PerClipMetric):
    """Mean over all videos of their own AUC, 1 where a class is missing."""

    meaning = "mean over all videos of their own AUC, 1 where a class is missing (as in papers)"
    formula = (
        "as frame_auc_macro, over all videos; one without normal or without abnormal "
        "frames counts as 1"
    )
    source = "public evaluation code of several papers; any scorer gains by videos of one class"

    @override
    def of_clip(self, clip: Clip) -> float:
        if not len(clip.score_T):
            return float("nan")
        return clip.auc if clip.has_both_classes else 1.0
