"""Two processes that share every batch train the network that one process trains."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError
from anomaly.training import parallel

PROGRAM = """
    import contextlib, json, sys
    import numpy as np
    from torch import nn
    from anomaly.fanout import one_by_one
    from anomaly.training import parallel
    from anomaly.training.loop import Run, TrainingSpec, network_arrays, train
    from anomaly.training.seeding import seeded

    def loss(net, batch):
        return nn.functional.mse_loss(net(batch)[:, 0], batch.sum(dim=1))

    def fit(seed):
        with seeded(0):
            net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
        items = np.random.default_rng(seed).standard_normal((100, 3)).astype(np.float32)
        saved = []
        run = Run(seed, save=lambda arrays: saved.append(len(arrays["learnt"])))
        curve = train(net, loss, items[:80], items[80:], TrainingSpec(epochs=4, batch=15), run)
        weights = {k: v.tolist() for k, v in network_arrays(net.state_dict(), "").items()}
        return {"curve": curve.to_json(), "weights": weights, "saved": saved}

    if sys.argv[1:] == ["together"]:
        with parallel.team() as rank:
            if rank:
                parallel.follow()
            else:
                with parallel.leading(one_by_one) as fan_out:
                    print(json.dumps(list(fan_out(fit, [3, 4], label="train"))))
    else:
        print(json.dumps([fit(3), fit(4)]))
"""


def flat(value):
    return np.concatenate([np.ravel(part) for part in value.values()])


@pytest.mark.slow
def test_two_processes_end_with_the_weights_and_the_curve_of_one_with_the_whole_batch(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    found = []
    for start, how in (
        ([sys.executable], "alone"),
        ([*torchrun, "--nproc-per-node=2"], "together"),
    ):
        done = subprocess.run(
            [*start, program, how], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    for alone, together in zip(*found, strict=True):
        assert flat(together["weights"]) == pytest.approx(flat(alone["weights"]), abs=1e-5)
        assert together["curve"]["learnt"] == pytest.approx(alone["curve"]["learnt"], rel=1e-5)
        assert together["curve"]["held_out"] == pytest.approx(
            alone["curve"]["held_out"], rel=1e-5
        )
        assert together["saved"] == alone["saved"] == [1, 2, 3, 4]


@settings(max_examples=60, deadline=None)
@given(half=st.integers(1, 20), odd=st.booleans(), size=st.integers(1, 5))
def test_shares_of_a_batch_hold_each_item_once_and_as_many_of_either_half(half, odd, size):
    chosen = np.arange(2 * half + odd)
    shares = []
    for rank in range(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parallel, "rank", lambda rank=rank: rank)
            patch.setattr(parallel, "_size", lambda: size)
            shares.append(parallel.share(chosen))
    counted = [own for own, weight in shares if weight]
    assert sorted(np.concatenate(counted)) == chosen.tolist()
    assert np.mean([weight for _, weight in shares]) == pytest.approx(1.0)
    for own, _ in shares:
        first = int((own < half).sum())
        assert len(own) > 0
        assert len(own) - first - first in ({0, 1} if odd else {0})


def test_without_a_team_everything_is_done_here():
    assert parallel.is_first()
    assert parallel.own_chance() == ()
    assert parallel.mean(0.25) == 0.25
    assert parallel.agreed(lambda: "x") == "x"


def test_a_process_that_torchrun_has_not_started_is_told_how_to():
    with pytest.raises(SpecError, match="torchrun --nproc-per-node 2"), parallel.team():
        pass
