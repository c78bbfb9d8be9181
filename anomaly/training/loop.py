"""The one training loop: any optimiser and schedule, clipped gradients, early stopping, exact resume.

Everything random comes from one seed and the number of the epoch, so a run that is killed and
started again ends with the very bits of an undisturbed one on the same kind of CPU. A GPU is used
where there is one (runs are not bit-exact there); several processes share each batch under `team`
of `anomaly.training.parallel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.errors import StoreError
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training import parallel
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
    optimiser: Literal["adamw", "adam", "adagrad", "adadelta", "nesterov"] = "adamw"
    """how steps are made of gradients; nesterov: plain steps with Nesterov's momentum of 0.9"""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """of the optimiser"""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """of the optimiser: apart from the gradient in AdamW, added to it in the others"""
    gradient_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """longer gradients are clipped to this length; null: never"""
    schedule: Literal["constant", "cosine"] = "constant"
    """course of the learning rate from epoch to epoch; cosine: down to 0 at the last"""
    precision: Literal["float32", "mixed"] = "float32"
    """mixed: products in bfloat16, weights and sums in float32; quicker on a GPU"""


@dataclass(frozen=True)
class Curve:
    """How bad a network was after each epoch."""

    learnt: tuple[float, ...]
    """mean loss on what it learns from"""
    held_out: tuple[float, ...]
    """what the judge said of it; empty where nothing was held out"""
    best_epoch: int
    """whose weights stay, counted from 1"""

    @property
    def losses(self) -> tuple[float, ...]:
        """What the best epoch was chosen by, or would have been."""
        return self.held_out or self.learnt

    def to_json(self) -> dict[str, Any]:
        """Return the curve as plain values."""
        return {
            "learnt": list(self.learnt),
            "held_out": list(self.held_out),
            "best_epoch": self.best_epoch,
        }


@dataclass(frozen=True)
class Run:
    """The chance, the memory and the voice of one training run."""

    seed: int
    load: Callable[[], Arrays | None] = field(default=lambda: None)
    """returns what `save` last stored for this run, or None"""
    save: Callable[[Arrays], None] = field(default=lambda _arrays: None)
    """called after each epoch with all that it takes to go on"""
    progress: Callable[[Curve, int], None] = field(default=lambda _curve, _epochs: None)
    """told after each epoch the curve so far, and the most epochs that there may be"""


_OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
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
) -> Curve:
    """Train the network in place and return how bad it was after each epoch.

    The network ends on the CPU with the weights of its best epoch on what is held out: items, on which
    the loss is taken, or a judge of one's own. Without held-out items all epochs are run and the last
    weights stay. An epoch shows every item once, in batches drawn at random, unless `order` draws them
    otherwise.

    Raises:
        StoreError: the loss stopped being a number.
    """
    arrays = parts_of(items)
    judge = held_out if callable(held_out) else _mean_loss(loss, parts_of(held_out))
    draw = order or _shuffled(len(arrays[0]), training.batch)
    progress = _Progress(network.to(parallel.device()), training, run.seed)
    progress.resume(parallel.agreed(run.load))
    step = parallel.shared(_Step(network, loss))
    for epoch in range(progress.epochs, training.epochs):
        if progress.epochs_since_best >= training.patience:
            break
        batches = draw(np.random.default_rng([run.seed, epoch]))
        with seeded(run.seed, epoch, *parallel.own_chance()):
            progress.set_rate(epoch)
            learnt = _one_epoch(progress, step, arrays, batches)
            judged = None if judge is None else parallel.agreed(lambda: _judge(network, judge))
        if not np.isfinite([learnt, judged or 0.0]).all():
            raise StoreError(
                f"Training broke down in epoch {epoch + 1}: the loss is {learnt}, {judged} on "
                "what is held out. Lower the learning rate, or look for extreme values in the features."
            )
        progress.note(learnt, judged)
        if parallel.is_first():
            run.save(progress.arrays())
            run.progress(progress.curve, training.epochs)
    network.load_state_dict(progress.best)
    network.cpu()
    return progress.curve


def tensor_beside(network: nn.Module, array: NDArray[Any]) -> Tensor:
    """Return the array as a tensor on the device of the network."""
    return torch.from_numpy(array).to(next(network.parameters()).device)


class _Step(nn.Module):
    """The loss as a module, so that gradients of several processes meet in its backward pass."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    @override
    def forward(self, *batch: Tensor) -> Tensor:
        return self.loss(self.network, *batch)


def parts_of(items: Items) -> tuple[NDArray[Any], ...]:
    """Return the arrays that items consist of."""
    return items if isinstance(items, tuple) else (items,)


def _shuffled(count: int, batch: int) -> Order:
    def draw(generator: np.random.Generator) -> list[NDArray[np.int64]]:
        return np.array_split(generator.permutation(count), math.ceil(count / batch))

    return draw


def _one_epoch(
    progress: _Progress,
    step: nn.Module,
    arrays: tuple[NDArray[Any], ...],
    batches: Iterable[NDArray[np.int64]],
) -> float:
    network, training = progress.network, progress.training
    kind = next(network.parameters()).device.type
    network.train()
    total, shown = 0.0, 0
    for chosen in batches:
        own, weight = parallel.share(chosen)
        progress.optimiser.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=training.precision == "mixed"):
            batch_loss = step(*(tensor_beside(network, array[own]) for array in arrays))
        (weight * batch_loss).backward()
        if training.gradient_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.gradient_norm)
        progress.optimiser.step()
        total += weight * float(batch_loss.detach()) * len(chosen)
        shown += len(chosen)
    return parallel.mean(total / shown)


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
            some = [array[start : start + _EVALUATED] for array in arrays]
            batch = [tensor_beside(network, array) for array in some]
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
        self.curve = Curve((), (), 0)
        self.best = _copy(network.state_dict())

    @property
    def epochs(self) -> int:
        return len(self.curve.learnt)

    @property
    def epochs_since_best(self) -> int:
        return self.epochs - self.curve.best_epoch

    def set_rate(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 0."""
        share = 1.0
        if self.training.schedule == "cosine":
            share = (1 + math.cos(math.pi * epoch / self.training.epochs)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = share * self.training.learning_rate

    def note(self, learnt: float, judged: float | None) -> None:
        """Take down an epoch; without a judge the latest is the best."""
        before = self.curve
        is_best = judged is None or judged < min(before.held_out, default=math.inf)
        self.curve = Curve(
            (*before.learnt, learnt),
            before.held_out if judged is None else (*before.held_out, judged),
            self.epochs + 1 if is_best else before.best_epoch,
        )
        if is_best:
            self.best = _copy(self.network.state_dict())

    def arrays(self) -> Arrays:
        found: Arrays = {
            "seed": np.array(self.seed, dtype=np.uint64),
            "learnt": np.array(self.curve.learnt, dtype=np.float64),
            "held_out": np.array(self.curve.held_out, dtype=np.float64),
            "best_epoch": np.array(self.curve.best_epoch, dtype=np.int64),
        }
        found |= network_arrays(self.network.state_dict(), "network/")
        found |= network_arrays(self.best, "best/")
        for index, moments in self.optimiser.state_dict()["state"].items():
            found |= network_arrays(moments, f"optimiser/{index}/")
        return found

    def resume(self, arrays: Arrays | None) -> None:
        """Go on from saved arrays; those of another seed, or of an older layout, belong to another run."""
        if arrays is None or int(arrays["seed"]) != self.seed or "learnt" not in arrays:
            return
        self.curve = Curve(
            tuple(arrays["learnt"].tolist()),
            tuple(arrays["held_out"].tolist()),
            int(arrays["best_epoch"]),
        )
        self.network.load_state_dict(network_state(arrays, "network/"))
        self.best = network_state(arrays, "best/")
        state = self.optimiser.state_dict()
        for index in range(len(state["param_groups"][0]["params"])):
            state["state"][index] = network_state(arrays, f"optimiser/{index}/")
        self.optimiser.load_state_dict(state)


def network_arrays(state: dict[str, Tensor], prefix: str) -> Arrays:
    """Return tensors as named arrays, `prefix` before each name."""
    return {
        prefix + name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()
    }


def network_state(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """Return the arrays whose names begin with `prefix` as tensors, the prefix taken off."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
