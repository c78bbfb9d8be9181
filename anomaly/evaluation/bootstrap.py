"""Intervals by drawing videos again, never frames: neighbouring frames are one observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.curves import Clip, Floats
from anomaly.evaluation.metrics import Metric, all_resampled

RESAMPLES = 1000
Interval = tuple[float, float]


def draw(n_videos: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each video is drawn in each of `RESAMPLES` resamples, shape (R, V)."""
    return generator.multinomial(n_videos, np.full(n_videos, 1 / n_videos), size=RESAMPLES)


def intervals(
    chosen: Mapping[str, Metric], clips: Sequence[Clip], generator: np.random.Generator
) -> dict[str, Interval | None]:
    """Return the 95 % percentile interval of each metric over the same resamples of the videos.

    None where there are fewer than two videos, or the metric is defined on fewer than half of
    the resamples.
    """
    if len(clips) < 2:
        return dict.fromkeys(chosen)
    found = all_resampled(chosen, clips, draw(len(clips), generator))
    return {name: percentiles(value_R) for name, value_R in found.items()}


def interval(
    metric: Metric, clips: Sequence[Clip], generator: np.random.Generator
) -> Interval | None:
    """Return the interval of one metric, as `intervals` does."""
    return intervals({"": metric}, clips, generator)[""]


def percentiles(value_R: Floats) -> Interval | None:
    """Return the range of the middle 95 % of the finite values; None if half of them are not."""
    defined_R = value_R[np.isfinite(value_R)]
    if len(defined_R) < len(value_R) / 2:
        return None
    low, high = np.percentile(defined_R, [2.5, 97.5])
    return float(low), float(high)
