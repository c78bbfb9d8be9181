"""Surprise under a density of normal vectors that a network learnt at many scales of noise.

Micorek, Possegger, Narnhofer, Bischof, Kozinski, "MULDE: multiscale log-density estimation via
denoising score matching for video anomaly detection" (CVPR 2024): a perceptron f(x, sigma) is
trained so that its gradient points from noisy vectors away from clean ones, which makes it minus
the log-density of noisy data; f at 16 scales makes a vector, and a mixture of Gaussians of such
vectors gives the score. Loss, scales and mixture are the paper's. Where we depart: a smaller
network and a fixed number of epochs, so that a CPU will do; our loop's Adam (its first moment
decays with 0.9, the paper's with 0.5); of a grid, every active cell is a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import Arrays, CellFormula, FitContext, Published, WindowScores
from anomaly.detectors._network import NetworkDetector
from anomaly.spec import spec
from anomaly.training.formulas import standardised, surprise
from anomaly.training.loop import TrainingSpec
from anomaly.training.mixture import Mixture
from anomaly.training.networks import in_batches
from anomaly.training.sampling import scored_blocks
from anomaly.windows.bags import Bag

_LEAST_NOISE, _MOST_NOISE = 1e-3, 1.0


@spec
class MuldeParameters:
    """What a `mulde` detector learns from and how."""

    sample: Annotated[int, Field(ge=2)] = 20_000
    """vectors drawn uniformly from the training videos"""
    units: Annotated[int, Field(ge=1)] = 256
    """units of each of the two hidden layers; 4,096 in the paper"""
    scales: Annotated[int, Field(ge=1)] = 16
    """levels of noise at which a vector is judged, evenly spaced from 0.001 to 1"""
    components: Annotated[int, Field(ge=1)] = 5
    """Gaussians over the judgements; the paper tries 1, 3 and 5"""
    regularisation: Annotated[float, Field(ge=0)] = 0.1
    """beta of the paper: keeps the level of f comparable between scales"""
    training: TrainingSpec = TrainingSpec(
        epochs=60, patience=60, batch=512, learning_rate=5e-4, weight_decay=0.0
    )
    """epochs, batch, learning rate, early stopping"""


class Mulde(NetworkDetector["_Network"]):
    """Scores a row by its most surprising cell.

    State: the mean and scale that standardise vectors, the network's weights, and the mixture.
    """

    Parameters = MuldeParameters
    parameters: MuldeParameters
    paper = "Micorek, Possegger, Narnhofer, Bischof, Kozinski: MULDE, CVPR 2024"
    published = (
        Published("UCSD Ped2", "AUC 99.7 %", "object features, micro; best aggregate on test"),
        Published(
            "CUHK Avenue", "AUC 94.3 %", "object features, micro; best aggregate on test"
        ),
        Published(
            "ShanghaiTech", "AUC 86.7 %", "object features, micro; best aggregate on test"
        ),
        Published("ShanghaiTech", "AUC 81.3 %", "features of whole frames (Hiera-L), micro"),
        Published("UCF-Crime", "AUC 78.5 %", "one-class, features of whole frames, micro"),
    )

    mixture: Mixture

    @override
    def make_network(self, dimension: int) -> _Network:
        return _Network(dimension, self.parameters.units)

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        vectors_ND, held_out_ND = self.sampled(
            bags, validation, self.parameters.sample, context
        )
        self.learn(vectors_ND, held_out_ND, self._loss, self.parameters.training, context)
        judged_NS = self._judged(vectors_ND)
        self.mixture = Mixture.fit(
            judged_NS, self.parameters.components, "full", context.generator
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, len(self.standard.mean_D)):
            surprise_N = self.mixture.surprise(self._judged(block.values_ND))
            yield WindowScores.of_cells(first_row, block, surprise_N)

    @override
    def formula(self, bag: Bag) -> CellFormula:
        return CellFormula(
            lambda values_ND, _: surprise(
                self.mixture, self._at_all_scales(standardised(values_ND, self.standard))
            )
        )

    @override
    def state(self) -> Arrays:
        return {**super().state(), **self.mixture.arrays()}

    @override
    def load_state(self, state: Arrays) -> None:
        super().load_state(state)
        self.mixture = Mixture.of_arrays(state)

    def _judged(self, vectors_ND: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return f of each vector at each scale of noise, shape (N, S)."""
        return in_batches(self._at_all_scales, self.standard(vectors_ND))

    def _at_all_scales(self, vectors_BD: Tensor) -> Tensor:
        scales = torch.linspace(_LEAST_NOISE, _MOST_NOISE, self.parameters.scales)
        judged = [
            self.network(vectors_BD, sigma.expand(len(vectors_BD), 1)) for sigma in scales
        ]
        return torch.stack(judged, dim=1)

    def _loss(self, network: nn.Module, vectors_BD: Tensor) -> Tensor:
        sigma_B1 = log_uniform(len(vectors_BD)).to(vectors_BD.device)
        noise_BD = sigma_B1 * torch.randn_like(vectors_BD)
        return matching_loss(
            network, vectors_BD, noise_BD, sigma_B1, self.parameters.regularisation
        )


class _Network(nn.Module):
    def __init__(self, dimension: int, units: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimension + 1, units),
            nn.GELU(),
            nn.Linear(units, units),
            nn.GELU(),
            nn.Linear(units, 1),
        )

    @override
    def forward(self, vectors_BD: Tensor, sigma_B1: Tensor) -> Tensor:
        """Return minus the log-density of each vector, up to a constant, shape (B,)."""
        energy_B1: Tensor = self.layers(torch.cat([vectors_BD, sigma_B1], dim=1))
        return energy_B1[:, 0]


def log_uniform(count: int) -> Tensor:
    """Return scales of noise between 0.001 and 1 whose logarithms are uniform, shape (count, 1)."""
    low, high = np.log(_LEAST_NOISE), np.log(_MOST_NOISE)
    return torch.exp(low + (high - low) * torch.rand(count, 1))


def matching_loss(
    network: nn.Module, clean_BD: Tensor, noise_BD: Tensor, sigma_B1: Tensor, beta: float
) -> Tensor:
    """Return the mean of sigma^2 |grad f(x + e, sigma) - e / sigma^2|^2 / 2 + beta f(x, sigma)^2 / 2.

    The gradient with respect to the vectors is needed without training too, hence the mode.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        clean_BD, noise_BD, sigma_B1 = clean_BD.clone(), noise_BD.clone(), sigma_B1.clone()
        noisy_BD = (clean_BD + noise_BD).requires_grad_()
        energy = network(noisy_BD, sigma_B1).sum()
        (gradient_BD,) = torch.autograd.grad(energy, noisy_BD, create_graph=True)
        gap_BD = gradient_BD - noise_BD / sigma_B1.square()
        matching_B = sigma_B1[:, 0].square() * gap_BD.square().sum(dim=1) / 2
        level_B = beta * network(clean_BD, sigma_B1).square() / 2
        return (matching_B + level_B).mean()
