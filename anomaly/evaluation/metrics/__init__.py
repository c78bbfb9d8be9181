"""Metrics, one file each; the name of a metric says its convention.

Figures of the same scores differ by twenty points between conventions, so none goes without its
name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.evaluation.curves import Clip, Curve, Floats, area, pooled, resampled
from anomaly.registry import Registry


class Metric(ABC):
    """One number from scores and truth; NaN where it is not defined."""

    meaning: ClassVar[str]
    """the convention in one sentence"""
    peeks: ClassVar[bool] = False
    """True for a figure that uses the future of the clip under test: literature-compatible only"""

    @abstractmethod
    def value(self, clips: Sequence[Clip]) -> float:
        """Return the metric over all clips."""

    @abstractmethod
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[np.integer]) -> Floats:
        """Return one value per row of weights, in which clip v counts `weights_RV[r, v]` times."""


class PooledMetric(Metric):
    """A metric of the frames of all clips together, read off their curve."""

    @abstractmethod
    def of_curve(self, curve: Curve) -> Floats:
        """Return one value per resample of the curve."""

    def prepare(self, clip: Clip) -> Clip:
        """Return the clip as the metric wants to see it."""
        return clip

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        return float(self.of_curve(pooled([self.prepare(clip) for clip in clips]))[0])

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[np.integer]) -> Floats:
        return self.of_curve(resampled([self.prepare(clip) for clip in clips], weights_RV))


class PerClipMetric(Metric):
    """The mean of a figure over those clips for which it is defined."""

    @abstractmethod
    def of_clip(self, clip: Clip) -> float:
        """Return the figure of one clip, NaN to leave it out."""

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        return float(self.resampled(clips, np.ones((1, len(clips)), dtype=np.int64))[0])

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[np.integer]) -> Floats:
        value_V = np.array([self.of_clip(clip) for clip in clips])
        weights_RV = weights_RV * np.isfinite(value_V)
        total_R = weights_RV.sum(axis=1)
        sum_R = weights_RV @ np.nan_to_num(value_V)
        return np.divide(sum_R, total_R, out=np.full(len(sum_R), np.nan), where=total_R > 0)


def clip_area(clip: Clip) -> float:
    """Return the area under one clip's ROC curve; NaN where a class is missing."""
    return float(area(pooled([clip]))[0])


def metrics() -> Registry[Metric]:
    """The registry of metrics."""
    return Registry("anomaly.evaluation.metrics", Metric, "metric")
