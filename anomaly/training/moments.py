"""Sums over vectors from which a mean, a deviation and a shrunk covariance follow.

The sums of two parts add up to those of the whole, so a fit can see every vector of an archive
in bounded memory and in parallel. Equal up to the rounding of float64, and to the last bit when
the parts and their order are the same.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import FloatArray
from anomaly.training.sampling import nothing_to_learn, usable_cells
from anomaly.windows.bags import Bag

_GROUPS = 16  # parts that are added up side by side; so many sums are in memory at most


class Addable(Protocol):
    """Something that adds up."""

    def __add__(self, other: Self, /) -> Self:
        """Return the sum."""


Sums = TypeVar("Sums", bound=Addable)


@dataclass(frozen=True)
class Spread:
    """Number, mean and summed squared deviations of some vectors."""

    n: int
    mean_D: NDArray[np.float64]
    squares_D: NDArray[np.float64]

    @classmethod
    def of(cls, vectors_ND: FloatArray) -> Self:
        """Return the sums over one part; it has one vector at least."""
        mean_D = vectors_ND.mean(axis=0, dtype=np.float64)
        return cls(len(vectors_ND), mean_D, np.square(vectors_ND - mean_D).sum(axis=0))

    def __add__(self, other: Self) -> Self:
        """Return the sums over both parts (Chan, Golub, LeVeque 1979)."""
        n = self.n + other.n
        step_D = other.mean_D - self.mean_D
        return type(self)(
            n,
            self.mean_D + step_D * (other.n / n),
            self.squares_D + other.squares_D + np.square(step_D) * (self.n * other.n / n),
        )

    @property
    def scale_D(self) -> NDArray[np.float64]:
        """Standard deviation of each dimension, 1 for a constant one."""
        deviation_D = np.sqrt(self.squares_D / self.n)
        return np.where(deviation_D > 0, deviation_D, 1.0)

    def standardised(self, vectors_ND: FloatArray) -> NDArray[np.float64]:
        """Return the vectors with mean 0 and variance 1 in each dimension."""
        standard_ND: NDArray[np.float64] = (vectors_ND - self.mean_D) / self.scale_D
        return standard_ND


@dataclass(frozen=True)
class Moments:
    """Summed outer products, and summed fourth powers of lengths, of some centred vectors."""

    n: int
    products_DD: NDArray[np.float64]
    fourth: float

    @classmethod
    def of(cls, centred_ND: NDArray[np.float64]) -> Self:
        """Return the sums over one part."""
        fourth = float(np.square(np.square(centred_ND).sum(axis=1)).sum())
        return cls(len(centred_ND), centred_ND.T @ centred_ND, fourth)

    def __add__(self, other: Self) -> Self:
        """Return the sums over both parts."""
        return type(self)(
            self.n + other.n,
            self.products_DD + other.products_DD,
            self.fourth + other.fourth,
        )

    def ledoit_wolf(self) -> NDArray[np.float64]:
        """Return the covariance, shrunk towards a multiple of the identity.

        Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
        matrices", 2004, in the form of `sklearn.covariance.ledoit_wolf`.
        """
        covariance_DD = self.products_DD / self.n
        dimension = len(covariance_DD)
        level = float(np.trace(covariance_DD)) / dimension
        squared = float(np.square(covariance_DD).sum())
        error = (self.fourth / self.n - squared) / (self.n * dimension)
        distance = squared / dimension - level**2
        share = min(max(error, 0.0), distance) / distance if distance > 0 else 0.0
        return (1 - share) * covariance_DD + share * level * np.eye(dimension)


def add_up(of: Callable[[FloatArray], Sums], bags: Sequence[Bag], input_name: str) -> Sums:
    """Return the sums over every usable vector of all bags, read block by block.

    Videos are dealt to at most 16 Dask tasks, which run in threads; the order of adding is fixed.

    Raises:
        StoreError: no bag has a usable vector, or vectors differ in length or are not finite.
    """
    from dask.base import compute
    from dask.delayed import delayed

    step = max(1, -(-len(bags) // _GROUPS))
    groups = [bags[start : start + step] for start in range(0, len(bags), step)]
    tasks = [delayed(add_up_part)(of, group, input_name) for group in groups]
    parts = compute(*tasks, scheduler="threads")  # type: ignore[no-untyped-call]
    found = [part for part in parts if part is not None]
    if not found:
        raise nothing_to_learn(bags)
    return functools.reduce(operator.add, found)


def add_up_part(
    of: Callable[[FloatArray], Sums], bags: Sequence[Bag], input_name: str
) -> Sums | None:
    """Return the sums over some bags, one after the other; None without a usable vector."""
    total: Sums | None = None
    for block in usable_cells(bags, input_name):
        if len(block.values_ND):
            part = of(block.values_ND)
            total = part if total is None else total + part
    return total
