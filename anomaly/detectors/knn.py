"""Distance to the nearest remembered normal vector.

Roth et al., "Towards total recall in industrial anomaly detection" (PatchCore, CVPR 2022): a
memory of normal vectors, thinned by greedy k-centre; the distance to the nearest one is the
score. Where we depart: vectors are scaled in groups (for the backbone `motion`: change,
texture, direction), so that a seldom-used direction is not magnified; the place in the picture
is part of the vector; distances are not reweighted. The memory keeps every outlier that it is
shown: training video must be clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores
from anomaly.errors import SpecError
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.exact import round_for_products
from anomaly.training.sampling import locations, sample_cells, scored_blocks
from anomaly.windows.bags import Bag

Groups = tuple[tuple[int, ...], ...]

_GROUPS_OF: dict[str, Groups] = {
    "motion": ((0,), (1, 2), (3, 4, 5, 6)),  # change; texture; right, left, down, up
    "static": ((0,), (1,), (2,)),  # age; share; contrast
}
_PROJECTED = 128  # dimensions in which centres of longer vectors are chosen
_CHUNK = 32  # rows of the table of distances, which stays in the second-level cache


@spec
class KnnParameters:
    """What a `knn` detector remembers."""

    sample: Annotated[int, Field(ge=1)] = 40_000
    """vectors drawn uniformly from the training videos"""
    bank: Annotated[int, Field(ge=1)] = 1_000
    """vectors of the sample that are remembered"""
    location_weight: Annotated[float, Field(ge=0)] = 1.0
    """how much the place in the picture counts; a group of features has variance 1"""
    groups: Groups = ()
    """dimensions that share one scale; empty: three groups for `motion` and for `static`, one
    group for any other backbone"""


class Knn(Detector):
    """Scores a row by its most unfamiliar cell.

    Its state is `mean_D`, `scale_D` and `bank_KE`: the remembered vectors of D scaled features,
    and the place where there is one.
    """

    Parameters = KnnParameters
    parameters: KnnParameters

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    bank_KE: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        capacity = self.parameters.sample
        vectors_ND, places_N2 = sample_cells(bags, self.input, capacity, context.generator)
        self.mean_D = vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale_D = group_scale(vectors_ND, self._groups(vectors_ND.shape[1]))
        sample_NE = round_for_products(self._embed(vectors_ND, places_N2))
        chosen_K = k_centre(project(sample_NE, context.generator), self.parameters.bank)
        self.bank_KE = sample_NE[chosen_K]
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            cells_NE = self._embed(block.values_ND, locations(block))
            distance_N = nearest_distance(round_for_products(cells_NE), self.bank_KE)
            yield WindowScores.of_cells(first_row, block, distance_N)

    @override
    def state(self) -> Arrays:
        return {"mean": self.mean_D, "scale": self.scale_D, "bank": self.bank_KE}

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.scale_D, self.bank_KE = state["mean"], state["scale"], state["bank"]

    def _embed(self, vectors_ND: FloatArray, places_N2: FloatArray) -> NDArray[np.float32]:
        scaled_ND = (vectors_ND - self.mean_D) / self.scale_D
        weight = np.float32(self.parameters.location_weight)
        return np.concatenate([scaled_ND, weight * places_N2], axis=1)

    def _groups(self, dimension: int) -> Groups:
        usual = _GROUPS_OF.get(self.inputs[self.input].backbone, (tuple(range(dimension)),))
        groups = self.parameters.groups or usual
        if sorted(index for group in groups for index in group) != list(range(dimension)):
            raise SpecError(
                f"knn: groups {groups} must name each of the {dimension} dimensions of "
                f"{self.input!r} once."
            )
        return groups


def group_scale(vectors_ND: FloatArray, groups: Groups) -> NDArray[np.float32]:
    """Return for each dimension the root of its group's summed variances, 1 if that is 0."""
    variance_D = vectors_ND.var(axis=0, dtype=np.float64)
    scale_D = np.ones(len(variance_D), dtype=np.float32)
    for group in groups:
        total = float(variance_D[list(group)].sum())
        scale_D[list(group)] = np.sqrt(total) if total > 0 else 1.0
    return scale_D


def project(
    rounded_ND: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return a random projection to 128 dimensions, which nearly keeps distances.

    Only the choice of centres sees it, as in PatchCore. Shorter vectors come back as they are.
    """
    dimension = rounded_ND.shape[1]
    if dimension <= _PROJECTED:
        return rounded_ND
    axes_PD = generator.standard_normal((_PROJECTED, dimension))
    return round_for_products(rounded_ND @ round_for_products(axes_PD).T)


def k_centre(rounded_ND: NDArray[np.float64], n_centres: int) -> NDArray[np.int64]:
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
    rounded_ND: NDArray[np.float64], bank_KD: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the Euclidean distance of each vector to the nearest of the bank, shape (N,).

    Both come from `round_for_products`, so that a vector gets the same distance to the last bit
    whatever it is scored together with.
    """
    norm_K = np.square(bank_KD).sum(axis=1)
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
