"""The trained one-class detectors: their losses against slow references, and what they find."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from anomaly.detectors import FitContext, detectors
from anomaly.detectors.lstm_autoencoder import _Network as Remembers
from anomaly.detectors.lstm_autoencoder import reconstruction_loss
from anomaly.detectors.memory_autoencoder import _Network as Memorises
from anomaly.detectors.memory_autoencoder import address, entropy
from anomaly.detectors.mulde import _Network as Energy
from anomaly.detectors.mulde import log_uniform, matching_loss
from anomaly.detectors.predictor import _loss as predictor_loss
from anomaly.detectors.predictor import _Network as Foresees
from anomaly.features import FeatureSpec, vector_block
from anomaly.training.seeding import seeded
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def bag(values, video="v"):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values.astype(np.float32))
    return Bag(video, "c", {"features": MemorySource(block)})


def auc(name, train, held_out, normal, abnormal, **parameters):
    """Of row scores, normal rows against abnormal ones."""
    detector = detectors().get(name).build(parameters, {"features": RECIPE})
    detector.fit(
        [bag(train)], validation=[bag(held_out)], context=FitContext(np.random.default_rng(0))
    )
    found = []
    for values in (normal, abnormal):
        total, count = np.zeros(len(values)), np.zeros(len(values))
        for block in detector.score(bag(values)):
            np.add.at(total, block.rows_NL, block.scores_NL)
            np.add.at(count, block.rows_NL, 1)
        found.append(total / count)
    return roc_auc_score(np.repeat([0, 1], [len(normal), len(abnormal)]), np.concatenate(found))


def ring(n, seed, radius=1.0):
    """Points on a circle: a density that no Gaussian describes."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, n)
    points = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return points + generator.normal(0, 0.05, points.shape)


def wave(n, seed, period):
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(n) / period + generator.random())
    return np.stack([np.sin(angle), np.cos(angle)], 1) + generator.normal(0, 0.05, (n, 2))


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_the_loss_of_mulde_equals_the_formula_with_gradients_by_differences(beta):
    with seeded(0):
        network = Energy(3, 16).double()
        clean = torch.randn(5, 3, dtype=torch.float64)
        sigma = torch.rand(5, 1, dtype=torch.float64) + 0.1
        noise = sigma * torch.randn(5, 3, dtype=torch.float64)
    step, total = 1e-6, 0.0
    for x, e, s in zip(clean, noise, sigma, strict=True):

        def f(vector, s=s):
            return network(vector[None], s[None]).item()

        gradient = [
            (f(x + e + step * axis) - f(x + e - step * axis)) / (2 * step)
            for axis in torch.eye(3, dtype=torch.float64)
        ]
        gap = sum((g - n.item() / s.item() ** 2) ** 2 for g, n in zip(gradient, e, strict=True))
        total += s.item() ** 2 * gap / 2 + beta * f(x) ** 2 / 2
    found = matching_loss(network, clean, noise, sigma, beta)
    assert found.item() == pytest.approx(total / 5, rel=1e-6)


def test_the_loss_of_mulde_can_be_taken_without_training():
    with seeded(0):
        network = Energy(3, 16)
    with torch.inference_mode():
        vectors = torch.ones(4, 3)
        found = matching_loss(network, vectors, 0.1 * vectors, vectors[:, :1], 0.1)
    assert torch.isfinite(found)


def test_scales_of_noise_are_uniform_in_their_logarithm():
    with seeded(0):
        found = np.log10(log_uniform(20_000).numpy())
    assert found.min() == pytest.approx(-3, abs=0.01)
    assert found.max() == pytest.approx(0, abs=0.01)
    assert np.mean(found) == pytest.approx(-1.5, abs=0.03)


def test_memory_addressing_and_its_entropy_equal_a_slow_reference():
    with seeded(0):
        codes, memory = torch.randn(4, 3).double(), torch.randn(6, 3).double()
    expected, entropies = [], []
    for code in codes.tolist():
        products = [
            math.exp(sum(c * m for c, m in zip(code, item, strict=True)))
            for item in memory.tolist()
        ]
        weights = [product / sum(products) for product in products]
        shrunk = [max(w - 0.15, 0) * w / (abs(w - 0.15) + 1e-12) for w in weights]
        total = sum(shrunk)
        final = [w / total for w in shrunk]
        expected.append(final)
        entropies.append(-sum(w * math.log(w + 1e-12) for w in final))
    found = address(codes, memory, 0.15)
    assert np.allclose(found, expected, atol=1e-6)
    assert entropy(found).item() == pytest.approx(np.mean(entropies), abs=1e-6)


def test_a_threshold_above_every_weight_leaves_nothing_and_no_nan():
    found = address(torch.zeros(2, 3), torch.zeros(5, 3), 0.5)
    assert (found == 0).all()


def test_the_lstm_writes_a_window_back_from_the_last_state_alone():
    with seeded(0):
        network = Remembers(2, 8)
        windows = torch.randn(1, 5, 2)
    _, (hidden, cell) = network.encoder(windows)
    rows = []
    for _ in range(5):
        output, (hidden, cell) = network.decoder(torch.zeros(1, 1, 1), (hidden, cell))
        rows.insert(0, network.read_out(output[0, 0]))
    assert torch.allclose(network(windows)[0], torch.stack(rows), atol=1e-6)
    assert isinstance(network, nn.Module)


def test_the_losses_of_predictor_and_autoencoders_follow_their_formulas():
    with seeded(0):
        windows, vectors = torch.randn(3, 5, 2), torch.randn(4, 3)
        foresees, rebuilds = Foresees(2, 6), Remembers(2, 6)
        torch.nn.init.normal_(foresees.change.weight)
        memory = detectors().get("memory_autoencoder").build({"items": 7}, {})
        network = Memorises(3, memory.parameters)
    with torch.no_grad():
        found = (
            predictor_loss(foresees, windows).item(),
            reconstruction_loss(rebuilds, windows).item(),
            memory._loss(network, vectors).item(),
        )
        states = foresees.gru(windows[:, :-1])[0]
        foreseen = windows[:, :-1] + foresees.change(states)
        rebuilt = rebuilds(windows)
        again, weights = network(vectors)

    def mean_square(left, right):
        pairs = zip(left.flatten().tolist(), right.flatten().tolist(), strict=True)
        return np.mean([(a - b) ** 2 for a, b in pairs])

    entropies = [-sum(w * math.log(w + 1e-12) for w in row) for row in weights.tolist()]
    assert found[0] == pytest.approx(mean_square(foreseen, windows[:, 1:]), rel=1e-5, abs=1e-6)
    assert found[1] == pytest.approx(mean_square(rebuilt, windows), rel=1e-5, abs=1e-6)
    expected = mean_square(again, vectors) + 0.0002 * np.mean(entropies)
    assert found[2] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_mulde_finds_the_middle_of_a_ring_where_a_gaussian_sees_the_most_likely_place():
    middle = np.random.default_rng(3).normal(0, 0.1, (300, 2))
    training = {"epochs": 40, "patience": 40, "batch": 256, "learning_rate": 2e-3}
    found = auc(
        "mulde", ring(3000, 0), ring(300, 1), ring(300, 2), middle, units=64, training=training
    )
    assert found > 0.95


def test_the_memory_finds_points_off_the_ring():
    training = {"epochs": 30, "learning_rate": 3e-3}
    far = ring(300, 3, radius=2.5)
    found = auc(
        "memory_autoencoder", ring(3000, 0), ring(300, 1), ring(300, 2), far, training=training
    )
    assert found > 0.95


def test_the_lstm_finds_a_rhythm_that_it_never_saw():
    training = {"epochs": 40, "learning_rate": 1e-2}
    found = auc(
        "lstm_autoencoder",
        wave(1500, 0, 12),
        wave(300, 1, 12),
        wave(300, 2, 12),
        wave(300, 3, 5),
        training=training,
    )
    assert found > 0.95


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("predictor", 3 * 64 * (7 + 64 + 2) + 64 * 7 + 7),
        ("lstm_autoencoder", 4 * 32 * (7 + 32 + 2) + 4 * 32 * (1 + 32 + 2) + 32 * 7 + 7),
        ("memory_autoencoder", 8 * 64 + 65 * 32 + 33 * 64 + 65 * 7 + 200 * 32),
        ("mulde", 9 * 256 + 257 * 256 + 257),
    ],
)
def test_the_number_of_weights_is_what_the_layers_add_up_to(name, expected):
    assert detectors().get(name).build({}, {}).trainable(7) == expected


@pytest.mark.parametrize("name", ["gaussian", "gmm", "isolation_forest", "mutual", "mulde"])
def test_each_method_names_its_paper(name):
    assert "20" in detectors().get(name).paper
