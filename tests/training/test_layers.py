"""Layers as a forward pass meets them: shapes, and every number counted once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anomaly.detectors import FitContext
from anomaly.training.layers import layers_of
from anomaly.training.loop import TrainingSpec
from anomaly.training.networks import fit_network, trainable


class Odd(nn.Module):
    """A number of its own, parts that are called twice, never, or without asking them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.conv = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.memory = nn.LSTM(3, 5, batch_first=True)
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.again = nn.Linear(5, 5)
        self.unused = nn.Linear(2, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        seen = (self.conv(pictures) * self.scale[:, None, None]).mean(dim=3).transpose(1, 2)
        told, _ = self.memory(seen)
        told, _ = self.attention(told, told, told)
        return self.again(self.again(nn.functional.dropout(told, 0.5, self.training)))


def test_layers_come_in_the_order_in_which_they_are_called() -> None:
    network = Odd()
    layers = layers_of(network, lambda: network(torch.zeros(2, 1, 8, 6)))
    assert [(layer.name, layer.kind, layer.shape, layer.parameters) for layer in layers] == [
        ("conv.0", "Conv2d", (3, 8, 6), 30),
        ("conv.1", "BatchNorm2d", (3, 8, 6), 6),
        ("conv.2", "ReLU", (3, 8, 6), 0),
        ("memory", "LSTM", (8, 5), 200),
        ("attention", "MultiheadAttention", (8, 5), 120),
        ("again", "Linear", (8, 5), 30),
    ]


def test_a_look_changes_neither_numbers_nor_chance() -> None:
    network = Odd()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    chance = torch.get_rng_state()
    layers_of(network, lambda: network(torch.randn(4, 1, 8, 6)))
    assert torch.equal(torch.get_rng_state(), chance)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not network._forward_hooks
    assert all(not part._forward_hooks for part in network.modules())


@pytest.mark.parametrize("with_order", [False, True])
def test_a_fit_records_the_layers_of_its_network(with_order: bool) -> None:
    told: dict = {}

    def order(generator: np.random.Generator) -> list[np.ndarray]:
        return np.array_split(generator.permutation(6), 2)

    context = FitContext(
        generator=np.random.default_rng(0), record=lambda _, curve: told.update(curve)
    )

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))

    network = fit_network(
        make,
        lambda net, some: ((net(some) - some) ** 2).mean(),
        np.ones((6, 4), np.float32),
        np.ones((2, 4), np.float32),
        TrainingSpec(epochs=2, batch=3),
        context,
        order=order if with_order else None,
    )
    assert [(one["kind"], one["shape"]) for one in told["layers"]] == [
        ("Linear", [2]), ("ReLU", [2]), ("Linear", [4]),
    ]  # fmt: skip
    assert sum(one["parameters"] for one in told["layers"]) == trainable(network)
    assert not network.training
