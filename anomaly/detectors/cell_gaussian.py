"""Mahalanobis distance to the Gaussian of normal vectors at the same place of the picture.

Defard, Setkov, Loesch, Audigier, "PaDiM: a patch distribution modeling framework for anomaly
detection and localization" (ICPR 2020 workshops): mean and covariance at each grid cell, over a
random subset of the dimensions, 0.01 added to the diagonal. Where we depart: dimensions are
standardised first; a cell that saw few vectors leans on the covariance of all cells together
(as if it had seen `prior` more vectors), because on a motion grid most cells are seldom active;
features have one level. A row of plain vectors has a single place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, CellFormula, Detector, FitContext, WindowScores
from anomaly.features import FeatureBlock
from anomaly.spec import spec
from anomaly.training.exact import round_for_products
from anomaly.training.moments import Spread
from anomaly.training.sampling import sample_cells, scored_blocks, usable_cells
from anomaly.windows.bags import Bag

_RIDGE = 0.01


@spec
class CellGaussianParameters:
    """What a `cell_gaussian` detector learns from."""

    dimensions: Annotated[int, Field(ge=1)] = 100
    """dimensions of the features that are drawn and used, all if there are fewer"""
    prior: Annotated[float, Field(gt=0)] = 20.0
    """vectors that the covariance of all cells together counts for in each cell"""
    sample: Annotated[int, Field(ge=2)] = 40_000
    """vectors that set the scales and the covariance of all cells; cells sum up every vector"""


@dataclass
class _Sums:
    """Number, sum and summed outer products of the vectors of each place."""

    n_G: NDArray[np.float64]
    sum_GD: NDArray[np.float64]
    products_GDD: NDArray[np.float64]

    @classmethod
    def empty(cls, places: int, dimension: int) -> Self:
        return cls(
            np.zeros(places),
            np.zeros((places, dimension)),
            np.zeros((places, dimension, dimension)),
        )

    def add(self, place_N: NDArray[np.int64], vectors_ND: NDArray[np.float64]) -> None:
        for place, chosen_N in _by_place(place_N):
            some_ND = vectors_ND[chosen_N]
            self.n_G[place] += len(some_ND)
            self.sum_GD[place] += some_ND.sum(axis=0)
            self.products_GDD[place] += some_ND.T @ some_ND

    def gaussians(
        self, all_DD: NDArray[np.float64], prior: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means (G, D) and covariances (G, D, D), `prior` vectors N(0, `all_DD`) added."""
        n_G = self.n_G + prior
        mean_GD = self.sum_GD / n_G[:, None]
        second_GDD = (self.products_GDD + prior * all_DD) / n_G[:, None, None]
        return mean_GD, second_GDD - mean_GD[:, :, None] * mean_GD[:, None, :]


class CellGaussian(Detector):
    """Scores a row by the Mahalanobis distance of its cell most unlikely for its place.

    State: `grid` of the first training video, to which the places of other grids are scaled;
    `chosen_D`, `mean_GD` and `whitening_GDD` for each place in row-major order; `dimension` of
    the features.
    """

    Parameters = CellGaussianParameters
    parameters: CellGaussianParameters
    paper = "Defard, Setkov, Loesch, Audigier: PaDiM, ICPR 2020 workshops"

    grid: NDArray[np.int64]
    dimension: NDArray[np.int64]
    chosen_D: NDArray[np.int64]
    mean_GD: NDArray[np.float64]
    whitening_GDD: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        generator = context.generator
        sample_NF, _ = sample_cells(bags, self.input, self.parameters.sample, generator)
        self.dimension = np.array(sample_NF.shape[1])
        self.grid = np.array(bags[0].sources[self.input].grid or (1, 1))
        n_chosen = min(self.parameters.dimensions, sample_NF.shape[1])
        self.chosen_D = np.sort(generator.permutation(sample_NF.shape[1])[:n_chosen])
        spread = Spread.of(sample_NF[:, self.chosen_D])
        standard_ND = spread.standardised(sample_NF[:, self.chosen_D])
        all_DD = standard_ND.T @ standard_ND / len(standard_ND)

        sums = _Sums.empty(int(self.grid.prod()), n_chosen)
        for block in usable_cells(bags, self.input):
            vectors_ND = spread.standardised(block.values_ND[:, self.chosen_D])
            sums.add(self._place(block), vectors_ND)
        mean_GD, covariance_GDD = sums.gaussians(all_DD, self.parameters.prior)
        self.mean_GD = spread.mean_D + mean_GD * spread.scale_D
        self.whitening_GDD = np.stack(
            [
                round_for_products(_whitening(one_DD) / spread.scale_D)
                for one_DD in covariance_GDD
            ]
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, int(self.dimension)):
            vectors_ND = block.values_ND[:, self.chosen_D]
            distance_N = np.zeros(len(vectors_ND))
            for place, chosen_N in _by_place(self._place(block)):
                centred_ND = round_for_products(vectors_ND[chosen_N] - self.mean_GD[place])
                white_ND = centred_ND @ self.whitening_GDD[place].T
                distance_N[chosen_N] = np.sqrt(np.square(white_ND).sum(axis=1))
            yield WindowScores.of_cells(first_row, block, distance_N)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        from anomaly.training.formulas import length_by_place

        return CellFormula(
            lambda values_ND, block: length_by_place(
                self.mean_GD,
                self.whitening_GDD,
                self._place(block),
                values_ND[:, self.chosen_D],
            )
        )

    @override
    def state(self) -> Arrays:
        return {
            "grid": self.grid,
            "dimension": self.dimension,
            "chosen": self.chosen_D,
            "mean": self.mean_GD,
            "whitening": self.whitening_GDD,
        }

    @override
    def load_state(self, state: Arrays) -> None:
        self.grid, self.dimension, self.chosen_D = (
            state[name] for name in ("grid", "dimension", "chosen")
        )
        self.mean_GD, self.whitening_GDD = state["mean"], state["whitening"]

    def _place(self, block: FeatureBlock) -> NDArray[np.int64]:
        """Return the number of the place of each cell in the detector's own grid, shape (N,)."""
        if block.place_N2 is None or block.grid is None:
            return np.zeros(len(block.values_ND), dtype=np.int64)
        own_N2 = block.place_N2.astype(np.int64) * self.grid // np.array(block.grid)
        return own_N2[:, 0] * self.grid[1] + own_N2[:, 1]


def _by_place(place_N: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each place and the indices of its cells."""
    order_N = np.argsort(place_N, kind="stable")
    places, starts = np.unique(place_N[order_N], return_index=True)
    for place, start, stop in zip(
        places, starts, np.append(starts[1:], len(order_N))[: len(starts)], strict=True
    ):
        yield int(place), order_N[start:stop]


def _whitening(covariance_DD: NDArray[np.float64]) -> NDArray[np.float64]:
    variance_D, axes_DD = np.linalg.eigh(covariance_DD)
    whitening_DD: NDArray[np.float64] = (axes_DD / np.sqrt(variance_D + _RIDGE)).T
    return whitening_DD
