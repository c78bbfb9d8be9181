"""Share of frames called right at one threshold, as chunks are judged by Ullah et al. (2021).

With few abnormal frames a scorer that never speaks is accurate: never a headline.
"""

from __future__ import annotations

from typing_extensions import override

from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import SummedMetric


class AccuracyAtThreshold(SummedMetric):
    """Share of all frames that lie on the right side of the alarm threshold of their camera."""

    meaning = "share of frames on the right side of the alarm threshold"
    formula = (
        "(abnormal frames with s >= threshold + normal frames with s < threshold) / frames"
    )
    source = "Ullah et al., Multimedia Tools and Applications 2021, there over chunks of 15 or 30 frames"

    @override
    def sums(self, clip: Clip) -> tuple[float, float]:
        if clip.threshold is None:
            return float("nan"), float("nan")
        right_T = (clip.score_T >= clip.threshold) == clip.abnormal_T
        return float(right_T.sum()), float(len(right_T))
