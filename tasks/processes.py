"""The cores of this machine, for task runs that are threads.

A thread runner runs tasks inside the flow's own process, where Python runs one of them at a time. So a
task run hands its work to a pool of processes and waits: a run costs a thread that sleeps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from anomaly.errors import TransientError
from anomaly.fanout import kill_children, start_pool

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return the results of `items`, done one by one, here and now."""
    return [function(item) for item in items]


class LocalProcesses:
    """A pool of `workers` processes that is renewed when one of them dies."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = start_pool(workers)
        self._renewing = threading.Lock()

    def run_all(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Result]:
        """Return the results of `items`, done one by one in one of the processes.

        Raises:
            TransientError: the process was killed, perhaps for want of memory.
        """
        pool = self._pool
        try:
            return pool.submit(run_all, function, items).result()
        except BrokenProcessPool as error:
            with self._renewing:
                if self._pool is pool:
                    self._pool = start_pool(self.workers)
            raise TransientError(
                f"A worker process died while {items[0]!r} was under way, perhaps out of memory. "
                "If it happens again, lower ANOMALY_WORKERS."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            kill_children()
        self._pool.shutdown(wait=True, cancel_futures=True)
