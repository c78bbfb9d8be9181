"""Mahalanobis distance to one Gaussian of normal vectors.

Rippel, Mertens, Merhof, "Modeling the distribution of normal data in pre-trained deep features"
(Gaussian-AD, ICPR 2020) with the covariance shrunk as in Ledoit and Wolf 2004, and the paper's
two reductions: the components of most variance (PCA) or, better in the paper, of least (NPCA).
Where we depart: one feature level; of a grid, every active cell is a vector and the row takes
its highest distance; dimensions are standardised before shrinking, so that none of them sets
the scale; the covariance comes from a uniform sample unless every vector is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal, Self

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
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.exact import lengths_through, round_for_products
from anomaly.training.moments import Moments, Spread, add_up
from anomaly.training.sampling import sample_cells, scored_blocks
from anomaly.windows.bags import Bag

_SMALLEST_VARIANCE = 1e-6  # of standardised dimensions; a direction below it is constant


@spec
class GaussianParameters:
    """What a `gaussian` detector learns from."""

    sample: Annotated[int, Field(ge=0)] = 40_000
    """vectors drawn uniformly from the training videos; 0: every vector, summed in chunks"""
    components: Literal["all", "pca", "npca"] = "all"
    """which principal components count: all, those of most variance, or those of least"""
    least_variance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """share of the variance that `npca` keeps and `pca` drops"""


class Gaussian(Detector):
    """Scores a row by the Mahalanobis distance of its most unlikely cell.

    Its state is `mean_D` and `scale_D`, which standardise vectors, and `whitening_ED`, an upper triangle
    whose rows map a standardised vector to independent components of variance 1.
    """

    Parameters = GaussianParameters
    parameters: GaussianParameters
    paper = "Rippel, Mertens, Merhof: Modeling the distribution of normal data (Gaussian-AD), ICPR 2020"
    published = (
        Published("MVTec AD", "image AUROC 95.8 %", "EfficientNet-B4, all levels summed"),
    )

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    whitening_ED: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        if self.parameters.sample:
            vectors_ND, _ = sample_cells(
                bags, self.input, self.parameters.sample, context.generator
            )
            spread = Spread.of(vectors_ND)
            moments = Moments.of(spread.standardised(vectors_ND))
        else:
            spread = add_up(Spread.of, bags, self.input)
            moments = add_up(partial(_standardised_moments, spread), bags, self.input)
        self.mean_D = spread.mean_D.astype(np.float32)
        self.scale_D = spread.scale_D.astype(np.float32)
        variance_D, axes_DD = np.linalg.eigh(moments.ledoit_wolf())
        kept_D = self._kept(variance_D)
        spread_E = np.sqrt(np.maximum(variance_D[kept_D], _SMALLEST_VARIANCE))
        whitening_ED = (axes_DD[:, kept_D] / spread_E).T
        # Turned so that it is a triangle: lengths stay as they are, and cost half as much.
        _, triangle_ED = np.linalg.qr(whitening_ED)
        self.whitening_ED = round_for_products(triangle_ED)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            distance_N = lengths_through(self.whitening_ED, block.values_ND, self._standard)
            yield WindowScores.of_cells(first_row, block, distance_N)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        from anomaly.training.formulas import length_through, standardised
        from anomaly.training.inputs import Standard

        standard = Standard(self.mean_D, self.scale_D)
        return CellFormula(
            lambda values_ND, _: length_through(
                self.whitening_ED, standardised(values_ND, standard)
            )
        )

    @override
    def state(self) -> Arrays:
        return {"mean": self.mean_D, "scale": self.scale_D, "whitening": self.whitening_ED}

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.whitening_ED = state["mean"], state["whitening"]
        self.scale_D = state.get(
            "scale", np.ones_like(self.mean_D)
        )  # once part of the whitening

    def _standard(self, vectors_ND: FloatArray) -> FloatArray:
        standard_ND: FloatArray = (vectors_ND - self.mean_D) / self.scale_D
        return standard_ND

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


def _standardised_moments(spread: Spread, vectors_ND: FloatArray) -> Moments:
    return Moments.of(spread.standardised(vectors_ND))
