"""Distance to the nearest remembered normal vector.

Roth et al., "Towards total recall in industrial anomaly detection" (PatchCore, CVPR 2022): a memory of
normal vectors, thinned by greedy k-centre; the distance to the nearest one is the score. Where we depart:
vectors are scaled in groups (for the backbone `motion`: change, texture, direction), so that a seldom-used
direction is not magnified; the place in the picture is part of the vector, unless it is of `trail`;
distances are not reweighted, but averaged over squares of neighbouring cells. Training video need not be
quite clean: a remembered vector that no other training video has anything like is doubted, and lies
farther away by as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import (
    Arrays,
    CellFormula,
    Detector,
    FitContext,
    Published,
    WindowScores,
)
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.bank import Witnesses, k_centre, nearest_distance, project
from anomaly.training.exact import round_for_products
from anomaly.training.groups import Groups, group_scale, usual_groups
from anomaly.training.sampling import locations, sample_sides, scored_blocks
from anomaly.training.squares import best_square
from anomaly.windows.bags import Bag
from anomaly.windows.split import leave_out

if TYPE_CHECKING:
    from torch import Tensor


_LOCATION_WEIGHT_OF = {"trail": 0.0}


@spec
class KnnParameters:
    """What a `knn` detector remembers."""

    sample: Annotated[int, Field(ge=1)] = 40_000
    """vectors drawn uniformly from the training videos"""
    bank: Annotated[int, Field(ge=1)] = 1_000
    """vectors of the sample that are remembered"""
    location_weight: Annotated[float, Field(ge=0)] | None = None
    """how much the place in the picture counts, where a group of features has variance 1; not given: 1,
    and 0 for `trail`, which means the same in every room"""
    doubt: Annotated[float, Field(ge=0)] = 1.0
    """how much it counts that no other training video has anything like a remembered vector"""
    squares: bool = True
    """cells of a grid count by squares of 2 x 2 of them: what is strange must be strange in a whole one"""
    groups: Groups = ()
    """dimensions that share one scale; empty: three groups for `motion` and for `static`, one
    group for any other backbone"""


class Knn(Detector):
    """Scores a row by its most unfamiliar square of cells.

    Its state is `mean_D`, `scale_D`, `bank_KE`: the remembered vectors of D scaled features, and the
    place where there is one; and `doubt_K`, in the same units.
    """

    Parameters = KnnParameters
    parameters: KnnParameters
    paper = "Roth et al.: Towards total recall in industrial anomaly detection (PatchCore), CVPR 2022"
    published = (
        Published(
            "MVTec AD", "image AUROC 99.1 %", "WideResNet-50 patches, a quarter of them kept"
        ),
    )
    calibration = "left_out"

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    bank_KE: NDArray[np.float64]
    doubt_K: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        own, sides = self.parameters, leave_out(bags)
        vectors_ND, places_N2, side_N = sample_sides(
            sides, self.input, own.sample, context.generator
        )
        self.mean_D = vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale_D = group_scale(vectors_ND, self._groups(vectors_ND.shape[1]))
        sample_NE = round_for_products(self._embed(vectors_ND, places_N2))
        chosen_K = k_centre(project(sample_NE, context.generator), own.bank)
        self._witnesses = Witnesses.of(sample_NE, side_N, chosen_K, len(sides))
        self.bank_KE, self.doubt_K = sample_NE[chosen_K], own.doubt * self._witnesses.doubts()
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        return self._score(bag, self.bank_KE, self.doubt_K)

    @override
    def left_out(self, bags: Sequence[Bag]) -> Iterator[tuple[Bag, Iterator[WindowScores]]]:
        for side, left in enumerate(leave_out(bags)):
            bank_KE, doubt_K = self._witnesses.without(side)
            for bag in left:
                yield bag, self._score(bag, bank_KE, self.parameters.doubt * doubt_K)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        from anomaly.training import formulas
        from anomaly.training.inputs import Standard

        own, standard = self.parameters, Standard(self.mean_D, self.scale_D)

        def of_cells(values_ND: Tensor, block: FeatureBlock) -> Tensor:
            distance_N = formulas.nearest(
                formulas.standardised(values_ND, standard),
                self._location_weight * locations(block),
                self.bank_KE,
                self.doubt_K,
            )
            return formulas.best_square(block, distance_N) if own.squares else distance_N

        return CellFormula(of_cells)

    @override
    def embed(self, block: FeatureBlock, *, placed: bool) -> NDArray[np.float32]:
        return self._embed(block.values_ND, locations(block)[:, : None if placed else 0])

    @override
    def state(self) -> Arrays:
        return {
            "mean": self.mean_D,
            "scale": self.scale_D,
            "bank": self.bank_KE,
            "doubt": self.doubt_K,
        }

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.scale_D, self.bank_KE = state["mean"], state["scale"], state["bank"]
        # Bundles of earlier versions hold no doubts.
        self.doubt_K = state.get("doubt", np.zeros(len(self.bank_KE)))

    def _score(
        self, bag: Bag, bank_KE: NDArray[np.float64], doubt_K: NDArray[np.float64]
    ) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            cells_NE = self._embed(block.values_ND, locations(block))
            distance_N = nearest_distance(round_for_products(cells_NE), bank_KE, doubt_K)
            if self.parameters.squares:
                distance_N = best_square(block, distance_N)
            yield WindowScores.of_cells(first_row, block, distance_N)

    def _embed(self, vectors_ND: FloatArray, places_N2: FloatArray) -> NDArray[np.float32]:
        scaled_ND = (vectors_ND - self.mean_D) / self.scale_D
        return np.concatenate([scaled_ND, self._location_weight * places_N2], axis=1)

    @property
    def _location_weight(self) -> np.float32:
        usual = _LOCATION_WEIGHT_OF.get(self.inputs[self.input].backbone, 1.0)
        given = self.parameters.location_weight
        return np.float32(usual if given is None else given)

    def _groups(self, dimension: int) -> Groups:
        usual = usual_groups(self.inputs[self.input].backbone, dimension)
        groups = self.parameters.groups or usual
        if sorted(index for group in groups for index in group) != list(range(dimension)):
            raise SpecError(
                f"knn: groups {groups} must name each of the {dimension} dimensions of "
                f"{self.input!r} once."
            )
        return groups
