"""Macro AUC as in the code of AI-VAD (Reiss and Hoshen, 2022) and HF2-VAD (Liu et al., 2021).

Each video gets one artificial normal frame of score 0 and one artificial anomaly of infinite
score, so that every video has both classes. A video that is abnormal throughout then scores 1.0
with any scorer.
"""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import PerClipMetric


class FrameAucMacroPadded(PerClipMetric):
    """Mean over all videos of their own AUC, each padded with one frame of either class."""

    meaning = (
        "mean over all videos of their AUC, padded with one frame of each class (as in papers)"
    )

    formula = (
        "as frame_auc_macro, over all videos, each with one normal frame of score 0 "
        "and one abnormal frame of infinite score added"
    )
    source = "code of HF2-VAD (Liu et al., ICCV 2021) and AI-VAD (Reiss and Hoshen, 2022)"

    @override
    def of_clip(self, clip: Clip) -> float:
        if not len(clip.score_T):
            return float("nan")
        score_T = np.append(clip.score_T, [0.0, np.inf])
        abnormal_T = np.append(clip.abnormal_T, [False, True])
        return Clip(clip.video, score_T, abnormal_T).auc
