"""How many things are done at once: the one seam between the library and an engine.

Every stage hands its per-video work to a `FanOut`. The CLI passes a pool of local processes, a Prefect
flow passes its task mapping (`tasks.policy.fan_out`); both see the same functions and items, so both
make the same tables.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from anomaly.errors import TransientError

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE_SECONDS = 3.0
"""how long a worker process may take to end when asked, before it is killed"""

EXTRACT = "extract"
"""label of the stage that extracts features"""
_ROUNDS = 4
"""videos that each feeder does in one bundle: few, for results come when all are done"""

_share_of_cores = 0
"""of a worker of a pool; 0: this process is none and may use all"""


class FanOut(Protocol):
    """Runs `function` on each item somewhere and yields results as they come, in any order.

    `function` is a module-level function, items and results are picklable. A function handed to a
    fan-out returns an outcome instead of raising for a bad video; what it does raise ends the stage.
    """

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        """Yield one result for each item."""


def one_by_one(
    function: Callable[[Item], Result], items: Sequence[Item], *, label: str
) -> Iterator[Result]:
    """Run everything here and now; the simplest `FanOut`."""
    del label
    for item in items:
        yield function(item)


@dataclass(frozen=True)
class Bundle:
    """Items that one worker does at the same time, in threads."""

    function: Callable[[Any], Any]
    items: tuple[Any, ...]
    feeders: int


def with_feeders(fan_out: FanOut, feeders: int) -> FanOut:
    """Return a `FanOut` whose workers extract so many videos at once, each in a thread.

    For GPUs: every thread has a decode process of its own, and all feed the one network of their worker.
    Other stages go through as they are: Python would run one of their threads at a time.
    """
    if feeders <= 1:
        return fan_out

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if label != EXTRACT:
            yield from fan_out(function, items, label=label)
            return
        size = feeders * _ROUNDS
        bundles = [
            Bundle(function, tuple(items[at : at + size]), feeders)
            for at in range(0, len(items), size)
        ]
        for results in fan_out(_done_together, bundles, label=label):
            yield from results

    return run


def _done_together(bundle: Bundle) -> list[Any]:
    return list(_feeders(bundle.feeders).map(bundle.function, bundle.items))


@functools.cache
def _feeders(count: int) -> ThreadPoolExecutor:
    """Return the threads of this process; they stay, and so do their decode processes."""
    return ThreadPoolExecutor(count, "anomaly-feeder")


def process_pool(workers: int = 0) -> FanOut:
    """Return a `FanOut` over local processes, by default one a core; they stay from stage to stage.

    A worker that is killed (out of memory, say) costs what was under way another try in a fresh pool,
    not the run. What was under way at a second death is done alone, one by one; an item that kills
    its worker twice even then raises `TransientError`.
    """
    count = workers or cores_here()
    pool = _Pool()

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if count == 1 or len(items) <= 1:
            yield from one_by_one(function, items, label=label)
            return
        waiting = deque(items)
        while waiting:
            suspects: deque[Item] = deque()
            yield from _until_broken(pool, function, waiting, count, suspects)
            doubtful: deque[Item] = deque()
            while suspects:
                yield from _until_broken(pool, function, suspects, count, doubtful)
            for item in doubtful:
                yield from _alone(function, item, label)

    return run


def _alone(function: Callable[[Item], Result], item: Item, label: str) -> Iterator[Result]:
    """Yield the result of an item that has a pool of one process to itself, so that blame is certain.

    Twice: at the deaths before it may have waited for its turn, and who kills once is no killer.
    """
    waiting = deque([item])
    for _ in range(2):
        guilty: deque[Item] = deque()
        yield from _until_broken(_Pool(), function, waiting, 1, guilty)
        if not guilty:
            return
        waiting = guilty
    raise TransientError(
        f"{label}: worker processes died 4 times with {item!r} under way, at last with nothing "
        "beside it, perhaps out of memory. Run again with fewer --workers."
    )


class _Pool:
    """Processes that are kept while as many are wanted: one takes a second or more to begin."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._workers = 0

    def __del__(self) -> None:
        """Wait for the processes: else their end and that of the interpreter get in each other's way."""
        self.end()

    def of(self, workers: int) -> ProcessPoolExecutor:
        """Return a pool of so many processes, the last one if it fits."""
        if self._executor is None or workers != self._workers:
            self.end()
            self._executor, self._workers = start_pool(workers), workers
        return self._executor

    def end(self) -> None:
        """Let the processes go; the next are fresh ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


def _until_broken(
    pool: _Pool,
    function: Callable[[Item], Result],
    waiting: deque[Item],
    workers: int,
    failed: deque[Item],
) -> Iterator[Result]:
    """Yield results, taking items from `waiting`, until all is done or the pool breaks.

    What was under way when it broke goes to `failed`; the rest is left waiting.
    """
    executor = pool.of(min(workers, len(waiting)))
    pending: dict[Future[Result], Item] = {}
    try:
        while pending or (waiting and not failed):
            while waiting and not failed and len(pending) < 2 * workers:
                item = waiting.popleft()
                try:
                    pending[executor.submit(function, item)] = item
                except BrokenProcessPool:
                    failed.append(item)
            yield from _finished(pending, failed)
    except BaseException:
        kill_children()
        pool.end()
        raise
    if failed:
        pool.end()


def start_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh local processes that die with this one; the caller shuts it down."""
    context = multiprocessing.get_context("spawn")
    share = max(1, cores_here() // workers)
    return ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(share,))


def kill_children() -> None:
    """End what this process's pools are doing: after an error nobody waits for it."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(_PATIENCE_SECONDS)
        if child.exitcode is None:
            child.kill()


def _finished(pending: dict[Future[Result], Item], failed: deque[Item]) -> Iterator[Result]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        item = pending.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            failed.append(item)
        else:
            yield result


def cores_here() -> int:
    """Return how many cores this process may keep busy: its share of them in a pool of processes."""
    if _share_of_cores:
        return _share_of_cores
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin_worker(share_of_cores: int) -> None:
    global _share_of_cores  # noqa: PLW0603 - a fact about this process, set once when it begins
    _share_of_cores = share_of_cores
    _follow_parent()


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and die with it even when it is killed outright."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # it was killed before the signal was set


def _leave(number: int, frame: object) -> None:
    """Go at once, but tidy: a killed process would leave its locks to be complained of."""
    del number, frame
    multiprocessing.util._exit_function()  # type: ignore[attr-defined]  # noqa: SLF001
    os._exit(1)
