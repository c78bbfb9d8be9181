"""Pictures of several videos in one batch: what keeps a GPU busy where videos are short.

Who comes never waits for company. While a batch is under way others queue up, and the next batch takes all
of them that fit: when the GPU is what limits, batches are full; when it is not, nothing is late.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Vectors = NDArray[np.float32]


class Gathering:
    """Threads that run a program over whatever pictures wait, at most `rows` at once."""

    def __init__(
        self,
        run: Callable[[Pictures], Vectors],
        rows: int,
        threads: int,
        begin_thread: Callable[[], None],
    ) -> None:
        """Start the threads; each calls `begin_thread` once, and then `run` again and again."""
        self._run, self._rows, self._begin_thread = run, rows, begin_thread
        self._waiting: deque[tuple[Pictures, Future[Vectors]]] = deque()
        self._changed = threading.Condition()
        for _ in range(threads):
            threading.Thread(target=self._work, name="anomaly-gathering", daemon=True).start()

    def submit(self, pixels_BHWC: Pictures) -> Future[Vectors]:
        """Return what will hold the vectors of these pictures, at most `rows` of them."""
        future: Future[Vectors] = Future()
        with self._changed:
            self._waiting.append((pixels_BHWC, future))
            self._changed.notify()
        return future

    def _work(self) -> None:
        self._begin_thread()
        while True:
            taken = self._take()
            futures = [future for _, future in taken]
            try:
                vectors = self._run(np.concatenate([pixels for pixels, _ in taken]))
                stops = np.cumsum([len(pixels) for pixels, _ in taken])
                parts = np.split(vectors, stops[:-1])
            except BaseException as error:  # noqa: BLE001 - who asked shall see it
                for future in futures:
                    future.set_exception(error)
            else:
                for future, part in zip(futures, parts, strict=True):
                    future.set_result(part)

    def _take(self) -> list[tuple[Pictures, Future[Vectors]]]:
        """Wait for pictures; take the first that wait, and all behind them that still fit."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            taken, left = [self._waiting.popleft()], deque(self._waiting)
            self._waiting.clear()
            free = self._rows - len(taken[0][0])
            for one in left:
                if len(one[0]) <= free:
                    taken.append(one)
                    free -= len(one[0])
                else:
                    self._waiting.append(one)
            return [
                one for one in taken if one[1].set_running_or_notify_cancel()
            ] or self._take()
