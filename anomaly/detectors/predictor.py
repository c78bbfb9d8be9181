"""How badly the next feature vector was foreseen.

A GRU (Cho et al. 2014) reads a window of feature vectors and predicts the one that follows each; the
error of the last prediction is the score: future-frame prediction (Liu et al., "Future frame
prediction for anomaly detection", CVPR 2018) on features instead of pixels. The network predicts
the change from the vector before, so that it starts at "nothing changes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import FitContext, Published, WindowFormula, WindowScores
from anomaly.detectors._network import NetworkDetector
from anomaly.spec import spec
from anomaly.training.formulas import rms, standardised
from anomaly.training.inputs import sample_windows, windows_to_learn
from anomaly.training.loop import TrainingSpec
from anomaly.training.networks import in_batches
from anomaly.training.rows import row_vectors
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_windows


@spec
class PredictorParameters:
    """What a `predictor` looks at and how it is trained."""

    rows: Annotated[int, Field(ge=1)] = 8
    """rows that the network reads before the one that it is scored on"""
    hidden: Annotated[int, Field(ge=1)] = 64
    """units of the GRU"""
    windows: Annotated[int, Field(ge=1)] = 20_000
    """windows drawn uniformly from the training videos"""
    training: TrainingSpec = TrainingSpec()
    """epochs, batch, learning rate, early stopping"""


class Predictor(NetworkDetector["_Network"]):
    """Scores a row by the error with which it was predicted from the rows before it.

    The first `rows` rows of a video cannot be predicted and get no score of their own. State: the
    mean and scale that standardise rows, and the network's weights.
    """

    Parameters = PredictorParameters
    parameters: PredictorParameters
    paper = "Liu, Luo, Lian, Gao: Future frame prediction for anomaly detection, CVPR 2018"
    published = (
        Published(
            "UCSD Ped2", "AUC 95.4 %", "pixels and optical flow; scores normalised per clip"
        ),
        Published(
            "CUHK Avenue", "AUC 85.1 %", "pixels and optical flow; scores normalised per clip"
        ),
        Published(
            "ShanghaiTech", "AUC 72.8 %", "pixels and optical flow; scores normalised per clip"
        ),
    )

    @property
    @override
    def support_rows(self) -> int:
        return self.parameters.rows

    @override
    def make_network(self, dimension: int) -> _Network:
        return _Network(dimension, self.parameters.hidden)

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        sample = (self.input, self._window, self.parameters.windows, context.generator)
        windows_NLD = windows_to_learn(bags, *sample)
        held_out_NLD = sample_windows(validation, *sample)
        self.learn(windows_NLD, held_out_NLD, _loss, self.parameters.training, context)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        describe = partial(row_vectors, bag, dimension=len(self.standard.mean_D))
        for windows_NLD, rows_NL in read_windows(bag, self.input, self._window, describe):
            errors_N = self._errors(self.standard(windows_NLD))
            yield WindowScores(errors_N[:, None], rows_NL[:, -1:])

    @override
    def formula(self, bag: Bag) -> WindowFormula:
        return WindowFormula(
            lambda windows: rms(self._missed(standardised(windows, self.standard)))[:, None],
            self._window,
            slice(-1, None),
        )

    @property
    def _window(self) -> WindowSpec:
        return WindowSpec(length=self.parameters.rows + 1)

    def _errors(self, windows_NLD: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the root mean squared error of predicting each window's last row."""
        missed_ND = in_batches(self._missed, windows_NLD)
        return np.sqrt(np.square(missed_ND).mean(axis=1))

    def _missed(self, windows_BLD: Tensor) -> Tensor:
        missed_BD: Tensor = self.network(windows_BLD)[:, -1] - windows_BLD[:, -1]
        return missed_BD


class _Network(nn.Module):
    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(dimension, hidden, batch_first=True)
        self.change = nn.Linear(hidden, dimension)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    @override
    def forward(self, windows_BLD: Tensor) -> Tensor:
        """Return the prediction of rows 1 to L - 1 from the rows before each, (B, L - 1, D)."""
        before_BLD = windows_BLD[:, :-1]
        hidden_BLH, _ = self.gru(before_BLD)
        predicted: Tensor = before_BLD + self.change(hidden_BLH)
        return predicted


def _loss(network: nn.Module, windows_BLD: Tensor) -> Tensor:
    return nn.functional.mse_loss(network(windows_BLD), windows_BLD[:, 1:])
