"""Intervals by drawing videos again, never frames: neighbouring frames are one observation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import Metric

RESAMPLES = 1000


def interval(
    metric: Metric, clips: Sequence[Clip], generator: np.random.Generator
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of the metric over resamples of the videos.

    None when there are fewer than two videos, or the metric is defined on fewer than half of
    the resamples.
    """
    n_videos = len(clips)
    if n_videos < 2:
        return None
    weights_RV = generator.multinomial(
        n_videos, np.full(n_videos, 1 / n_videos), size=RESAMPLES
    )
    value_R = metric.resampled(clips, weights_RV)
    defined_R = value_R[np.isfinite(value_R)]
    if len(defined_R) < RESAMPLES / 2:
        return None
    low, high = np.percentile(defined_R, [2.5, 97.5])
    return float(low), float(high)
