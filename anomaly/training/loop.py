"""The one training loop: any optimiser, clipped gradients, early stopping, exact resume.

Everything random comes from one seed and the number of the epoch, so a run that is killed and
started again ends with the very bits of an undisturbed one on the same kind of CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from anomaly.errors import StoreError
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.seeding import seeded

Arrays = dict[str, NDArray[Any]]
Items = FloatArray | tuple[NDArray[Any], ...]
"""Items of shape (N, ...), or several arrays of N entries each that belong together."""
Loss = Callable[..., Tensor]
"""Called with a network and one tensor (B, ...) for each array of the items; gives the mean loss."""
Order = Callable[[np.random.Generator], Iterable[NDArray[np.int64]]]
"""Draws the batches of one epoch: which items make up each."""
Judge = Callable[[nn.Module], float]
"""Says how bad a network is on videos that it does not learn from; the network evaluates."""

_EVALUATED = 1024  # items in a batch without gradients


@spec
class TrainingSpec:
    """How a network is trained."""

    epochs: Annotated[int, Field(ge=1)] = 50
    """most passes over the training items"""
    patience: Annotated[int, Field(ge=1)] = 5
    """stop after so many epochs without a new best on the held-out videos"""
    batch: Annotated[int, Field(ge=1)] = 64
    """items in a batch"""
    optimiser: Literal["adamw", "adam", "adagrad"] = "adamw"
    """how steps are made of gradients"""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """of the optimiser"""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """of the optimiser: apart from the gradient in AdamW, added to it in the others"""
    gradient_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """longer gradients are clipped to this length; null: never"""


@dataclass(frozen=True)
class Run:
    """The chance, the memory and the voice of one training run."""

    seed: int
    load: Callable[[], Arrays | None] = field(default=lambda: None)
    """returns what `save` last stored for this run, or None"""
    save: Callable[[Arrays], None] = field(default=lambda _arrays: None)
    """called after each epoch with all that it takes to go on"""
    progress: Callable[[int, int], None] = field(default=lambda _done, _total: None)
    """told epochs done and epochs in all"""


_OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
}


def train(
    network: nn.Module,
    loss: Loss,
    items: Items,
    held_out: Items | Judge,
    training: TrainingSpec,
    run: Run,
    *,
    order: Order | None = None,
) -> list[float]:
    """Train the network in place and return how bad it was after each epoch.

    The network ends with the weights of its best epoch on what is held out: items, on which the
    loss is taken, or a judge of one's own. Without held-out items the loss of training is returned, all
    epochs are run and the last weights stay. An epoch shows every item once, in batches drawn at
    random, unless `order` draws them otherwise.

    Raises:
        StoreError: the loss stopped being a number.
    """
    arrays = _arrays(items)
    judge = held_out if callable(held_out) else _mean_loss(loss, _arrays(held_out))
    draw = order or _shuffled(len(arrays[0]), training.batch)
    progress = _Progress(network, training, run.seed)
    progress.resume(run.load())
    for epoch in range(len(progress.losses), training.epochs):
        if progress.epochs_since_best >= training.patience:
            break
        batches = draw(np.random.default_rng([run.seed, epoch]))
        with seeded(run.seed, epoch):
            train_loss = _one_epoch(progress, loss, arrays, batches)
            judged = train_loss if judge is None else _judge(network, judge)
        if not (np.isfinite(judged) and np.isfinite(train_loss)):
            raise StoreError(
                f"Training broke down in epoch {epoch + 1}: the loss is {train_loss}, {judged} on "
                "what is held out. Lower the learning rate, or look for extreme values in the features."
            )
        progress.note(judged, is_best=judged < progress.best_loss or judge is None)
        run.save(progress.arrays())
        run.progress(epoch + 1, training.epochs)
    network.load_state_dict(progress.best)
    return progress.losses


def _arrays(items: Items) -> tuple[NDArray[Any], ...]:
    return items if isinstance(items, tuple) else (items,)


def _shuffled(count: int, batch: int) -> Order:
    def draw(generator: np.random.Generator) -> list[NDArray[np.int64]]:
        return np.array_split(generator.permutation(count), math.ceil(count / batch))

    return draw


def _one_epoch(
    progress: _Progress,
    loss: Loss,
    arrays: tuple[NDArray[Any], ...],
    batches: Iterable[NDArray[np.int64]],
) -> float:
    network, training = progress.network, progress.training
    network.train()
    total, shown = 0.0, 0
    for chosen in batches:
        progress.optimiser.zero_grad()
        batch_loss = loss(network, *(torch.from_numpy(array[chosen]) for array in arrays))
        batch_loss.backward()  # type: ignore[no-untyped-call]
        if training.gradient_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.gradient_norm)
        progress.optimiser.step()
        total += float(batch_loss.detach()) * len(chosen)
        shown += len(chosen)
    return total / shown


@torch.inference_mode()
def _judge(network: nn.Module, judge: Judge) -> float:
    network.eval()
    return judge(network)


def _mean_loss(loss: Loss, arrays: tuple[NDArray[Any], ...]) -> Judge | None:
    """Return the mean loss over held-out items as a judge; None if there are none."""
    count = len(arrays[0])
    if count == 0:
        return None

    def judge(network: nn.Module) -> float:
        total = 0.0
        for start in range(0, count, _EVALUATED):
            batch = [torch.from_numpy(array[start : start + _EVALUATED]) for array in arrays]
            total += float(loss(network, *batch)) * len(batch[0])
        return total / count

    return judge


class _Progress:
    """How far a training run has come, and its round trip through named arrays."""

    def __init__(self, network: nn.Module, training: TrainingSpec, seed: int) -> None:
        self.network, self.training, self.seed = network, training, seed
        self.optimiser = _OPTIMISERS[training.optimiser](
            network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        self.losses: list[float] = []
        self.best_epoch = 0
        self.best = _copy(network.state_dict())

    @property
    def best_loss(self) -> float:
        return self.losses[self.best_epoch - 1] if self.losses else np.inf

    @property
    def epochs_since_best(self) -> int:
        return len(self.losses) - self.best_epoch

    def note(self, loss: float, *, is_best: bool) -> None:
        self.losses.append(loss)
        if is_best:
            self.best_epoch = len(self.losses)
            self.best = _copy(self.network.state_dict())

    def arrays(self) -> Arrays:
        found: Arrays = {
            "seed": np.array(self.seed, dtype=np.uint64),
            "losses": np.array(self.losses, dtype=np.float64),
            "best_epoch": np.array(self.best_epoch, dtype=np.int64),
        }
        found |= network_arrays(self.network.state_dict(), "network/")
        found |= network_arrays(self.best, "best/")
        for index, moments in self.optimiser.state_dict()["state"].items():
            found |= network_arrays(moments, f"optimiser/{index}/")
        return found

    def resume(self, arrays: Arrays | None) -> None:
        """Go on from saved arrays; those of another seed belong to another run."""
        if arrays is None or int(arrays["seed"]) != self.seed:
            return
        self.losses = arrays["losses"].tolist()
        self.best_epoch = int(arrays["best_epoch"])
        self.network.load_state_dict(network_state(arrays, "network/"))
        self.best = network_state(arrays, "best/")
        state = self.optimiser.state_dict()
        for index in range(len(state["param_groups"][0]["params"])):
            state["state"][index] = network_state(arrays, f"optimiser/{index}/")
        self.optimiser.load_state_dict(state)


def network_arrays(state: dict[str, Tensor], prefix: str) -> Arrays:
    """Return tensors as named arrays, `prefix` before each name."""
    return {prefix + name: tensor.detach().numpy().copy() for name, tensor in state.items()}


def network_state(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """Return the arrays whose names begin with `prefix` as tensors, the prefix taken off."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
