"""What a sinking threshold finds: true and false alarms, counted from the highest score.

A curve is a pair of arrays (false_RK, true_RK): for each of R resamples, how many normal and
how many abnormal frames score at or above the k-th level; the first level stands above every
score. Equal scores share a level, so ties count half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.scores import NOMINAL_FRAME_SECONDS
from anomaly.shapes import expect

Floats = NDArray[np.float64]

LEVELS = 4096
"""levels that scores are rounded to where many resamples are drawn"""
_PIECE = 2**22
"""scores that are sorted at once"""
_SAMPLE = 2**20
"""scores that levels are chosen from"""


class Stretch(NamedTuple):
    """Something that lasts: half-open positions among the frames of a clip that count."""

    start: int
    stop: int
    category: str = ""


@dataclass(frozen=True)
class Clip:
    """The frames of one video that count: scores, and which frames are abnormal."""

    video: str
    score_T: NDArray[np.floating[Any]]
    abnormal_T: NDArray[np.bool_]
    camera: str = ""
    seconds_T: Floats | None = None
    """presentation times; None: not known, so nothing is said in seconds or hours"""
    events: tuple[Stretch, ...] = ()
    """what the labels call abnormal, in order of time"""
    alarms: tuple[Stretch, ...] | None = None
    """what was reported, in order of time; None: not known"""
    threshold: float | None = None
    """score from which a frame is called abnormal; None: not known"""

    def __post_init__(self) -> None:
        expect("abnormal", self.abnormal_T, "T", T=len(self.score_T))
        if self.seconds_T is not None:
            expect("seconds", self.seconds_T, "T", T=len(self.score_T))

    @property
    def has_both_classes(self) -> bool:
        """Whether some frames are abnormal and some are not."""
        return bool(self.abnormal_T.any() and not self.abnormal_T.all())

    @cached_property
    def auc(self) -> float:
        """Area under the clip's own ROC curve; NaN where a class is missing."""
        return float(area(pooled([self]))[0])

    @cached_property
    def frame_seconds(self) -> float:
        """How long a frame is shown; NaN where times are not known."""
        if self.seconds_T is None:
            return float("nan")
        if len(self.seconds_T) < 2:
            return NOMINAL_FRAME_SECONDS
        return float(np.median(np.diff(self.seconds_T)))


class Points(NamedTuple):
    """What a sinking threshold comes upon in one video: at a score, so many false and true finds."""

    score_N: NDArray[np.floating[Any]]
    false_N: NDArray[Any]
    true_N: NDArray[Any]


def frames(clip: Clip) -> Points:
    """Return every frame of a clip as a find, false where the frame is normal."""
    return Points(clip.score_T, ~clip.abnormal_T, clip.abnormal_T)


class Curve(NamedTuple):
    """Counts of false and true alarms, shape (R, K) each, growing along K."""

    false_RK: Floats
    true_RK: Floats
    false_R1: Floats
    """all that could be found falsely, the part of the curve that is not here included"""
    true_R1: Floats

    def rates(self) -> Curve:
        """Return the counts as shares of all normal and all abnormal frames; NaN without any."""
        false_RK = _share(self.false_RK, self.false_R1)
        true_RK = _share(self.true_RK, self.true_R1)
        one_R1 = np.ones_like(self.false_R1)
        return Curve(false_RK, true_RK, one_R1, one_R1)


def pooled(clips: Sequence[Clip]) -> Curve:
    """Return the exact curve over the frames of all clips together, R = 1."""
    (curve,) = pieces([frames(clip) for clip in clips], at_once=2**62)
    return curve


def pieces(points: Sequence[Points], at_once: int = _PIECE) -> Iterator[Curve]:
    """Yield the exact curve over all points (R = 1) piece by piece, from the highest score.

    A piece begins where the one before ended. About `at_once` scores are sorted at a time, so
    the memory beyond the points themselves stays small however many there are.
    """
    false = np.array([[float(sum(int(p.false_N.sum()) for p in points))]])
    true = np.array([[float(sum(int(p.true_N.sum()) for p in points))]])
    begun = np.zeros((2, 1))
    for part in _from_the_top(points, at_once):
        counts_2K = np.concatenate([begun, begun + _cumulated(part)], axis=1)
        yield Curve(counts_2K[:1], counts_2K[1:], false, true)
        begun = counts_2K[:, -1:]


def _from_the_top(points: Sequence[Points], at_once: int) -> Iterator[Points]:
    """Yield all points, highest first; equal scores stay together."""
    total = sum(len(p.score_N) for p in points)
    if total <= at_once:
        yield _joined(points)
        return
    sample_N = np.concatenate([p.score_N[:: max(1, total // _SAMPLE)] for p in points])
    shares = np.linspace(1, 0, 2 * total // at_once + 2)[1:]
    upper = None
    for edge in np.unique(np.quantile(sample_N, shares, method="lower"))[::-1]:
        yield _joined([_between(p, edge, upper) for p in points])
        yield _summed([_equal(p, edge) for p in points], edge)
        upper = edge
    yield _joined([_between(p, None, upper) for p in points])


def _between(points: Points, low: float | None, high: float | None) -> Points:
    inside_N = np.ones(len(points.score_N), bool) if low is None else points.score_N > low
    if high is not None:
        inside_N &= points.score_N < high
    return _where(points, inside_N)


def _equal(points: Points, value: float) -> Points:
    return _where(points, points.score_N == value)


def _where(points: Points, chosen_N: NDArray[np.bool_]) -> Points:
    return Points(*(array[chosen_N] for array in points))


def _joined(points: Sequence[Points]) -> Points:
    return Points(*(np.concatenate(arrays) for arrays in zip(*points, strict=True)))


def _summed(points: Sequence[Points], score: float) -> Points:
    false, true = (
        np.array([sum(int(array.sum()) for array in arrays)])
        for arrays in ([p.false_N for p in points], [p.true_N for p in points])
    )
    return Points(np.array([score]), false, true)


def _cumulated(points: Points) -> Floats:
    """Return false and true finds at each level from the highest score, shape (2, K)."""
    order = np.argsort(points.score_N)[::-1]
    score_N = points.score_N[order]
    last_of_level = np.flatnonzero(np.append(score_N[1:] != score_N[:-1], True)[: len(order)])
    sides = (points.false_N, points.true_N)
    counts = [np.cumsum(side[order], dtype=np.int64)[last_of_level] for side in sides]
    return np.array(counts, dtype=np.float64)


class Levels(NamedTuple):
    """Finds of each video at each level of score, highest first."""

    false_VK: Floats
    true_VK: Floats

    def drawn(self, weights_RV: NDArray[Any]) -> Curve:
        """Return one curve per row of weights, in which video v counts `weights_RV[r, v]` times."""
        weights_RV = weights_RV.astype(np.float64)
        sums = [np.cumsum(weights_RV @ counts_VK, axis=1) for counts_VK in self]
        false_RK, true_RK = (_from_zero(sum_RK) for sum_RK in sums)
        return Curve(false_RK, true_RK, false_RK[:, -1:], true_RK[:, -1:])


def quantised(points: Sequence[Points], levels: int = LEVELS) -> Levels:
    """Return what each video finds at common levels of score.

    More scores than `levels` are rounded down to quantiles of all of them, which lie closer
    towards the highest; that moves an area by less than 1 / levels and turns any number of
    resamples into two matrix products.
    """
    edges = _edges(points, levels)
    counts = np.zeros((2, len(points), len(edges) + 1))
    for number, (score_N, false_N, true_N) in enumerate(points):
        level_N = len(edges) - np.searchsorted(edges, score_N, side="right")
        for side, finds_N in enumerate((false_N, true_N)):
            counts[side, number] = np.bincount(level_N, finds_N, minlength=len(edges) + 1)
    return Levels(counts[0], counts[1])


def resampled(clips: Sequence[Clip], weights_RV: NDArray[Any], levels: int = LEVELS) -> Curve:
    """Return one curve of frames per row of weights, as `Levels.drawn`."""
    return quantised([frames(clip) for clip in clips], levels).drawn(weights_RV)


def _edges(points: Sequence[Points], levels: int) -> Floats:
    total = sum(len(p.score_N) for p in points)
    step = max(1, total // _SAMPLE)
    sample_N = np.concatenate([p.score_N[::step] for p in points]).astype(np.float64)
    values = np.unique(sample_N)
    if step == 1 and len(values) <= levels:
        return values
    even = np.linspace(0, 1, 3 * levels // 4)
    near_the_top = 1 - np.logspace(-7, 0, levels // 4)
    shares = np.concatenate([even, near_the_top])
    return np.unique(np.quantile(sample_N, shares, method="lower"))


def area(curve: Curve) -> Floats:
    """Return the area under the ROC curve, shape (R,); NaN where a class is missing.

    Of a piece of a curve: its share, so that all pieces add up to the area.
    """
    mean_RK = (curve.true_RK[:, 1:] + curve.true_RK[:, :-1]) / 2
    right_R = (np.diff(curve.false_RK) * mean_RK).sum(axis=1)
    return _share(right_R[:, None], curve.false_R1 * curve.true_R1)[:, 0]


def _share(counts_RK: Floats, total_R1: Floats) -> Floats:
    return np.divide(
        counts_RK, total_R1, out=np.full_like(counts_RK, np.nan), where=total_R1 > 0
    )


def _from_zero(counts_RK: Floats) -> Floats:
    return np.concatenate([np.zeros((len(counts_RK), 1)), counts_RK], axis=1)
