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
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores
from anomaly.errors import StoreError
from anomaly.features import FeatureBlock
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.loop import Run, TrainingSpec, network_arrays, network_state, train
from anomaly.training.sampling import Reservoir, checked
from anomaly.training.seeding import repeatable, seeded
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_usable_windows, read_windows

_SAMPLE_BYTES = 512 * 2**20  # no more windows than fit are kept in memory
_BATCH = 256  # every score comes out of a batch of this shape, so that it does not depend on it


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


class Predictor(Detector):
    """Scores a row by the error with which it was predicted from the rows before it.

    The first `rows` rows of a video cannot be predicted and get no score of their own. A grid is
    described by the mean and the maximum over its cells and the share of active cells. State:
    `mean_D` and `scale_D` that standardise these descriptions, and the network's weights.
    """

    Parameters = PredictorParameters
    parameters: PredictorParameters
    calibration = "held_out"

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    network: _Network

    @property
    @override
    def support_rows(self) -> int:
        return self.parameters.rows

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        windows_NLD = self._sample(bags, context.generator)
        if len(windows_NLD) == 0:
            raise StoreError(
                f"Nothing to learn from: none of {len(bags)} training videos has "
                f"{self._window.length} usable rows in a stretch. Give longer videos."
            )
        held_out_NLD = self._sample(validation, context.generator)
        self.mean_D = windows_NLD.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
        self.scale_D = windows_NLD.std(axis=(0, 1), dtype=np.float64).astype(np.float32)
        self.scale_D[self.scale_D == 0] = 1.0
        seed = int(context.generator.integers(2**63))
        with seeded(seed):
            self.network = _Network(len(self.mean_D), self.parameters.hidden)
        train(
            self.network,
            _loss,
            self._standardised(windows_NLD),
            self._standardised(held_out_NLD),
            self.parameters.training,
            Run(
                seed,
                partial(context.load, context.resume_key),
                partial(context.save, context.resume_key),
                partial(context.progress, "training: epoch"),
            ),
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        describe = partial(_describe, bag, dimension=len(self.mean_D))
        self.network.eval()
        for windows_NLD, rows_NL in read_windows(bag, self.input, self._window, describe):
            errors_N = self._errors(self._standardised(windows_NLD))
            yield WindowScores(errors_N[:, None], rows_NL[:, -1:])

    @override
    def state(self) -> Arrays:
        weights = network_arrays(self.network.state_dict(), "network/")
        return {"mean": self.mean_D, "scale": self.scale_D, **weights}

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.scale_D = state["mean"], state["scale"]
        with seeded(0):
            self.network = _Network(len(self.mean_D), self.parameters.hidden)
        self.network.load_state_dict(network_state(state, "network/"))

    @property
    def _window(self) -> WindowSpec:
        return WindowSpec(length=self.parameters.rows + 1)

    def _sample(
        self, bags: Sequence[Bag], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return a uniform sample of the usable windows of all bags, shape (N, L, D)."""
        sample: Reservoir | None = None
        for bag in bags:
            describe = partial(_describe, bag)
            for windows_NLD, _ in read_usable_windows(bag, self.input, self._window, describe):
                if sample is None:
                    fitting = max(1, _SAMPLE_BYTES // windows_NLD[0].nbytes)
                    sample = Reservoir(min(self.parameters.windows, fitting), generator)
                sample.add(windows_NLD)
        return np.zeros((0, 1, 1), np.float32) if sample is None else sample.sample()

    def _standardised(self, windows_NLD: FloatArray) -> NDArray[np.float32]:
        standard_NLD: NDArray[np.float32] = (windows_NLD - self.mean_D) / self.scale_D
        return standard_NLD

    @torch.inference_mode()
    def _errors(self, windows_NLD: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the root mean squared error of predicting each window's last row."""
        errors = []
        for start in range(0, len(windows_NLD), _BATCH):
            some_NLD = torch.from_numpy(windows_NLD[start : start + _BATCH])
            padded_BLD = torch.zeros(_BATCH, *some_NLD.shape[1:])
            padded_BLD[: len(some_NLD)] = some_NLD
            with repeatable():
                missed_BD = self.network(padded_BLD)[:, -1] - padded_BLD[:, -1]
            errors.append(missed_BD[: len(some_NLD)].numpy())
        missed_ND = np.concatenate(errors).astype(np.float64)
        return np.sqrt(np.square(missed_ND).mean(axis=1))


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


def _describe(
    bag: Bag, block: FeatureBlock, dimension: int | None = None
) -> NDArray[np.float32]:
    """Return one vector a row; see `Predictor`."""
    cells = checked(block, bag)
    vectors_TD = cells.pooled_TD()
    if cells.grid is not None:
        highest_TD = np.full_like(vectors_TD, -np.inf)
        np.maximum.at(highest_TD, cells.row_N, cells.values_ND)
        active_T = np.diff(cells.offsets_S)
        highest_TD[active_T == 0] = 0.0
        share_T = (active_T / np.prod(cells.grid)).astype(np.float32)
        vectors_TD = np.concatenate([vectors_TD, highest_TD, share_T[:, None]], axis=1)
    if dimension is not None and vectors_TD.shape[1] != dimension:
        raise StoreError(
            f"Rows of {bag.video!r} have {vectors_TD.shape[1]} dimensions, expected {dimension} "
            "as in the videos that the detector learnt from. Use features of one recipe."
        )
    return vectors_TD
