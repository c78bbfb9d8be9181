"""Networks of detectors: fitted from a context, put at work in batches, taken back from arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.errors import SpecError
from anomaly.training.layers import layers_of
from anomaly.training.loop import (
    Arrays,
    Curve,
    Items,
    Judge,
    Loss,
    Order,
    Run,
    TrainingSpec,
    network_arrays,
    network_state,
    parts_of,
    train,
)
from anomaly.training.parallel import is_first
from anomaly.training.seeding import repeatable, seeded

Network = TypeVar("Network", bound=nn.Module)

_PREFIX = "network/"
_SHOWN = 2
"""items that a network is shown to learn what its layers give"""


class Context(Protocol):
    """What `anomaly.detectors.FitContext` gives to a training run."""

    @property
    def generator(self) -> np.random.Generator:
        """The only source of chance."""

    @property
    def resume_key(self) -> str:
        """Names the run."""

    @property
    def load(self) -> Callable[[str], Arrays | None]:
        """Returns state saved by `save`, or None."""

    @property
    def save(self) -> Callable[[str, Arrays], None]:
        """Stores state."""

    @property
    def progress(self) -> Callable[[str, int, int], None]:
        """Told what is happening, epochs done, epochs in all."""

    @property
    def record(self) -> Callable[[str, dict[str, Any]], None]:
        """Told the name of the run and its curve so far, at last with the network's `layers`."""

    @property
    def start(self) -> Arrays | None:
        """State of a detector whose network's weights the fit begins with; None: they are drawn."""


def fit_network(
    make: Callable[[], Network],
    loss: Loss,
    items: Items,
    held_out: Items | Judge,
    training: TrainingSpec,
    context: Context,
    *,
    order: Order | None = None,
) -> Network:
    """Return the network that `make` builds, trained as `anomaly.training.loop.train` says.

    Its first weights and the order of items come from the context's generator; the context is told of
    every epoch. Where the context has a `start`, the first weights are those.

    Raises:
        SpecError: the network that it shall begin with is another one.
    """
    seed = int(context.generator.integers(2**63))
    with seeded(seed):
        network = make()
    if context.start is not None:
        _begin_with(network, network_state(context.start, _PREFIX))

    def tell(curve: Curve, epochs: int) -> None:
        context.record(context.resume_key, curve.to_json())
        context.progress(_in_words(curve), len(curve.learnt), epochs)

    run = Run(
        seed,
        partial(context.load, context.resume_key),
        partial(context.save, context.resume_key),
        tell,
    )
    curve = train(network, loss, items, held_out, training, run, order=order)
    network.eval()
    if is_first():  # once more, since a resumed run may have had nothing left to do
        parts = parts_of(items)
        first = np.arange(min(_SHOWN, len(parts[0])))
        chosen = first if order is None else next(iter(order(np.random.default_rng(0))))
        shown = [torch.from_numpy(part[chosen]) for part in parts]
        layers = layers_of(network, lambda: loss(network, *shown))
        told = {**curve.to_json(), "layers": [layer.to_json() for layer in layers]}
        context.record(context.resume_key, told)
    return network


def _begin_with(network: nn.Module, state: dict[str, Tensor]) -> None:
    for name, own in network.state_dict().items():
        found = tuple(state[name].shape) if name in state else None
        if found != tuple(own.shape):
            raise SpecError(
                f"The network to start from differs in {name!r}: found {found or 'nothing of that name'}, "
                f"expected {tuple(own.shape)}. Train with the options and the features that it was "
                "trained with, or start anew."
            )
    network.load_state_dict({name: state[name] for name in network.state_dict()})


def _in_words(curve: Curve) -> str:
    judged = f", {curve.held_out[-1]:.4g} on what is held out" if curve.held_out else ""
    return f"loss {curve.learnt[-1]:.4g}{judged}"


def weights(network: nn.Module) -> Arrays:
    """Return the network's weights as named arrays."""
    return network_arrays(network.state_dict(), _PREFIX)


def trainable(network: nn.Module) -> int:
    """Return how many numbers of the network training adjusts."""
    return sum(part.numel() for part in network.parameters() if part.requires_grad)


def restored(make: Callable[[], Network], arrays: Arrays) -> Network:
    """Return the network that `make` builds, with the weights that `weights` returned."""
    with seeded(0):
        network = make()
    network.load_state_dict(network_state(arrays, _PREFIX))
    return network.eval()


@torch.inference_mode()
def in_batches(
    function: Callable[[Tensor], Tensor], items: NDArray[np.float32], batch: int = 256
) -> NDArray[np.float64]:
    """Return `function` of all items (N, ...), which it is given `batch` at a time.

    Always that many, so that a score does not depend on how many there are.

    The last batch is filled up with zeros and its surplus outputs are dropped.
    """
    outputs = []
    with repeatable():
        for start in range(0, max(len(items), 1), batch):
            some = torch.from_numpy(items[start : start + batch])
            padded = torch.zeros(batch, *some.shape[1:])
            padded[: len(some)] = some
            outputs.append(function(padded)[: len(some)].numpy().astype(np.float64))
    return np.concatenate(outputs)
