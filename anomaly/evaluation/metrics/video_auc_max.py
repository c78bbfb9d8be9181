"""Whether the videos in which something happens come before the others."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from anomaly.evaluation.curves import Clip, Curve, Floats, Points, area, frames
from anomaly.evaluation.metrics import PooledMetric


def _video(clip: Clip) -> Points:
    if not len(clip.score_T):
        return frames(clip)
    abnormal_1 = np.array([clip.abnormal_T.any()])
    return Points(clip.score_T.max(keepdims=True), ~abnormal_1, abnormal_1)


class VideoAucMax(PooledMetric):
    """Area under the ROC curve of whole videos, each scored as its highest frame."""

    meaning = "one ROC curve over whole videos, each with the score of its highest frame"
    formula = (
        "share of pairs (video with an abnormal frame, video without) in which the "
        "first has the higher maximum"
    )
    source = "video-level figures of weakly supervised work, Sultani et al., CVPR 2018"
    points = staticmethod(_video)
    of_videos = True

    @override
    def of_curve(self, curve: Curve) -> Floats:
        return area(curve)
