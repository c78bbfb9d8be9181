"""What a network is made of, as a forward pass meets it: kinds, shapes, numbers that are learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One module that a forward pass has called."""

    name: str
    """where it stands in the network"""
    kind: str
    shape: tuple[int, ...]
    """of what it gives for one item"""
    parameters: int
    """numbers of it and of what it calls without asking a module"""

    def to_json(self) -> dict[str, Any]:
        """Return the layer as plain values."""
        return {**asdict(self), "shape": list(self.shape)}


def layers_of(network: nn.Module, run: Callable[[], object]) -> tuple[Layer, ...]:
    """Return the layers of a network in the order in which `run`, a forward pass, first calls them.

    Layers are modules without parts, and those with numbers of their own. Every number counts once, with
    the innermost of them that holds it. The network is put to evaluation and stays there.
    """
    wanted = {
        name: part
        for name, part in network.named_modules()
        if name and (not list(part.children()) or list(part.parameters(recurse=False)))
    }
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, _part: nn.Module, _given: object, made: object) -> None:
        tensor = _first_tensor(made)
        if tensor is not None:
            shapes.setdefault(name, tuple(tensor.shape[1:]))

    hooks = [part.register_forward_hook(partial(note, name)) for name, part in wanted.items()]
    try:
        network.eval()
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            run()
    finally:
        for hook in hooks:
            hook.remove()
    counts = _counts(network, shapes)
    return tuple(
        Layer(name=name, kind=type(wanted[name]).__name__, shape=shape, parameters=counts[name])
        for name, shape in shapes.items()
    )


def _first_tensor(made: object) -> Tensor | None:
    """Return what a layer gives, the first of several; None where that has no items."""
    while isinstance(made, (tuple, list)) and made:
        made = made[0]
    return made if isinstance(made, Tensor) and made.ndim else None


def _counts(network: nn.Module, called: dict[str, tuple[int, ...]]) -> dict[str, int]:
    counts = dict.fromkeys(called, 0)
    for name, numbers in network.named_parameters():
        parts = name.split(".")
        inside = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
        holder = next((one for one in inside if one in called), None)
        if holder is not None and numbers.requires_grad:
            counts[holder] += numbers.numel()
    return counts
