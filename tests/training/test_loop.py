"""The training loop learns, stops early, and goes on where it was killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from anomaly.errors import StoreError
from anomaly.training.loop import Run, TrainingSpec, network_arrays, train
from anomaly.training.seeding import seeded


def network():
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.2), nn.Linear(16, 1))


def loss(net, batch):
    return nn.functional.mse_loss(net(batch)[:, 0], batch.sum(dim=1))


def items(n, seed):
    return np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)


def bits(net):
    return {name: a.tobytes() for name, a in network_arrays(net.state_dict(), "").items()}


def test_it_learns_and_ends_with_the_weights_of_the_best_epoch():
    net, held_out = network(), items(64, 1)
    curve = train(net, loss, items(512, 0), held_out, TrainingSpec(epochs=30), Run(7))
    losses = curve.held_out
    net.eval()
    with torch.inference_mode():
        final = float(loss(net, torch.from_numpy(held_out)))
    assert min(losses) < losses[0] / 4
    assert final == pytest.approx(min(losses), rel=1e-6)
    assert losses[curve.best_epoch - 1] == min(losses)
    assert len(curve.learnt) == len(losses)


def test_it_stops_when_the_held_out_loss_stops_falling():
    spec = TrainingSpec(epochs=200, patience=3, learning_rate=0.01)
    noise = np.random.default_rng(5).standard_normal((64, 3)).astype(np.float32) * 100
    losses = train(network(), loss, items(64, 0), noise, spec, Run(7)).losses
    assert len(losses) < 200
    assert len(losses) - 1 - int(np.argmin(losses)) == 3


def test_without_held_out_items_it_trains_for_all_epochs():
    curve = train(network(), loss, items(64, 0), items(0, 0), TrainingSpec(epochs=9), Run(7))
    assert (len(curve.learnt), curve.held_out, curve.best_epoch) == (9, (), 9)


def test_equal_seeds_give_equal_bits_and_other_seeds_others():
    nets = []
    for seed in (3, 3, 4):
        net = network()
        train(net, loss, items(200, 0), items(50, 1), TrainingSpec(epochs=4), Run(seed))
        nets.append(bits(net))
    assert nets[0] == nets[1] != nets[2]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("stop_after", [1, 3, 6])
def test_a_run_cut_after_any_epoch_ends_with_the_bits_of_an_undisturbed_one(
    stop_after, schedule
):
    spec = TrainingSpec(epochs=6, schedule=schedule)
    whole = network()
    curve = train(whole, loss, items(200, 0), items(50, 1), spec, Run(3))
    saved = []

    def save(arrays):
        saved.append(arrays)
        if len(saved) == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network(), loss, items(200, 0), items(50, 1), spec, Run(3, save=save))
    resumed, epochs = network(), []
    run = Run(
        3, lambda: saved[-1], progress=lambda seen, _most: epochs.append(len(seen.learnt))
    )
    assert train(resumed, loss, items(200, 0), items(50, 1), spec, run) == curve
    assert bits(resumed) == bits(whole)
    assert epochs == list(range(stop_after + 1, 7))


def test_a_state_of_another_seed_is_not_resumed():
    saved = []
    spec = TrainingSpec(epochs=2)
    train(network(), loss, items(64, 0), items(9, 1), spec, Run(3, save=saved.append))
    fresh, resumed = network(), network()
    train(fresh, loss, items(64, 0), items(9, 1), spec, Run(4))
    train(resumed, loss, items(64, 0), items(9, 1), spec, Run(4, lambda: saved[-1]))
    assert bits(fresh) == bits(resumed)


def test_a_loss_that_is_not_a_number_is_told_with_what_to_do():
    broken = items(64, 0)
    broken[:] = 1e30
    with pytest.raises(StoreError, match=r"epoch 1.*Lower the learning rate"):
        train(network(), loss, broken, items(0, 0), TrainingSpec(), Run(0))


def test_the_rate_of_a_cosine_falls_from_the_first_to_half_way_to_almost_nothing():
    class Watched(nn.Linear):
        pass

    steps = {}
    for schedule in ("constant", "cosine"):
        saved = []
        spec = TrainingSpec(
            epochs=9,
            patience=9,
            schedule=schedule,
            batch=64,
            weight_decay=0.0,
            optimiser="adam",
        )
        with seeded(0):
            net = Watched(3, 1)
        train(net, loss, items(64, 0), items(0, 0), spec, Run(3, save=saved.append))
        weights = np.stack([arrays["network/weight"][0] for arrays in saved])
        steps[schedule] = np.abs(np.diff(weights, axis=0)).max(axis=1)
    assert steps["constant"][-1] == pytest.approx(1e-3, rel=0.5)
    assert steps["cosine"][-1] < 0.1 * steps["constant"][-1]


def test_mixed_precision_learns_as_well_and_keeps_weights_in_float32():
    held_out, found = items(64, 1), {}
    for precision in ("float32", "mixed"):
        net = network()
        spec = TrainingSpec(epochs=20, precision=precision)
        found[precision] = min(train(net, loss, items(512, 0), held_out, spec, Run(7)).held_out)
        assert {weights.dtype for weights in net.parameters()} == {torch.float32}
    assert found["mixed"] != found["float32"]
    assert found["mixed"] == pytest.approx(found["float32"], rel=0.2)


def test_results_do_not_depend_on_the_number_of_threads():
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        net = network()
        train(net, loss, items(200, 0), items(50, 1), TrainingSpec(epochs=2), Run(3))
        found.append(bits(net))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_seeding_leaves_the_global_state_of_torch_as_it_was():
    state = torch.random.get_rng_state()
    with seeded(1, 2):
        inside = torch.rand(3)
        assert torch.are_deterministic_algorithms_enabled()
    with seeded(1, 2):
        assert torch.equal(inside, torch.rand(3))
    assert torch.equal(state, torch.random.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


KILLED_RUN = """
    import sys
    import numpy as np
    from pathlib import Path
    from anomaly.checkpoints import Model, training_state
    from anomaly.detectors import FitContext, detectors
    from anomaly.features import FeatureSpec, vector_block
    from anomaly.storage import open_root
    from anomaly.video import PixelSpec
    from anomaly.windows.bags import Bag, MemorySource

    def bag(name, seed):
        noise = np.random.default_rng(seed).standard_normal((600, 4))
        block = vector_block(np.arange(600), np.arange(600) / 10, np.cumsum(noise, axis=0))
        return Bag(name, "c", {"features": MemorySource(block)})

    spec = FeatureSpec(backbone="t", parameters={}, version=1, weights="", pixels=PixelSpec())
    parameters = {"training": {"epochs": 8, "patience": 8}}
    detector = detectors().get("predictor").build(parameters, {"features": spec})
    load, save, _ = training_state(open_root(sys.argv[1]), "key")
    context = FitContext(
        np.random.default_rng(0), "key", load, save,
        lambda text, done, total: print(done, flush=True),
    )
    detector.fit([bag("a", 1), bag("b", 2)], validation=[bag("c", 3)], context=context)
    print(Model(detector.state(), {}, {}).digest(), flush=True)
"""


@pytest.mark.slow
def test_a_training_killed_by_the_system_resumes_to_the_same_bits(tmp_path):
    def start(root):
        command = [sys.executable, "-c", textwrap.dedent(KILLED_RUN), str(tmp_path / root)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    undisturbed = start("a").communicate(timeout=120)[0].split()
    victim = start("b")
    while int(victim.stdout.readline()) < 3:
        pass
    victim.kill()
    victim.communicate()
    resumed = start("b").communicate(timeout=120)[0].split()
    assert undisturbed[:-1] == [str(epoch) for epoch in range(1, 9)]
    assert int(resumed[0]) >= 4
    assert resumed[-1] == undisturbed[-1]
