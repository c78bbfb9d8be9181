"""The convention of many papers: each video's scores are first stretched to 0..1.

It uses a video's own extremes, so it needs the whole future of it, and takes for granted that
each video holds both ends; on the same scores it has been seen 24 points above the plain figure.
Never a headline.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Clip, Curve, Floats, Points, area, frames
from anomaly.evaluation.metrics import PooledMetric


def _stretched_frames(clip: Clip) -> Points:
    if not len(clip.score_T):
        return frames(clip)
    low, high = clip.score_T.min(), clip.score_T.max()
    spread = high - low
    stretched_T = (clip.score_T - low) / spread if spread else np.zeros(len(clip.score_T))
    return frames(replace(clip, score_T=stretched_T))


class FrameAucMicroNormalised(PooledMetric):
    """Area under one ROC curve after min-max normalisation per video."""

    meaning = "as frame_auc_micro, each video's scores first stretched to 0..1 (as in papers)"
    formula = "frame_auc_micro of (s - min s) / (max s - min s), the extremes of each video's own frames"
    source = "Liu et al., CVPR 2018 (future-frame prediction), and most work after it"
    peeks = True
    points = staticmethod(_stretched_frames)

    @override
    def of_curve(self, curve: Curve) -> Floats:
        return area(curve)
