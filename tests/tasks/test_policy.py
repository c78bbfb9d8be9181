"""The retry rule and the fan-out over Prefect: by error class, the same results as the local pool."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from anomaly.errors import AnomalyError, SpecError, StoreError, TransientError, VideoError
from anomaly.fanout import process_pool
from tasks.policy import deal, fan_out, is_transient, run_shard, task_runner
from tests.tasks.work import die_once, judge, process_of, refuse, square, try_counted


def flow_over(
    function: Callable[..., Any], *, workers: int = 2, **policy: Any
) -> Flow[..., list[Any]]:
    @flow(name="fan-out-test", task_runner=task_runner(workers))
    def run(items: list[Any]) -> list[Any]:
        spread = fan_out(workers=workers, retry_delay_seconds=0.0, **policy)
        return list(spread(function, items, label="square"))

    return run


def task_runs_of(state: Any) -> list[TaskRun]:
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
        return client.read_task_runs(flow_run_filter=wanted)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (TransientError("t"), True),
        (SpecError("s"), False),
        (VideoError("code", "v"), False),
        (StoreError("s"), False),
        (ValueError("v"), False),
    ],
)
def test_only_transient_errors_are_retried(error: Exception, retried: bool):
    assert is_transient(run_shard, None, Failed(data=error)) is retried


def test_every_class_of_error_has_been_thought_of():
    assert {cls.__name__ for cls in AnomalyError.__subclasses__()} == {
        "SpecError", "StoreError", "TransientError", "VideoError",
    }  # fmt: skip


@given(st.lists(st.integers(), min_size=1), st.integers(1, 20))
def test_dealing_gives_every_item_to_one_shard_and_shards_of_nearly_equal_size(items, hands):
    shards = deal(items, hands)
    assert sorted(item for shard in shards for item in shard) == sorted(items)
    assert len(shards) <= hands
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_results_equal_those_of_the_local_pool(prefect_server):
    local = sorted(process_pool(2)(square, range(5), label="square"))
    assert sorted(flow_over(square)(list(range(5)))) == local


def test_work_leaves_the_process_of_a_thread_runner(prefect_server):
    assert os.getpid() not in flow_over(process_of)([1, 2, 3])


def test_up_to_the_limit_each_item_has_a_task_run_of_its_own(prefect_server):
    state = flow_over(square, max_task_runs=3)([1, 2, 3], return_state=True)
    assert {run.name for run in task_runs_of(state)} == {"square 1", "square 2", "square 3"}


def test_above_the_limit_items_share_task_runs_and_none_is_lost(prefect_server):
    state = flow_over(square, max_task_runs=3)(list(range(7)), return_state=True)
    assert sorted(state.result()) == [n * n for n in range(7)]
    assert {run.name for run in task_runs_of(state)} == {
        "square 0 and 2 more", "square 1 and 1 more", "square 2 and 1 more",
    }  # fmt: skip


def test_nothing_to_do_makes_no_task_run(prefect_server):
    assert flow_over(square)([]) == []


def test_a_passing_failure_is_tried_again(prefect_server, tmp_path: Path):
    state = flow_over(try_counted, retries=2)([str(tmp_path)], return_state=True)
    assert state.result() == [2]
    assert [run.run_count for run in task_runs_of(state)] == [3]


def test_a_lasting_failure_ends_the_stage_at_once(prefect_server, tmp_path: Path):
    with pytest.raises(StoreError, match="the disk is full"):
        flow_over(refuse)([str(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_process_costs_a_retry_and_not_the_run(prefect_server, tmp_path: Path):
    items = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert sorted(flow_over(die_once, retries=3)(items)) == items


def test_a_bad_video_is_a_completed_task_run_named_after_what_it_is(prefect_server):
    state = flow_over(judge)(["good", "bad"], return_state=True)
    assert {outcome.uri: outcome.status for outcome in state.result()} == {
        "good": "ok", "bad": "quarantined",
    }  # fmt: skip
    names = {run.name: (run.state_name, run.state_type.value) for run in task_runs_of(state)}
    assert names == {
        "square good": ("Completed", "COMPLETED"),
        "square bad": ("Quarantined", "COMPLETED"),
    }


def test_an_outcome_that_the_world_spoilt_is_retried_and_at_last_returned(prefect_server):
    state = flow_over(judge, retries=1)(["lost"], return_state=True)
    assert [outcome.status for outcome in state.result()] == ["failed"]
    assert [(run.run_count, run.state_name) for run in task_runs_of(state)] == [(2, "PutOff")]
