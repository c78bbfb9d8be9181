"""Runtimes, one file each: what runs a network over batches of pictures.

Each call runs on one core; as many calls run at once as there are cores to use. So features have the same
bits whatever the number of cores, and no threads wait for each other inside a layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.fanout import cores_here
from anomaly.registry import Registry

if TYPE_CHECKING:
    from anomaly.features.networks import Describer

Item = TypeVar("Item")
Result = TypeVar("Result")
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a runtime is to run."""

    name: str
    """of the network, for messages"""
    describer: Callable[[], Describer]
    """loads it, in float32 on the CPU"""
    key: str
    """digest of the network, its weights and its layer"""
    shape_BHWC: tuple[int, int, int, int]
    """of every batch of uint8 pictures"""
    precision: Precision


class Runtime(ABC):
    """Runs one program. A subclass is one file in `features/runtimes/`."""

    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)

    def __init__(self, program: Program) -> None:
        """Get ready.

        Raises:
            SpecError: this machine cannot run it; the message says what is missing.
        """
        self.program = program
        if program.precision not in self.precisions:
            raise SpecError(
                f"Runtime {type(self).__module__.rsplit('.', 1)[-1]!r} has no precision "
                f"{program.precision!r}; expected {' or '.join(self.precisions)}."
            )
        import torch

        # PyTorch's number of threads is what the environment allows: Dask tells its workers one.
        self.calls_at_once = min(cores_here(), torch.get_num_threads())
        """how many calls of `run` keep the hardware busy"""

    @abstractmethod
    def run(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the program makes of a batch, (B, D) or (B, cells, D); safe in any thread."""

    def begin_thread(self) -> None:  # noqa: B027 - most need nothing
        """Prepare a thread that is about to call `run`, again and again."""

    def describe(
        self, pixels_of: Callable[[Item], NDArray[np.uint8]], items: Iterable[Item]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Yield each item with what the program makes of its pictures, a batch of them at most.

        In order, while the next ones are worked on already. No more items are held than calls at once,
        and one.
        """
        return self._in_order(
            lambda item: self._threads.submit(self._one, pixels_of, item), items
        )

    def run_part(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run less than a batch of pictures, filled up to one: so bits never differ."""
        missing = self.program.shape_BHWC[0] - len(pixels_BHWC)
        if not missing:
            return self.run(pixels_BHWC)
        full = np.pad(pixels_BHWC, ((0, missing), (0, 0), (0, 0), (0, 0)), "edge")
        return self.run(full)[: len(pixels_BHWC)]

    def _one(
        self, pixels_of: Callable[[Item], NDArray[np.uint8]], item: Item
    ) -> NDArray[np.float32]:
        return self.run_part(pixels_of(item))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(
            self.calls_at_once, "anomaly-runtime", initializer=self.begin_thread
        )

    def _in_order(
        self, submit: Callable[[Item], Future[Result]], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        under_way: deque[tuple[Item, Future[Result]]] = deque()
        try:
            for item in items:
                under_way.append((item, submit(item)))
                if len(under_way) > self.calls_at_once:
                    done, future = under_way.popleft()
                    yield done, future.result()
            while under_way:
                done, future = under_way.popleft()
                yield done, future.result()
        finally:
            for _, future in under_way:
                future.cancel()


def runtimes() -> Registry[Runtime]:
    """The registry of runtimes."""
    return Registry("anomaly.features.runtimes", Runtime, "runtime")
