"""The local process pool: every item once, a dead worker costs a retry and not the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from anomaly.errors import SpecError, TransientError
from anomaly.fanout import EXTRACT, one_by_one, process_pool, with_feeders


def square(number: int) -> int:
    return number * number


def die_once(marker: str) -> str:
    path = Path(marker)
    if path.suffix == ".die" and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def die_always(marker: str) -> str:
    if marker.endswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def own_pid(number: int) -> int:
    return number + os.getpid()


def refuse(number: int) -> int:
    raise SpecError(f"no {number}")


def test_every_item_has_one_result():
    assert sorted(process_pool(2)(square, range(7), label="t")) == [n * n for n in range(7)]
    assert list(one_by_one(square, [1, 2, 3], label="t")) == [1, 4, 9]


def test_a_killed_worker_costs_a_retry_and_not_the_run(tmp_path: Path):
    items = [str(tmp_path / f"{n}.ok") for n in range(4)] + [str(tmp_path / "x.die")]
    assert sorted(process_pool(2)(die_once, items, label="t")) == sorted(items)


def test_an_item_that_always_kills_its_worker_ends_the_run_with_its_name():
    items = ["a", "die", "b", "c"]
    with pytest.raises(TransientError, match=r"died 4 times with 'die'"):
        list(process_pool(2)(die_always, items, label="t"))


def test_what_is_under_way_beside_killers_is_never_blamed(tmp_path: Path):
    items = [
        str(tmp_path / name) for name in ("1.die", "a", "2.die", "b", "3.die", "4.die", "c")
    ]
    assert sorted(process_pool(2)(die_once, items, label="t")) == sorted(items)


def test_an_error_of_the_function_reaches_the_caller():
    with pytest.raises(SpecError, match="no"):
        list(process_pool(2)(refuse, [1, 2, 3], label="t"))


def where(number: int) -> tuple[int, int, str]:
    return number, os.getpid(), threading.current_thread().name


def test_feeders_share_the_process_of_their_worker_and_lose_nothing():
    fan_out = with_feeders(process_pool(2), 3)
    done = list(fan_out(where, range(20), label=EXTRACT))
    assert sorted(number for number, _, _ in done) == list(range(20))
    assert len({pid for _, pid, _ in done}) <= 2
    assert all(name.startswith("anomaly-feeder") for _, _, name in done)


def test_feeders_leave_other_stages_alone():
    fan_out = with_feeders(one_by_one, 3)
    ((_, _, thread),) = fan_out(where, [1], label="score")
    assert thread == "MainThread"
    assert with_feeders(one_by_one, 1) is one_by_one


def test_processes_stay_from_stage_to_stage_and_go_with_the_fan_out():
    fan_out = process_pool(2)
    first, second = (set(fan_out(own_pid, [0] * 20, label="x")) for _ in range(2))
    assert first | second <= {child.pid for child in multiprocessing.active_children()}
    assert len(first | second) <= 2
    del fan_out
    assert not (first | second) & {child.pid for child in multiprocessing.active_children()}
