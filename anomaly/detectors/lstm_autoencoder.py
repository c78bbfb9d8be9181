"""How badly a window of feature vectors is remembered.

Srivastava, Mansimov, Salakhutdinov, "Unsupervised learning of video representations using LSTMs"
(ICML 2015): one LSTM reads a window, a second one, which sees nothing but the first one's last
state, writes it back in reverse order. Trained on normal video, it fails at what it never saw.
Where we depart: rows are standardised; the decoder is the paper's unconditioned one; a row's
score is its own error, a mean over the windows that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import FitContext, WindowFormula, WindowScores
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
class LstmAutoencoderParameters:
    """What an `lstm_autoencoder` looks at and how it is trained."""

    rows: Annotated[int, Field(ge=2)] = 16
    """rows in a window; windows overlap by half"""
    hidden: Annotated[int, Field(ge=1)] = 32
    """units of both LSTMs: all that is remembered of a window"""
    windows: Annotated[int, Field(ge=1)] = 20_000
    """windows drawn uniformly from the training videos"""
    training: TrainingSpec = TrainingSpec(learning_rate=3e-3)
    """epochs, batch, learning rate, early stopping"""


class LstmAutoencoder(NetworkDetector["_Network"]):
    """Scores a row by the root mean squared error of its reconstruction.

    State: the mean and scale that standardise rows, and the network's weights.
    """

    Parameters = LstmAutoencoderParameters
    parameters: LstmAutoencoderParameters
    paper = "Srivastava, Mansimov, Salakhutdinov: Unsupervised learning of video, ICML 2015"

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
        learnt = WindowSpec(length=self.parameters.rows)
        sample = (self.input, learnt, self.parameters.windows, context.generator)
        windows_NLD = windows_to_learn(bags, *sample)
        held_out_NLD = sample_windows(validation, *sample)
        self.learn(
            windows_NLD, held_out_NLD, reconstruction_loss, self.parameters.training, context
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        describe = partial(row_vectors, bag, dimension=len(self.standard.mean_D))
        for windows_NLD, rows_NL in read_windows(bag, self.input, self._window, describe):
            missed_NLD = in_batches(self._missed, self.standard(windows_NLD))
            yield WindowScores(np.sqrt(np.square(missed_NLD).mean(axis=2)), rows_NL)

    @override
    def formula(self, bag: Bag) -> WindowFormula:
        return WindowFormula(
            lambda windows: rms(self._missed(standardised(windows, self.standard))),
            self._window,
            slice(None),
        )

    @property
    def _window(self) -> WindowSpec:
        return WindowSpec(length=self.parameters.rows, step=self.parameters.rows // 2)

    def _missed(self, windows_BLD: Tensor) -> Tensor:
        missed_BLD: Tensor = self.network(windows_BLD) - windows_BLD
        return missed_BLD


class _Network(nn.Module):
    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(dimension, hidden, batch_first=True)
        self.decoder = nn.LSTM(1, hidden, batch_first=True)
        self.read_out = nn.Linear(hidden, dimension)

    @override
    def forward(self, windows_BLD: Tensor) -> Tensor:
        """Return the windows as they are remembered, (B, L, D)."""
        _, memory = self.encoder(windows_BLD)
        silence_BL1 = torch.zeros_like(windows_BLD[..., :1])
        reversed_BLH, _ = self.decoder(silence_BL1, memory)
        remembered: Tensor = self.read_out(reversed_BLH).flip(1)
        return remembered


def reconstruction_loss(network: nn.Module, windows_BLD: Tensor) -> Tensor:
    """Return the mean squared error over all entries."""
    return nn.functional.mse_loss(network(windows_BLD), windows_BLD)
