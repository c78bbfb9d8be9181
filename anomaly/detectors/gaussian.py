"""Mahalanobis distance to one Gaussian of normal vectors.

Rippel, Mertens, Merhof, "Modeling the distribution of normal data in pre-trained deep features"
(Gaussian-AD, ICPR 2020) with the covariance shrunk as in Ledoit and Wolf 2004, and the paper's
two reductions: the components of most variance (PCA) or, better in the paper, of least (NPCA).
Levels of features that stand side by side in a vector have a Gaussian each, and distances add up.
Where we depart: of a grid, every active cell is a vector and the row takes its highest distance;
dimensions are standardised before shrinking, so that none of them sets the scale; the covariance
comes from a uniform sample unless every vector is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

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
from anomaly.training.exact import lengths_through, round_for_products
from anomaly.training.moments import Moments, Spread, Sums, add_up
from anomaly.training.sampling import sample_cells, scored_blocks
from anomaly.windows.bags import Bag

if TYPE_CHECKING:
    from torch import Tensor

_SMALLEST_VARIANCE = 1e-6  # of standardised dimensions; a direction below it is constant
_SHORT = 128  # dimensions up to which distances are exact, which costs more than to read longer vectors


@spec
class GaussianParameters:
    """What a `gaussian` detector learns from."""

    sample: Annotated[int, Field(ge=0)] = 40_000
    """vectors drawn uniformly from the training videos; 0: every vector, summed in chunks"""
    components: Literal["all", "pca", "npca"] = "all"
    """which principal components count: all, those of most variance, or those of least"""
    least_variance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """share of the variance that `npca` keeps and `pca` drops"""
    levels: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """lengths of the parts of a vector that have a Gaussian each; empty: the whole has one"""


class Gaussian(Detector):
    """Scores a row by the Mahalanobis distance of its most unlikely cell.

    Its state is `mean_D` and `scale_D`, which standardise vectors, and for each level `whitening_ED`, an
    upper triangle whose rows map a standardised part to independent components of variance 1.
    """

    Parameters = GaussianParameters
    parameters: GaussianParameters
    paper = "Rippel, Mertens, Merhof: Modeling the distribution of normal data (Gaussian-AD), ICPR 2020"
    published = (
        Published("MVTec AD", "image AUROC 95.8 %", "EfficientNet-B4, all levels summed"),
    )

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    whitenings: list[NDArray[np.float64]]
    """(E, D) of each level"""

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        sample_ND = None
        if self.parameters.sample:
            sample_ND, _ = sample_cells(
                bags, self.input, self.parameters.sample, context.generator
            )
        spread = _summed(Spread.of, sample_ND, bags, self.input)
        self.mean_D = spread.mean_D.astype(np.float32)
        self.scale_D = spread.scale_D.astype(np.float32)
        self.whitenings = [
            self._whitening(
                _summed(partial(_moments, spread, level), sample_ND, bags, self.input)
            )
            for level in self._levels()
        ]
        return self

    def _levels(self) -> list[slice]:
        """Return where the levels lie in a vector.

        Raises:
            SpecError: their lengths do not add up to that of the vectors.
        """
        dimension = len(self.mean_D)
        lengths = self.parameters.levels or (dimension,)
        if sum(lengths) != dimension:
            raise SpecError(
                f"gaussian: levels of {lengths} dimensions make {sum(lengths)}, the vectors of "
                f"{self.input!r} have {dimension}."
            )
        return [slice(*edges) for edges in pairwise(accumulate(lengths, initial=0))]

    def _whitening(self, moments: Moments) -> NDArray[np.float64]:
        variance_D, axes_DD = np.linalg.eigh(moments.ledoit_wolf())
        kept_D = self._kept(variance_D)
        spread_E = np.sqrt(np.maximum(variance_D[kept_D], _SMALLEST_VARIANCE))
        whitening_ED = (axes_DD[:, kept_D] / spread_E).T
        # Turned so that it is a triangle: lengths stay as they are, and cost half as much.
        _, triangle_ED = np.linalg.qr(whitening_ED)
        return round_for_products(triangle_ED)

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        measures = [
            (level, self._measure(level, whitening_ED))
            for level, whitening_ED in zip(self._levels(), self.whitenings, strict=True)
        ]
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            distance_N = np.zeros(len(block.values_ND))
            for level, measure in measures:
                distance_N += measure(block.values_ND[:, level])
            yield WindowScores.of_cells(first_row, block, distance_N)

    def _measure(
        self, level: slice, whitening_ED: NDArray[np.float64]
    ) -> Callable[[FloatArray], NDArray[np.float64]]:
        """Return what tells the distances of that level of vectors."""
        mean_D, scale_D = self.mean_D[level], self.scale_D[level]
        if len(mean_D) > _SHORT:
            from anomaly.training.blocks import LengthsInBlocks

            return LengthsInBlocks((whitening_ED / scale_D).astype(np.float32), mean_D)
        return lambda vectors_ND: lengths_through(
            whitening_ED, vectors_ND, lambda some_MD: (some_MD - mean_D) / scale_D
        )

    @override
    def formula(self, bag: Bag) -> CellFormula:
        from anomaly.training.formulas import length_through, standardised
        from anomaly.training.inputs import Standard

        standard = Standard(self.mean_D, self.scale_D)

        def of_cells(values_ND: Tensor, _: FeatureBlock) -> Tensor:
            standard_ND = standardised(values_ND, standard)
            distances = [
                length_through(whitening_ED, standard_ND[:, level])
                for level, whitening_ED in zip(self._levels(), self.whitenings, strict=True)
            ]
            return sum(distances[1:], start=distances[0])

        return CellFormula(of_cells)

    @override
    def state(self) -> Arrays:
        found: Arrays = {"mean": self.mean_D, "scale": self.scale_D}
        found["whitening"], *others = self.whitenings
        return found | {f"whitening/{n}": one for n, one in enumerate(others, start=1)}

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D = state["mean"]
        self.scale_D = state.get(
            "scale", np.ones_like(self.mean_D)
        )  # once part of the whitening
        others = range(1, len(self._levels()))
        self.whitenings = [
            state["whitening"],
            *(state[f"whitening/{number}"] for number in others),
        ]

    def _kept(self, variance_D: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which components count, given their variances in ascending order."""
        if self.parameters.components == "all":
            return np.ones(len(variance_D), dtype=bool)
        explained_D = np.cumsum(variance_D) / max(float(variance_D.sum()), _SMALLEST_VARIANCE)
        least_D = explained_D <= self.parameters.least_variance
        if self.parameters.components == "pca":
            return ~least_D
        least_D[0] = True
        return least_D


def _summed(
    of: Callable[[FloatArray], Sums],
    sample_ND: FloatArray | None,
    bags: Sequence[Bag],
    input_name: str,
) -> Sums:
    """Return the sums over a sample; over every vector of all bags where there is none."""
    return add_up(of, bags, input_name) if sample_ND is None else of(sample_ND)


def _moments(spread: Spread, level: slice, vectors_ND: FloatArray) -> Moments:
    return Moments.of(spread.standardised(vectors_ND)[:, level])
