"""Distance to the nearest remembered normal vector of the same place, at about the same time of day.

The same-place search of Li et al., "Target before shooting: accurate anomaly detection and localization
under one millisecond via cascade patch retrieval" (CPR, 2023), among the normal video of one camera:
neighbours come from the same cell of the grid or one beside it and, where the files tell when they begin,
from hours alike. Where we depart: no learnt metric and no retrieval of whole pictures. A cell that has no
neighbour left under a restriction is compared without it, and lies farther away by one for each that is
given up (a group of features has variance 1). Of plain vectors only the hour can be alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores
from anomaly.features import FeatureBlock
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.bank import k_centre, project
from anomaly.training.exact import round_for_products
from anomaly.training.groups import group_scale, usual_groups
from anomaly.training.sampling import Reservoir, nothing_to_learn, scored_blocks, usable_cells
from anomaly.training.squares import best_square
from anomaly.windows.bags import Bag

_CHUNK = 256  # cells whose distances are in memory together


@spec
class SamePlaceParameters:
    """What a `same_place` detector remembers, and what it compares with."""

    sample: Annotated[int, Field(ge=1)] = 40_000
    """vectors drawn uniformly from the training videos"""
    bank: Annotated[int, Field(ge=1)] = 4_000
    """vectors of the sample that are remembered, the same number for each place and part of the day"""
    reach: Annotated[int, Field(ge=0)] = 1
    """cells to each side that still are the same place"""
    hours: Annotated[float, Field(gt=0, le=12)] = 2.0
    """how far apart two times of day may be and still be alike; 12: any two are"""
    squares: bool = True
    """cells of a grid count by squares of 2 x 2 of them: what is strange must be strange in a whole one"""


class SamePlace(Detector):
    """Scores a row by its most unfamiliar square of cells.

    State: `grid` of the first training video, to which the places of other grids are scaled; `mean_D`,
    `scale_D`; and of the remembered vectors `bank_KD`, `place_K2` and `hour_K`, NaN where it is unknown.
    """

    Parameters = SamePlaceParameters
    parameters: SamePlaceParameters
    paper = "Li et al.: Cascade patch retrieval (CPR), 2023"
    reads_clock = True

    grid: NDArray[np.int64]
    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    bank_KD: NDArray[np.float64]
    place_K2: NDArray[np.int64]
    hour_K: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        reservoir = Reservoir(self.parameters.sample, context.generator)
        dimension = None
        for bag in bags:
            for cells in usable_cells([bag], self.input, dimension):
                if dimension is None:
                    self.grid = np.array(cells.grid or (1, 1))
                dimension = cells.values_ND.shape[1]
                where = self._places(cells), hours_of(bag, cells)[:, None]
                columns = [cells.values_ND, *(one.astype(np.float32) for one in where)]
                reservoir.add(np.concatenate(columns, axis=1))
        if reservoir.n_seen == 0 or dimension is None:
            raise nothing_to_learn(bags)
        sample_NF = reservoir.sample()
        vectors_ND = sample_NF[:, :dimension].astype(np.float32)
        place_N2, hour_N = sample_NF[:, dimension:-1].astype(np.int64), sample_NF[:, -1]
        groups = usual_groups(self.inputs[self.input].backbone, dimension)
        self.mean_D = vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale_D = group_scale(vectors_ND, groups)
        rounded_ND = self._scaled(vectors_ND)
        chosen_K = self._chosen(rounded_ND, place_N2, hour_N, context.generator)
        self.bank_KD, self.place_K2 = rounded_ND[chosen_K], place_N2[chosen_K]
        self.hour_K = hour_N[chosen_K]
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            rounded_ND = self._scaled(block.values_ND)
            place_N2, hour_N = self._places(block), hours_of(bag, block)
            distance_N = np.empty(len(rounded_ND))
            for start in range(0, len(rounded_ND), _CHUNK):
                some = slice(start, start + _CHUNK)
                distance_N[some] = self._distance(
                    rounded_ND[some], place_N2[some], hour_N[some]
                )
            if self.parameters.squares:
                distance_N = best_square(block, distance_N)
            yield WindowScores.of_cells(first_row, block, distance_N)

    def _distance(
        self,
        rounded_ND: NDArray[np.float64],
        place_N2: NDArray[np.int64],
        hour_N: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        gap_NK = np.square(self.bank_KD).sum(axis=1) - 2.0 * (rounded_ND @ self.bank_KD.T)
        away_NK = np.abs(place_N2[:, None] - self.place_K2).max(axis=2)
        near_NK = away_NK <= self.parameters.reach
        alike_NK = near_NK & (apart(hour_N[:, None], self.hour_K) <= self.parameters.hours)
        given_up_N = 2 - near_NK.any(axis=1) - alike_NK.any(axis=1).astype(np.int64)
        near_NK[~near_NK.any(axis=1)] = True
        alike_NK = np.where(alike_NK.any(axis=1)[:, None], alike_NK, near_NK)
        least_N = np.where(alike_NK, gap_NK, np.inf).min(axis=1)
        least_N += np.square(rounded_ND).sum(axis=1)
        return np.sqrt(np.maximum(least_N, 0.0)) + given_up_N

    @override
    def state(self) -> Arrays:
        return {
            "grid": self.grid,
            "mean": self.mean_D,
            "scale": self.scale_D,
            "bank": self.bank_KD,
            "place": self.place_K2,
            "hour": self.hour_K,
        }

    @override
    def load_state(self, state: Arrays) -> None:
        self.grid, self.mean_D, self.scale_D = (
            state[name] for name in ("grid", "mean", "scale")
        )
        self.bank_KD, self.place_K2, self.hour_K = (
            state[name] for name in ("bank", "place", "hour")
        )

    def _chosen(
        self,
        rounded_ND: NDArray[np.float64],
        place_N2: NDArray[np.int64],
        hour_N: NDArray[np.float64],
        generator: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Return which vectors are remembered: some far apart of every place and part of the day."""
        part_N = np.nan_to_num(hour_N // self.parameters.hours, nan=-1.0).astype(np.int64)
        kinds_N3 = np.column_stack([place_N2, part_N])
        _, kind_N = np.unique(kinds_N3, axis=0, return_inverse=True)
        members = [np.flatnonzero(kind_N == kind) for kind in range(int(kind_N.max()) + 1)]
        each = max(1, self.parameters.bank // len(members))
        short_NP = project(rounded_ND, generator)
        return np.concatenate([own[k_centre(short_NP[own], each)] for own in members])

    def _scaled(self, vectors_ND: FloatArray) -> NDArray[np.float64]:
        return round_for_products((vectors_ND - self.mean_D) / self.scale_D)

    def _places(self, block: FeatureBlock) -> NDArray[np.int64]:
        """Return row and column of each cell in the detector's own grid, shape (N, 2)."""
        if block.place_N2 is None or block.grid is None:
            return np.zeros((len(block.values_ND), 2), dtype=np.int64)
        own_N2: NDArray[np.int64] = (
            block.place_N2.astype(np.int64) * self.grid // np.array(block.grid)
        )
        return own_N2


def hours_of(bag: Bag, block: FeatureBlock) -> NDArray[np.float64]:
    """Return the time of day of each cell in hours, shape (N,); NaN where nobody knows it."""
    begun = np.nan if bag.clock_hours is None else bag.clock_hours
    hours_N: NDArray[np.float64] = (begun + block.seconds_T[block.row_N] / 3600) % 24
    return hours_N


def apart(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return how many hours lie between two times of day, at most 12; 0 where one is unknown."""
    hours: FloatArray = np.nan_to_num(np.abs((one - other + 12) % 24 - 12), nan=0.0)
    return hours
