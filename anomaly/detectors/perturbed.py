"""Any differentiable one-class detector, whose input is moved against its score before it is scored.

The input perturbation of STATE (Wang et al.), for detectors of features; detectors of pictures have an
option of their own (`perturbation`). Where we depart: each number moves by a share of its spread over
training rows, since features have no common range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from anomaly.detectors import (
    Arrays,
    CellFormula,
    Detector,
    FitContext,
    WindowFormula,
    WindowScores,
    detectors,
)
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.spec import spec
from anomaly.training.networks import in_batches
from anomaly.training.perturbation import perturbed
from anomaly.training.rows import row_vectors
from anomaly.training.sampling import Reservoir, checked, scored_blocks
from anomaly.training.seeding import repeatable
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_windows

_SPREAD_OF = 20_000
"""rows or cells that the spread is taken from"""


@spec
class PerturbedParameters:
    """Which detector, and how far its input is moved."""

    detector: str = "predictor"
    """a one-class detector of features whose score has a slope"""
    options: dict[str, Any] = Field(default_factory=dict)
    """its parameters"""
    epsilon: Annotated[float, Field(gt=0)] = 0.02
    """share of the spread of each number by which it is moved"""


class Perturbed(Detector):
    """Scores as the detector that it wraps does, after a small step that lowers the score.

    State: that of the wrapped detector, and the spread of each number.
    """

    Parameters = PerturbedParameters
    parameters: PerturbedParameters
    calibration = "held_out"
    paper = (
        "Wang et al.: Making reconstruction-based method great again for video anomaly "
        "detection (STATE)"
    )

    def __init__(
        self, parameters: PerturbedParameters, inputs: Mapping[str, FeatureSpec]
    ) -> None:
        super().__init__(parameters, inputs)
        cls = detectors().get(parameters.detector)
        if (
            cls.formula is Detector.formula
            or cls.supervision != "one_class"
            or cls.reads == "pixels"
        ):
            raise SpecError(
                f"Detector {parameters.detector!r} cannot be perturbed: expected a one-class detector of "
                "features whose score has a slope, such as predictor or gaussian."
            )
        self.inner = cls.build(parameters.options, inputs)
        self.spread_D: NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    @override
    def support_rows(self) -> int:
        return self.inner.support_rows

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        self.inner.fit(bags, validation=validation, context=context)
        of_cells = isinstance(self.inner.formula(bags[0]), CellFormula)
        sample = Reservoir(_SPREAD_OF, context.generator)
        for bag in bags:
            for block in bag.usable_blocks(self.input):
                sample.add(
                    checked(block, bag).values_ND if of_cells else row_vectors(bag, block)
                )
        self.spread_D = sample.sample().std(axis=0, dtype=np.float64).astype(np.float32)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        formula = self.inner.formula(bag)
        if isinstance(formula, WindowFormula):
            yield from self._of_windows(formula, bag)
        elif formula is not None:
            yield from self._of_cells(formula, bag)

    @override
    def trainable(self, dimension: int) -> int | None:
        return self.inner.trainable(dimension)

    @override
    def state(self) -> Arrays:
        return {"spread": self.spread_D, **self.inner.state()}

    @override
    def load_state(self, state: Arrays) -> None:
        self.spread_D = state["spread"]
        self.inner.load_state({name: a for name, a in state.items() if name != "spread"})

    def _of_windows(self, formula: WindowFormula, bag: Bag) -> Iterator[WindowScores]:
        describe = partial(row_vectors, bag, dimension=len(self.spread_D))

        def score(windows_NLD: Tensor) -> Tensor:
            return formula.of_windows(self._moved(formula.of_windows, windows_NLD))

        for windows_NLD, rows_NL in read_windows(bag, self.input, formula.window, describe):
            yield WindowScores(in_batches(score, windows_NLD), rows_NL[:, formula.asked])

    def _of_cells(self, formula: CellFormula, bag: Bag) -> Iterator[WindowScores]:
        """Row by row: the last bits of a slope may depend on what is beside it."""
        for first, block in scored_blocks(bag, self.input, len(self.spread_D)):
            with repeatable(), torch.no_grad():
                scores = [
                    self._of_row(formula, block.rows(t, t + 1)) for t in range(len(block))
                ]
            yield WindowScores.of_cells(first, block, np.concatenate(scores))

    def _of_row(self, formula: CellFormula, row: FeatureBlock) -> NDArray[np.float64]:
        def score(values_ND: Tensor) -> Tensor:
            return formula.of_cells(values_ND, row)

        if not len(row.values_ND):
            return np.zeros(0)
        return score(self._moved(score, torch.from_numpy(row.values_ND))).numpy()

    def _moved(self, score: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        epsilon_D = self.parameters.epsilon * torch.from_numpy(self.spread_D)
        return perturbed(lambda moved: score(moved).sum(), inputs, epsilon_D)
