"""How many things are done at once: the one seam between the library and an engine.

Every stage hands its per-video work to a `FanOut`. The CLI passes a pool of local processes, a Prefect
flow passes its task mapping (`tasks.policy.fan_out`); both see the same functions and items, so both
make the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class FanOut(Protocol):
    """Runs `function` on each item somewhere and yields results as they come, in any order.

    `function` is a module-level function, items and results are picklable. A function handed to a
    fan-out returns an outcome instead of raising for a bad video; what it does raise ends the stage.
    """

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]: ...


def one_by_one(
    function: Callable[[Item], Result], items: Sequence[Item], *, label: str
) -> Iterator[Result]:
    """Run everything here and now; the simplest `FanOut`."""
    del label
    for item in items:
        yield function(item)
