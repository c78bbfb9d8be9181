"""The two discriminators against a slow reference, and a run with them that is killed and goes on."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from anomaly.training.loop import Run, TrainingSpec, network_arrays, train
from anomaly.training.pixels import ClipShape
from anomaly.training.pixels.attended import CtPredict
from anomaly.training.pixels.discriminators import Discriminators
from anomaly.training.seeding import seeded

SHAPE = ClipShape(1, 4, 16, 32, 1, 0.1)
WEIGHT = 0.05


def network():
    with seeded(0):
        return CtPredict(SHAPE, adversarial=WEIGHT)


def clips(count, seed):
    return np.random.default_rng(seed).random((count, 1, 5, 16, 32)).astype(np.float32)


def loss(net, clips_BCTHW):
    seen, real = clips_BCTHW[:, :, :4], clips_BCTHW[:, :, 4:]
    made, _ = net(seen)
    plain = (made - real).square().mean()
    return plain + net.opposed(seen, made, real) if net.training else plain


def by_hand(judge, clips_BCTHW):
    """What a discriminator says of each patch: its layers one by one, on one clip at a time."""
    said = []
    for clip in clips_BCTHW:
        maps = clip[None]
        for layer in judge.layers:
            maps = layer(maps)
        said += maps.flatten().tolist()
    return said


def test_each_side_has_the_loss_and_the_gradients_of_a_game_played_by_hand():
    net = network()
    seen, real = (torch.from_numpy(part) for part in np.split(clips(3, 1), [4], axis=2))
    made, _ = net(seen)
    net.opposed(seen, made, real).backward()
    found = {name: part.grad for name, part in net.named_parameters() if part.grad is not None}

    slow = network()
    made, _ = slow(seen)
    sides = [
        (slow.judges.of_pictures, real, made),
        (slow.judges.of_clips, torch.cat([seen, real], 2), torch.cat([seen, made], 2)),
    ]
    wanted = 0.0
    for judge, true, false in sides:
        with torch.no_grad():
            on_true, on_false = by_hand(judge, true), by_hand(judge, false)
        wanted += sum((one - 1) ** 2 for one in on_true) / len(on_true) / 2
        wanted += sum(one**2 for one in on_false) / len(on_false) / 2
        wanted += WEIGHT * sum((one - 1) ** 2 for one in on_false) / len(on_false)
        own = (judge(true) - 1).square().mean() + judge(false.detach()).square().mean()
        for part, gradient in zip(
            judge.parameters(),
            torch.autograd.grad(own / 2, list(judge.parameters())),
            strict=True,
        ):
            part.grad = gradient
    assert net.opposed(seen, net(seen)[0], real).item() == pytest.approx(wanted, rel=1e-5)

    judges = deepcopy(slow.judges).requires_grad_(requires_grad=False)
    fooled = [
        (judges.of_pictures(made) - 1).square().mean(),
        (judges.of_clips(torch.cat([seen, made], 2)) - 1).square().mean(),
    ]
    players = {n: p for n, p in slow.named_parameters() if not n.startswith("judges.")}
    gradients = torch.autograd.grad(WEIGHT * sum(fooled), list(players.values()))
    slow_found = dict(zip(players, gradients, strict=True))
    slow_found |= {f"judges.{n}": p.grad for n, p in slow.judges.named_parameters()}
    assert set(found) == set(slow_found)
    for name, gradient in slow_found.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)


def test_they_learn_to_tell_real_from_made():
    with seeded(0):
        judges = Discriminators(SHAPE, WEIGHT)
    optimiser = torch.optim.Adam(judges.parameters(), lr=0.01)
    seen, real = (torch.from_numpy(part) for part in np.split(clips(4, 2), [4], axis=2))
    made = torch.full_like(real, 0.5)
    for _ in range(60):
        optimiser.zero_grad()
        judges(seen, made, real).backward()
        optimiser.step()
    with torch.no_grad():
        assert judges.of_pictures(real).mean() > judges.of_pictures(made).mean() + 0.5


class KilledError(Exception):
    """The run was ended from outside."""


def test_a_game_that_is_killed_goes_on_to_the_very_bits_of_an_undisturbed_one():
    spec = TrainingSpec(epochs=3, batch=4, optimiser="adam")
    items, held_out = clips(8, 3), clips(2, 4)
    undisturbed, disturbed, saved = network(), network(), {}
    curve = train(undisturbed, loss, items, held_out, spec, Run(7))

    def kill(_curve, _epochs):
        raise KilledError

    with pytest.raises(KilledError):
        train(disturbed, loss, items, held_out, spec, Run(7, save=saved.update, progress=kill))
    disturbed = network()
    again = train(disturbed, loss, items, held_out, spec, Run(7, load=lambda: saved))
    assert again == curve
    bits = [
        {name: a.tobytes() for name, a in network_arrays(net.state_dict(), "").items()}
        for net in (undisturbed, disturbed)
    ]
    assert bits[0] == bits[1]
    assert any(name.startswith("judges.") for name in bits[0])


def test_without_a_weight_there_are_none():
    assert CtPredict(SHAPE).judges is None
