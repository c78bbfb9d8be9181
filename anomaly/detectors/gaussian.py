"""Mahalanobis distance to one Gaussian of normal vectors.

Rippel, Mertens, Merhof, "Modeling the distribution of normal data in pre-trained deep features"
(Gaussian-AD, ICPR 2020) with the covariance shrunk as in Ledoit and Wolf 2004. Where we depart:
one feature level; of a grid, every active cell is a vector and the row takes its highest
distance; dimensions are standardised before shrinking, so that none of them sets the scale; the
covariance comes from a uniform sample, so memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores
from anomaly.spec import spec
from anomaly.training.exact import round_for_products
from anomaly.training.sampling import sample_cells, scored_blocks
from anomaly.windows.bags import Bag

_SMALLEST_VARIANCE = 1e-6  # of standardised dimensions; a direction below it is constant


@spec
class GaussianParameters:
    """What a `gaussian` detector learns from."""

    sample: Annotated[int, Field(ge=2)] = 40_000
    """vectors drawn uniformly from the training videos"""


class Gaussian(Detector):
    """Scores a row by the Mahalanobis distance of its most unlikely cell.

    Its state is `mean_D` and `whitening_ED`, whose rows map a centred vector to independent
    components of variance 1.
    """

    Parameters = GaussianParameters
    parameters: GaussianParameters

    mean_D: NDArray[np.float32]
    whitening_ED: NDArray[np.float64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        from sklearn.covariance import ledoit_wolf

        vectors_ND, _ = sample_cells(
            bags, self.input, self.parameters.sample, context.generator
        )
        self.mean_D = vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred_ND = (vectors_ND - self.mean_D).astype(np.float64)
        deviation_D = centred_ND.std(axis=0)
        deviation_D[deviation_D == 0] = 1.0
        covariance_DD, _ = ledoit_wolf(centred_ND / deviation_D, assume_centered=True)
        variance_E, axes_DE = np.linalg.eigh(covariance_DD)
        spread_E = np.sqrt(np.maximum(variance_E, _SMALLEST_VARIANCE))
        self.whitening_ED = round_for_products((axes_DE / spread_E).T / deviation_D)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            centred_ND = round_for_products(block.values_ND - self.mean_D)
            white_NE = centred_ND @ self.whitening_ED.T
            distance_N = np.sqrt(np.square(white_NE).sum(axis=1))
            yield WindowScores.of_cells(first_row, block, distance_N)

    @override
    def state(self) -> Arrays:
        return {"mean": self.mean_D, "whitening": self.whitening_ED}

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.whitening_ED = state["mean"], state["whitening"]
