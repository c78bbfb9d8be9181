"""Outcomes as Prefect sees them: a bad video is a completed task run whose state is named after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from anomaly.errors import TransientError
from anomaly.outcome import Outcome

_NAMES = {"quarantined": "Quarantined", "failed": "PutOff"}
"""names of the final states of runs that gave nothing: the file is bad; the next run tries again"""


def raise_if_failed(results: Sequence[object]) -> None:
    """Turn the first outcome that the world spoilt (network, disk) into an error that is retried.

    Raises:
        TransientError: an outcome has the status `failed`.
    """
    for result in _flat(results):
        if isinstance(result, Outcome) and result.status == "failed":
            raise TransientError(f"{result.uri} ({result.code}): {result.message}")


def state_of(results: list[Any]) -> State[list[Any]]:
    """Return the final state of a task run with these results; always of type COMPLETED."""
    for result in _flat(results):
        if isinstance(result, Outcome) and result.status in _NAMES:
            text = f"{result.uri} ({result.code}): {result.message}"
            return Completed(name=_NAMES[result.status], message=text, data=results)
    return Completed(data=results)


def _flat(results: Sequence[object]) -> Iterator[object]:
    """Yield every result; those of a bundle are a list."""
    for result in results:
        yield from result if isinstance(result, list) else [result]
