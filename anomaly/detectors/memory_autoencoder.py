"""How badly a vector is put together from a memory of normal ones.

Gong et al., "Memorizing normality to detect anomaly: memory-augmented deep autoencoder for
unsupervised anomaly detection" (MemAE, ICCV 2019): the encoder's code is replaced by a sparse
mixture of remembered codes before it is decoded. Addressing, shrinkage, entropy term and their
weights are the paper's. Where we depart: features instead of pixels, so encoder and decoder are
small perceptrons; of a grid, every active cell is a vector; fewer items, with the shrinkage
threshold at the paper's multiple of 1 / items or below; addressing by dot product, as in the
authors' code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import CellFormula, FitContext, Published, WindowScores
from anomaly.detectors._network import NetworkDetector
from anomaly.spec import spec
from anomaly.training.formulas import rms, standardised
from anomaly.training.loop import TrainingSpec
from anomaly.training.networks import in_batches
from anomaly.training.sampling import scored_blocks
from anomaly.windows.bags import Bag

_TINY = 1e-12


@spec
class MemoryAutoencoderParameters:
    """What a `memory_autoencoder` remembers and how it is trained."""

    sample: Annotated[int, Field(ge=2)] = 40_000
    """vectors drawn uniformly from the training videos"""
    hidden: Annotated[int, Field(ge=1)] = 64
    """units of the hidden layer on either side"""
    code: Annotated[int, Field(ge=1)] = 32
    """length of a remembered code"""
    items: Annotated[int, Field(ge=1)] = 200
    """codes that are remembered"""
    shrinkage: Annotated[float, Field(ge=0)] = 1.0
    """weights below this many times 1 / items become 0; the paper says 1 to 3"""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.0002
    """of the mean entropy of the weights in the loss"""
    training: TrainingSpec = TrainingSpec(batch=256)
    """epochs, batch, learning rate, early stopping"""


class MemoryAutoencoder(NetworkDetector["_Network"]):
    """Scores a row by its cell with the largest root mean squared error of reconstruction.

    State: the mean and scale that standardise vectors, and the network's weights, memory among
    them.
    """

    Parameters = MemoryAutoencoderParameters
    parameters: MemoryAutoencoderParameters
    paper = "Gong et al.: Memorizing normality to detect anomaly, ICCV 2019"
    published = (
        Published("UCSD Ped2", "AUC 94.1 %", "pixels; scores stretched to 0..1 in each clip"),
        Published("CUHK Avenue", "AUC 83.3 %", "pixels; scores stretched to 0..1 in each clip"),
        Published(
            "ShanghaiTech", "AUC 71.2 %", "pixels; scores stretched to 0..1 in each clip"
        ),
    )

    @override
    def make_network(self, dimension: int) -> _Network:
        return _Network(dimension, self.parameters)

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        vectors_ND, held_out_ND = self.sampled(
            bags, validation, self.parameters.sample, context
        )
        self.learn(vectors_ND, held_out_ND, self._loss, self.parameters.training, context)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.standard.mean_D)):
            missed_ND = in_batches(self._missed, self.standard(block.values_ND))
            error_N = np.sqrt(np.square(missed_ND).mean(axis=1))
            yield WindowScores.of_cells(first_row, block, error_N)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        return CellFormula(
            lambda values_ND, _: rms(self._missed(standardised(values_ND, self.standard)))
        )

    def _missed(self, vectors_BD: Tensor) -> Tensor:
        rebuilt_BD, _ = self.network(vectors_BD)
        missed_BD: Tensor = rebuilt_BD - vectors_BD
        return missed_BD

    def _loss(self, network: nn.Module, vectors_BD: Tensor) -> Tensor:
        rebuilt_BD, weight_BM = network(vectors_BD)
        error = nn.functional.mse_loss(rebuilt_BD, vectors_BD)
        return error + self.parameters.entropy_weight * entropy(weight_BM)


class _Network(nn.Module):
    def __init__(self, dimension: int, parameters: MemoryAutoencoderParameters) -> None:
        super().__init__()
        hidden, code = parameters.hidden, parameters.code
        self.encoder = nn.Sequential(
            nn.Linear(dimension, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, dimension)
        )
        self.memory_MC = nn.Parameter(torch.randn(parameters.items, code))
        self.threshold = parameters.shrinkage / parameters.items

    @override
    def forward(self, vectors_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors rebuilt, (B, D), and the weights of the memory's items, (B, M)."""
        weight_BM = address(self.encoder(vectors_BD), self.memory_MC, self.threshold)
        return self.decoder(weight_BM @ self.memory_MC), weight_BM


def address(code_BC: Tensor, memory_MC: Tensor, threshold: float) -> Tensor:
    """Return the weight of each item for each code, (B, M): sparse, of sum 1 where not all 0.

    Softmax of the inner products, hard shrinkage max(w - t, 0) w / (|w - t| + tiny), and
    division by the sum: equations 4, 7 and 6 of the paper.
    """
    weight_BM = torch.softmax(code_BC @ memory_MC.T, dim=1)
    above_BM = weight_BM - threshold
    shrunk_BM = torch.relu(above_BM) * weight_BM / (above_BM.abs() + _TINY)
    return nn.functional.normalize(shrunk_BM, p=1, dim=1)


def entropy(weight_BM: Tensor) -> Tensor:
    """Return the mean over vectors of the entropy of their weights, sum of -w log w."""
    return -(weight_BM * torch.log(weight_BM + _TINY)).sum(dim=1).mean()
