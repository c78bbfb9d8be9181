"""What detectors with a network over standardised vectors have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext
from anomaly.training.inputs import Standard
from anomaly.training.loop import Loss, TrainingSpec
from anomaly.training.networks import fit_network, restored, trainable, weights
from anomaly.training.sampling import sample_cells
from anomaly.windows.bags import Bag

Net = TypeVar("Net", bound=nn.Module)


class NetworkDetector(Detector, Generic[Net]):
    """A network that is given vectors of mean 0 and variance 1.

    State: mean and scale of vectors, and the network's weights.
    """

    calibration = "held_out"

    standard: Standard
    network: Net

    @abstractmethod
    def make_network(self, dimension: int) -> Net:
        """Return the network for vectors of one length, untrained."""

    @override
    def trainable(self, dimension: int) -> int:
        return trainable(self.make_network(dimension))

    @override
    def state(self) -> Arrays:
        learnt = {"mean": self.standard.mean_D, "scale": self.standard.scale_D}
        return {**learnt, **weights(self.network)}

    @override
    def load_state(self, state: Arrays) -> None:
        self.standard = Standard(state["mean"], state["scale"])
        self.network = restored(partial(self.make_network, len(state["mean"])), state)

    def learn(
        self,
        normal: NDArray[np.float32],
        held_out: NDArray[np.float32],
        loss: Loss,
        training: TrainingSpec,
        context: FitContext,
    ) -> None:
        """Learn the standard and the network from vectors or windows of them, (N, ..., D)."""
        self.standard = Standard.of(normal)
        self.network = fit_network(
            partial(self.make_network, normal.shape[-1]),
            loss,
            self.standard(normal),
            self.standard(held_out),
            training,
            context,
        )

    def sampled(
        self,
        bags: Sequence[Bag],
        validation: Sequence[Bag],
        capacity: int,
        context: FitContext,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return cells to learn from (N, D), drawn uniformly, and held-out ones (M, D)."""
        sample = (self.input, capacity, context.generator)
        vectors_ND, _ = sample_cells(bags, *sample)
        if not validation:
            return vectors_ND, vectors_ND[:0]
        return vectors_ND, sample_cells(validation, *sample)[0]
