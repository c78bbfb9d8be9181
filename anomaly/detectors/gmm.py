"""Surprise under a mixture of Gaussians of normal vectors.

The density of velocities in Reiss and Hoshen, "Attribute-based representations for accurate and
interpretable video anomaly detection" (AI-VAD, 2022), by scikit-learn's expectation
maximisation. Where we depart: any features; of a grid, every active cell is a vector and the
row takes its most surprising one; -log p is shifted so that its lowest possible value is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

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
from anomaly.spec import spec
from anomaly.training.mixture import CovarianceType, Mixture
from anomaly.training.sampling import sample_cells, scored_blocks
from anomaly.windows.bags import Bag


@spec
class GmmParameters:
    """What a `gmm` detector learns."""

    sample: Annotated[int, Field(ge=2)] = 40_000
    """vectors drawn uniformly from the training videos"""
    components: Annotated[int, Field(ge=1)] = 5
    """Gaussians in the mixture"""
    covariance: CovarianceType = "full"
    """full matrices, or only variances (`diag`) for long vectors"""


class Gmm(Detector):
    """Scores a row by -log p of its most surprising cell. State: the mixture's arrays."""

    Parameters = GmmParameters
    parameters: GmmParameters
    paper = "Reiss, Hoshen: Attribute-based representations for video anomaly detection (AI-VAD), 2022"
    published = (
        Published("UCSD Ped2", "AUC 99.1 %", "objects; velocity, pose and crops fused; micro"),
        Published(
            "CUHK Avenue", "AUC 93.7 %", "objects; velocity, pose and crops fused; micro"
        ),
        Published(
            "ShanghaiTech", "AUC 85.9 %", "objects; velocity, pose and crops fused; micro"
        ),
    )

    mixture: Mixture

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        vectors_ND, _ = sample_cells(
            bags, self.input, self.parameters.sample, context.generator
        )
        self.mixture = Mixture.fit(
            vectors_ND,
            self.parameters.components,
            self.parameters.covariance,
            context.generator,
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        dimension = self.mixture.mean_KD.shape[1]
        for first_row, block in scored_blocks(bag, self.input, dimension):
            surprise_N = self.mixture.surprise(block.values_ND)
            yield WindowScores.of_cells(first_row, block, surprise_N)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        from anomaly.training.formulas import surprise

        return CellFormula(lambda values_ND, _: surprise(self.mixture, values_ND))

    @override
    def state(self) -> Arrays:
        return self.mixture.arrays()

    @override
    def load_state(self, state: Arrays) -> None:
        self.mixture = Mixture.of_arrays(state)
