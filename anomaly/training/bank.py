"""A bank of remembered vectors: how it is chosen, how far a vector lies from it, who vouches for it.

Every remembered vector comes from one of several sides of the training videos (`windows.split.leave_out`).
That gives two things without another fit. A side can be scored as if nothing of it had been learnt. And a
vector that no other side has anything like is doubted: it vouches for no more than others vouch for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly.training.exact import round_for_products

_PROJECTED = 128  # dimensions in which centres of longer vectors are chosen
_CHUNK = 32  # rows of the table of distances, which stays in the second-level cache

Vectors = NDArray[np.float64]
"""from `round_for_products`"""


def project(rounded_ND: Vectors, generator: np.random.Generator) -> Vectors:
    """Return a random projection to 128 dimensions, which nearly keeps distances.

    Only the choice of centres sees it, as in PatchCore. Shorter vectors come back as they are.
    """
    dimension = rounded_ND.shape[1]
    if dimension <= _PROJECTED:
        return rounded_ND
    axes_PD = generator.standard_normal((_PROJECTED, dimension))
    return round_for_products(rounded_ND @ round_for_products(axes_PD).T)


def k_centre(rounded_ND: Vectors, n_centres: int) -> NDArray[np.int64]:
    """Return the indices of at most `n_centres` vectors, each farthest from all before it.

    Gonzalez 1985. Takes vectors from `round_for_products`, begins with the first of them (which
    is any, in a random sample) and ends early when only copies of chosen vectors are left.
    """
    norm_N = np.square(rounded_ND).sum(axis=1)
    gap_N = np.full(len(rounded_ND), np.inf)
    chosen = [0]
    while len(chosen) < n_centres:
        latest = chosen[-1]
        product_N = rounded_ND @ rounded_ND[latest]
        np.minimum(gap_N, norm_N + norm_N[latest] - 2.0 * product_N, out=gap_N)
        farthest = int(gap_N.argmax())
        if gap_N[farthest] <= 0:
            break
        chosen.append(farthest)
    return np.array(chosen, dtype=np.int64)


def nearest_distance(
    rounded_ND: Vectors, bank_KD: Vectors, doubt_K: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the Euclidean distance of each vector to the nearest of the bank, shape (N,).

    With doubts, a remembered vector lies that much farther away, as if in a dimension of its own. Both
    come from `round_for_products`, so that a vector gets the same distance to the last bit whatever it
    is scored together with.
    """
    norm_K = np.square(bank_KD).sum(axis=1)
    if doubt_K is not None:
        norm_K += np.square(doubt_K)
    twice_DK = np.ascontiguousarray(-2.0 * bank_KD.T)
    gap_N = np.empty(len(rounded_ND))
    table_CK = np.empty((_CHUNK, len(bank_KD)))
    for start in range(0, len(rounded_ND), _CHUNK):
        some_CD = rounded_ND[start : start + _CHUNK]
        some_CK = np.matmul(some_CD, twice_DK, out=table_CK[: len(some_CD)])
        some_CK += norm_K
        np.minimum.reduce(some_CK, axis=1, out=gap_N[start : start + _CHUNK])
    gap_N += np.square(rounded_ND).sum(axis=1)
    return np.sqrt(np.maximum(gap_N, 0.0))


@dataclass(frozen=True)
class Witnesses:
    """The bank while its sides are known: right after a fit."""

    bank_KE: Vectors
    side_K: NDArray[np.int16]
    stand_in_KE: Vectors
    """of each remembered vector, the nearest in the sample that is from another side"""
    gap_SF: NDArray[np.float64]
    """distance of each remembered vector, then of each stand-in, to the nearest of every side"""
    side_S: NDArray[np.int16]

    @classmethod
    def of(
        cls,
        sample_NE: Vectors,
        side_N: NDArray[np.int16],
        chosen_K: NDArray[np.int64],
        n_sides: int,
    ) -> Self:
        """Return the bank `sample_NE[chosen_K]` with what the rest of the sample says of it.

        There may be sides of which the sample holds nothing.
        """
        members = [np.flatnonzero(side_N == side) for side in range(n_sides)]
        side_K = side_N[chosen_K]
        gap_KF = _gaps(sample_NE[chosen_K], sample_NE, members)
        nearest_K = chosen_K.copy()
        for side in np.unique(side_K):
            own, others = np.flatnonzero(side_K == side), np.flatnonzero(side_N != side)
            if len(others):
                found = _nearest_index(sample_NE[chosen_K[own]], sample_NE[others])
                nearest_K[own] = others[found]
        return cls(
            sample_NE[chosen_K],
            side_K,
            sample_NE[nearest_K],
            np.concatenate([gap_KF, _gaps(sample_NE[nearest_K], sample_NE, members)]),
            np.concatenate([side_K, side_N[nearest_K]]),
        )

    @property
    def n_sides(self) -> int:
        """How many sides there are."""
        return self.gap_SF.shape[1]

    def doubts(self) -> NDArray[np.float64]:
        """Return how far each remembered vector lies from all other sides, 0 where there is none."""
        return self._doubts()[: len(self.bank_KE)]

    def without(self, side: int) -> tuple[Vectors, NDArray[np.float64]]:
        """Return the bank and doubts as if `side` had not been learnt from.

        Remembered vectors of that side give way to their stand-ins, so that no hole is left where
        others had been like them. Where nobody else has anything, distance is from the origin.
        """
        from_side_K = self.side_K == side
        kept_S = np.concatenate(
            [~from_side_K, from_side_K & (self.side_S[len(from_side_K) :] != side)]
        )
        bank_SE = np.concatenate([self.bank_KE, self.stand_in_KE])
        if not kept_S.any():
            return np.zeros((1, bank_SE.shape[1])), np.zeros(1)
        return bank_SE[kept_S], self._doubts(side)[kept_S]

    def _doubts(self, left_out: int | None = None) -> NDArray[np.float64]:
        gap_SF = _without(self.gap_SF, self.side_S)
        if left_out is not None:
            gap_SF[:, left_out] = np.inf
        doubt_S = gap_SF.min(axis=1)
        return np.where(np.isfinite(doubt_S), doubt_S, 0.0)


def _gaps(
    some_ME: Vectors, sample_NE: Vectors, members: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    gaps = [
        nearest_distance(some_ME, sample_NE[member])
        if len(member)
        else np.full(len(some_ME), np.inf)
        for member in members
    ]
    return np.stack(gaps, axis=1)


def _without(gap_SF: NDArray[np.float64], side_S: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the table with every vector's own side infinitely far away."""
    others_SF = gap_SF.copy()
    others_SF[np.arange(len(side_S)), side_S] = np.inf
    return others_SF


def _nearest_index(some_ME: Vectors, sample_NE: Vectors) -> NDArray[np.int64]:
    """Return which vector of the sample is nearest to each of some vectors."""
    half_N = np.square(sample_NE).sum(axis=1) / 2
    found = np.empty(len(some_ME), dtype=np.int64)
    for start in range(0, len(some_ME), _CHUNK):
        product_CN = some_ME[start : start + _CHUNK] @ sample_NE.T
        found[start : start + _CHUNK] = (half_N - product_CN).argmin(axis=1)
    return found
