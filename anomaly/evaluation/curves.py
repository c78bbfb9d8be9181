"""What a sinking threshold finds: true and false alarms, counted from the highest score.

A curve is a pair of arrays (false_RK, true_RK): for each of R resamples, how many normal and
how many abnormal frames score at or above the k-th level; the first level stands above every
score. Equal scores share a level, so ties count half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import expect

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """The frames of one video that count: scores, and which frames are abnormal."""

    video: str
    score_T: Floats
    abnormal_T: NDArray[np.bool_]

    def __post_init__(self) -> None:
        expect("abnormal", self.abnormal_T, "T", T=len(self.score_T))

    @property
    def has_both_classes(self) -> bool:
        """Whether some frames are abnormal and some are not."""
        return bool(self.abnormal_T.any() and not self.abnormal_T.all())


class Curve(NamedTuple):
    """Counts of false and true alarms, shape (R, K) each, growing along K from 0."""

    false_RK: Floats
    true_RK: Floats

    def rates(self) -> Curve:
        """Return the counts as shares of all normal and all abnormal frames; NaN without any."""
        return Curve(*(_share(counts) for counts in self))


def pooled(clips: Sequence[Clip]) -> Curve:
    """Return the exact curve over the frames of all clips together, R = 1."""
    score_N = np.concatenate([clip.score_T for clip in clips])
    abnormal_N = np.concatenate([clip.abnormal_T for clip in clips])
    order = np.argsort(-score_N, kind="stable")
    last_of_level = np.flatnonzero(np.append(np.diff(score_N[order]) != 0, True)[: len(order)])
    counts = (np.cumsum(side[order])[last_of_level] for side in (~abnormal_N, abnormal_N))
    return Curve(*(_from_zero(count[None].astype(np.float64)) for count in counts))


def resampled(
    clips: Sequence[Clip], weights_RV: NDArray[np.integer], levels: int = 4096
) -> Curve:
    """Return one curve per row of weights, in which clip v counts `weights_RV[r, v]` times.

    Scores are rounded to `levels` quantiles first, which moves an area by less than 1 / levels
    and turns all resamples into two matrix products.
    """
    score_N = np.concatenate([clip.score_T for clip in clips])
    edges = np.unique(np.quantile(score_N, np.linspace(0, 1, levels), method="lower"))[::-1]
    n_levels = len(edges)
    false_VK = np.zeros((len(clips), n_levels))
    true_VK = np.zeros((len(clips), n_levels))
    for number, clip in enumerate(clips):
        level_T = n_levels - np.searchsorted(edges[::-1], clip.score_T, side="right")
        true_VK[number] = np.bincount(level_T[clip.abnormal_T], minlength=n_levels)
        false_VK[number] = np.bincount(level_T[~clip.abnormal_T], minlength=n_levels)
    weights_RV = weights_RV.astype(np.float64)
    sums = (np.cumsum(weights_RV @ counts_VK, axis=1) for counts_VK in (false_VK, true_VK))
    return Curve(*(_from_zero(sum_RK) for sum_RK in sums))


def area(curve: Curve) -> Floats:
    """Return the area under the ROC curve, shape (R,); NaN where a class is missing."""
    false_RK, true_RK = curve
    mean_RK = (true_RK[:, 1:] + true_RK[:, :-1]) / 2
    pairs_R = false_RK[:, -1] * true_RK[:, -1]
    right_R = (np.diff(false_RK) * mean_RK).sum(axis=1)
    return np.divide(right_R, pairs_R, out=np.full(len(pairs_R), np.nan), where=pairs_R > 0)


def _share(counts_RK: Floats) -> Floats:
    total_R1 = counts_RK[:, -1:]
    return np.divide(
        counts_RK, total_R1, out=np.full_like(counts_RK, np.nan), where=total_R1 > 0
    )


def _from_zero(counts_RK: Floats) -> Floats:
    return np.concatenate([np.zeros((len(counts_RK), 1)), counts_RK], axis=1)
