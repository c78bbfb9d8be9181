"""Metrics, one file each; the name of a metric says its convention.

Figures of the same scores differ by twenty points between conventions, so none goes without its
name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.evaluation.curves import Clip, Curve, Floats, Points, frames, pieces, quantised
from anomaly.registry import Registry


class Metric(ABC):
    """One number from scores and truth; NaN where it is not defined."""

    meaning: ClassVar[str]
    """the convention in one sentence"""
    formula: ClassVar[str]
    source: ClassVar[str]
    """who uses it, or where it is defined"""
    unit: ClassVar[Literal["share", "seconds", "an hour"]] = "share"
    """a share lies between 0 and 1"""
    lower_is_better: ClassVar[bool] = False
    of_videos: ClassVar[bool] = False
    """True for a figure that needs to know of videos as a whole, not of their frames"""
    peeks: ClassVar[bool] = False
    """True for a figure that uses the future of the clip under test: literature-compatible only"""

    @abstractmethod
    def value(self, clips: Sequence[Clip]) -> float:
        """Return the metric over all clips."""

    @abstractmethod
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        """Return one value per row of weights, in which clip v counts `weights_RV[r, v]` times."""

    def left_out(self, clips: Sequence[Clip]) -> int:
        """Return how many videos the metric cannot use."""
        del clips
        return 0


class PooledMetric(Metric):
    """A metric read off the curve of all clips together."""

    points = staticmethod(frames)
    """what of a clip the curve counts"""

    @abstractmethod
    def of_curve(self, curve: Curve) -> Floats:
        """Return one value per resample of the curve; of a piece: what it adds to the value."""

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        return values({"": self}, clips)[""]

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        return all_resampled({"": self}, clips, weights_RV)[""]


class SummedMetric(Metric):
    """A metric of a few sums over the clips, such as a ratio of two."""

    @abstractmethod
    def sums(self, clip: Clip) -> tuple[float, ...]:
        """Return what a clip adds to each sum; NaN leaves it out."""

    def of_sums(self, *sums_R: Floats) -> Floats:
        """Return the value from the sums; by default the first divided by the second."""
        return ratio(sums_R[0], sums_R[1])

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        return float(self.resampled(clips, np.ones((1, len(clips))))[0])

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        sums_VS = np.array([self.sums(clip) for clip in clips], dtype=np.float64)
        return self.of_sums(*(weights_RV @ np.nan_to_num(sums_VS)).T)

    @override
    def left_out(self, clips: Sequence[Clip]) -> int:
        return sum(bool(np.isnan(self.sums(clip)).any()) for clip in clips)


class PerClipMetric(SummedMetric):
    """The mean of a figure over those clips for which it is defined."""

    @abstractmethod
    def of_clip(self, clip: Clip) -> float:
        """Return the figure of one clip, NaN to leave it out."""

    @override
    def sums(self, clip: Clip) -> tuple[float, float]:
        value = self.of_clip(clip)
        return value, 1.0 if np.isfinite(value) else np.nan


def ratio(numerator_R: Floats, denominator_R: Floats) -> Floats:
    """Return the quotients, NaN where the denominator is not positive."""
    out = np.full(len(numerator_R), np.nan)
    return np.divide(numerator_R, denominator_R, out=out, where=denominator_R > 0)


def values(chosen: Mapping[str, Metric], clips: Sequence[Clip]) -> dict[str, float]:
    """Return the value of each metric; what several read off one curve is sorted once."""
    found: dict[str, float] = {}
    for group in _by_curve(chosen):
        points = [next(iter(group.values())).points(clip) for clip in clips]
        found |= dict.fromkeys(group, 0.0)
        for piece in pieces(points):
            for name, metric in group.items():
                found[name] += float(metric.of_curve(piece)[0])
    return {
        name: found[name] if name in found else metric.value(clips)
        for name, metric in chosen.items()
    }


def all_resampled(
    chosen: Mapping[str, Metric], clips: Sequence[Clip], weights_RV: NDArray[Any]
) -> dict[str, Floats]:
    """Return the values of each metric, one per row of weights; common curves are drawn once."""
    found: dict[str, Floats] = {}
    for group in _by_curve(chosen):
        levels = quantised([next(iter(group.values())).points(clip) for clip in clips])
        curve = levels.drawn(weights_RV)
        found |= {name: metric.of_curve(curve) for name, metric in group.items()}
    return {
        name: found[name] if name in found else metric.resampled(clips, weights_RV)
        for name, metric in chosen.items()
    }


def _by_curve(chosen: Mapping[str, Metric]) -> list[dict[str, PooledMetric]]:
    """Return the metrics that are read off curves, those of one curve together."""
    groups: dict[Callable[[Clip], Points], dict[str, PooledMetric]] = {}
    for name, metric in chosen.items():
        if isinstance(metric, PooledMetric):
            groups.setdefault(metric.points, {})[name] = metric
    return list(groups.values())


def metrics() -> Registry[Metric]:
    """The registry of metrics."""
    return Registry("anomaly.evaluation.metrics", Metric, "metric")
