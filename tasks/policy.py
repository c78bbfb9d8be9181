"""When work is tried again, and how it is dealt to task runs.

The class of an error decides: `TransientError` is retried with growing, jittered pauses; the others need
somebody to act and are not. Completeness in our own store is the truth about what is done, so results are
neither cached nor persisted by Prefect, and a task may run twice without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from prefect import Task, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import task_run as this_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from anomaly.errors import TransientError
from anomaly.fanout import FanOut, cores_here
from tasks.names import shard_name
from tasks.outcome import raise_if_failed, state_of
from tasks.processes import LocalProcesses, run_all

Item = TypeVar("Item")
Result = TypeVar("Result")

JITTER = 0.5
"""pauses are stretched by up to about this share, so that a crowd does not come back at once"""


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Say whether a failed task run may work when tried again."""
    del task, task_run
    return isinstance(state.result(raise_on_failure=False), TransientError)


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    task_run_name="{name}",
)
def run_shard(work: Callable[[], list[Any]], name: str, retries: int) -> State[list[Any]]:
    """Do the work of one task run; an outcome that the world spoilt is retried, then returned."""
    del name
    results = work()
    if this_run.run_count <= retries:
        raise_if_failed(results)
    return state_of(results)


def fan_out(
    *,
    workers: int = 0,
    max_task_runs: int = 500,
    retries: int = 3,
    retry_delay_seconds: float = 10.0,
) -> FanOut:
    """Return a `FanOut` that maps a Prefect task over the items, for use inside a flow.

    Each item has a task run of its own up to `max_task_runs` items; above, items are dealt to that many
    task runs. Under a thread runner the work is done in `workers` local processes (0: one a core); under
    any other runner (Dask) in the very process that runs the task.

    An error that is not transient, or that outlasts the `retries`, ends the stage and is raised.
    """

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if not items:
            return
        shards = deal(items, max_task_runs)
        mapped = run_shard.with_options(
            name=label,
            retries=retries,
            retry_delay_seconds=exponential_backoff(retry_delay_seconds),
        )
        cores = min(workers or cores_here(), len(shards))
        with LocalProcesses(cores) if _runs_in_threads() else nullcontext() as processes:
            run_all_there = processes.run_all if processes else run_all
            futures: list[PrefectFuture[Any]] = mapped.map(
                [partial(run_all_there, function, shard) for shard in shards],
                [shard_name(label, shard) for shard in shards],
                unmapped(retries),
            )
            for future in as_completed(futures):
                yield from future.result()

    return run


def deal(items: Sequence[Item], hands: int) -> list[tuple[Item, ...]]:
    """Deal the items like cards to at most `hands` shards.

    Stages put the largest items first; dealing gives every shard its share of them.
    """
    count = min(hands, len(items))
    return [tuple(items[first::count]) for first in range(count)]


def task_runner(workers: int = 0, scheduler: str = "") -> TaskRunner[Any]:
    """Return the runner for a flow: threads of its own process, or the Dask cluster at `scheduler`.

    Dask workers run one task at a time each: start them with `--nthreads 1`.
    """
    if not scheduler:
        return ThreadPoolTaskRunner(max_workers=workers or cores_here())
    from prefect_dask.task_runners import DaskTaskRunner

    runner: TaskRunner[Any] = DaskTaskRunner(address=scheduler)
    return runner


def _runs_in_threads() -> bool:
    context = FlowRunContext.get()
    return context is None or isinstance(context.task_runner, ThreadPoolTaskRunner)
