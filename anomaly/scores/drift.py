"""Is what a camera shows now still what its model was judged on? Two samples, and honest chances.

Scores are compared by the population stability index (Siddiqi, Credit Risk Scorecards, 2006: over the
tenths of the reference) and by the greatest distance of the two distributions (Kolmogorov 1933, Smirnov
1948); features by the maximum mean discrepancy (Gretton et al., JMLR 2012: unbiased, Gaussian kernel whose
width is the median distance).

Neighbouring frames are one observation, so the textbook p of these would be far too small. Here whole
units, stretches of at most five minutes of one video, are dealt anew to both sides (a permutation test over
units), and all deals are tried where they are few.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

UNIT_SECONDS = 300.0
"""longest stretch of a video that is taken for one observation"""
UNIT_SCORES = 16
"""scores that are looked at in one of them"""
MOST_UNITS = 256
DEALS = 499
MORE_DEALS = 9_999
"""tried where hardly any of the first made as large a difference: many cameras ask for small chances"""
_TENTHS = 10
_GRID = 128
_PSEUDO = 0.5
"""counts added to every tenth, so that an empty one is no infinite change"""

Floats = NDArray[np.floating[Any]]


class Sample(NamedTuple):
    """Observations, and the unit that each belongs to."""

    values_N: Floats
    """scores (N,) or vectors (N, D)"""
    unit_N: NDArray[np.integer[Any]]
    """numbers from 0"""

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.unit_N.max(initial=-1)) + 1

    @classmethod
    def of(cls, units: Iterable[Floats]) -> Self:
        """Return the sample of these units, at most `MOST_UNITS` of them, spread evenly; empty ones go."""
        some = [unit for unit in units if len(unit)]
        if len(some) > MOST_UNITS:
            chosen = np.linspace(0, len(some) - 1, MOST_UNITS).round().astype(int)
            some = [some[place] for place in chosen]
        values = np.concatenate(some) if some else np.zeros(0)
        return cls(values, np.repeat(np.arange(len(some)), [len(unit) for unit in some]))


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far two samples are apart, and how often chance alone brings them as far."""

    size: float
    """population stability index of scores, squared discrepancy of features (may be below 0)"""
    distance: float | None
    """greatest distance of the distributions of scores, 0 to 1; None for features"""
    p: float
    """share of deals of the units with as large a difference (in distance, or discrepancy)"""
    least_p: float
    """smallest p that so few units can give"""
    higher: bool | None
    """whether recent scores are higher in the median; None for features"""
    reference_units: int
    recent_units: int


def units_of(
    score_T: Floats, seconds_T: Floats, usable_T: NDArray[np.bool_]
) -> list[NDArray[np.float32]]:
    """Return some scores of each unit of one video, evenly spread over its usable frames."""
    score_U, seconds_U = score_T[usable_T], seconds_T[usable_T]
    if not len(score_U):
        return []
    unit_U = ((seconds_U - seconds_T[0]) // UNIT_SECONDS).astype(np.int64)
    cuts = np.flatnonzero(np.diff(unit_U)) + 1
    return [_spread(part).astype(np.float32) for part in np.split(score_U, cuts)]


def score_drift(reference: Sample, recent: Sample, generator: np.random.Generator) -> Drift:
    """Compare scores; both samples hold at least one."""
    from scipy.stats import ks_2samp

    pooled = np.concatenate([reference.values_N, recent.values_N])
    grid = np.unique(np.quantile(pooled, np.linspace(0, 1, _GRID)))
    counts_UG = np.concatenate([_counts(reference, grid), _counts(recent, grid)])

    def distances(recent_RU: NDArray[np.bool_]) -> Floats:
        below = [
            np.cumsum(some_RU.astype(np.float32) @ counts_UG, axis=1)
            for some_RU in (recent_RU, ~recent_RU)
        ]
        shares = [one / one[:, -1:] for one in below]
        greatest_R: Floats = np.abs(shares[0] - shares[1]).max(axis=1)
        return greatest_R

    p, least_p = permutation_p(distances, reference.units, recent.units, generator)
    return Drift(
        size=stability_index(reference.values_N, recent.values_N),
        distance=float(ks_2samp(reference.values_N, recent.values_N).statistic),
        p=p,
        least_p=least_p,
        higher=bool(np.median(recent.values_N) > np.median(reference.values_N)),
        reference_units=reference.units,
        recent_units=recent.units,
    )


def feature_drift(reference: Sample, recent: Sample, generator: np.random.Generator) -> Drift:
    """Compare vectors; both samples hold two units or more."""
    vectors_ND = np.concatenate([reference.values_N, recent.values_N]).astype(np.float64)
    unit_N = np.concatenate([reference.unit_N, recent.unit_N + reference.units])
    kernel_NN = gaussian_kernel(vectors_ND)
    np.fill_diagonal(kernel_NN, 0.0)
    member_UN = (unit_N == np.arange(unit_N.max() + 1)[:, None]).astype(np.float64)
    sums_UU = member_UN @ kernel_NN @ member_UN.T
    sizes_U = member_UN.sum(axis=1)

    def discrepancies(recent_RU: NDArray[np.bool_]) -> Floats:
        one, other = recent_RU.astype(np.float64), (~recent_RU).astype(np.float64)
        n_R, m_R = one @ sizes_U, other @ sizes_U
        within_one, within_other, between = (
            np.einsum("ru,ru->r", left @ sums_UU, right)
            for left, right in ((one, one), (other, other), (one, other))
        )
        found_R: Floats = (
            within_one / (n_R * (n_R - 1))
            + within_other / (m_R * (m_R - 1))
            - 2 * between / (n_R * m_R)
        )
        return found_R

    p, least_p = permutation_p(discrepancies, reference.units, recent.units, generator)
    return Drift(
        size=float(discrepancies(_as_dealt(reference.units, recent.units))[0]),
        distance=None,
        p=p,
        least_p=least_p,
        higher=None,
        reference_units=reference.units,
        recent_units=recent.units,
    )


def stability_index(reference_N: Floats, recent_N: Floats) -> float:
    """Return the population stability index over the tenths of the reference: 0 where all is as it was."""
    edges = np.quantile(reference_N, np.arange(1, _TENTHS) / _TENTHS)
    shares = []
    for values_N in (reference_N, recent_N):
        counts = np.bincount(np.searchsorted(edges, values_N), minlength=_TENTHS) + _PSEUDO
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def standardised(reference: Sample, recent: Sample) -> tuple[Sample, Sample]:
    """Return the vectors with the spread of every column taken out, that of both samples together."""
    spread_D = np.concatenate([reference.values_N, recent.values_N]).std(axis=0)
    scale_D = np.where(spread_D > 0, spread_D, 1.0)
    one, other = (
        sample._replace(values_N=sample.values_N / scale_D) for sample in (reference, recent)
    )
    return one, other


def gaussian_kernel(vectors_ND: Floats) -> NDArray[np.float64]:
    """Return the kernel of all pairs, shape (N, N); its width is the median distance of two vectors."""
    from scipy.spatial.distance import cdist, pdist

    width = float(np.median(pdist(vectors_ND))) or 1.0
    return np.exp(-cdist(vectors_ND, vectors_ND, "sqeuclidean") / (2 * width**2))


def permutation_p(
    statistic: Callable[[NDArray[np.bool_]], Floats],
    reference_units: int,
    recent_units: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Return the share of deals with a statistic as large as that of the true one, and the least it can be.

    Args:
        statistic: takes deals, (R, U) True where a unit is dealt to the recent side; reference units come
            first. Returns (R,).
        reference_units: how many there are.
        recent_units: how many there are.
        generator: deals, where there are too many to try them all.
    """
    total = reference_units + recent_units
    true = float(statistic(_as_dealt(reference_units, recent_units))[0])
    slack = 1e-9 * max(1.0, abs(true))
    if math.comb(total, recent_units) <= DEALS + 1:
        every = list(combinations(range(total), recent_units))
        dealt = np.zeros((len(every), total), dtype=bool)
        np.put_along_axis(dealt, np.array(every, dtype=np.int64), True, axis=1)  # noqa: FBT003 - numpy's own
        return float(np.mean(statistic(dealt) >= true - slack)), 1 / len(every)
    reached, tried = 1, 1
    for deals in (DEALS, MORE_DEALS - DEALS):
        ranks = generator.random((deals, total)).argsort(axis=1).argsort(axis=1)
        reached += int(np.sum(statistic(ranks < recent_units) >= true - slack))
        tried += deals
        if reached > 2:
            break
    return reached / tried, 1 / (MORE_DEALS + 1)


def _as_dealt(reference_units: int, recent_units: int) -> NDArray[np.bool_]:
    return (np.arange(reference_units + recent_units) >= reference_units)[None]


def _counts(sample: Sample, grid: Floats) -> NDArray[np.float32]:
    """Return how many values of each unit lie up to each point of the grid and beyond the one before."""
    place_N = np.searchsorted(grid, sample.values_N).clip(max=len(grid) - 1)
    counts_UG = np.zeros((sample.units, len(grid)), dtype=np.float32)
    np.add.at(counts_UG, (sample.unit_N, place_N), 1)
    return counts_UG


def _spread(values: Floats) -> Floats:
    if len(values) <= UNIT_SCORES:
        return values
    return values[np.linspace(0, len(values) - 1, UNIT_SCORES).round().astype(int)]
