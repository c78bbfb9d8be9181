"""What a task run is called, so that a list of runs can be read: `extract entrance/0200.mp4`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from anomaly.fanout import Bundle
from anomaly.verbs.extract import ExtractJob
from anomaly.verbs.fit import FitJob
from anomaly.verbs.folds import FoldJob
from anomaly.verbs.score import ScoreJob


@singledispatch
def describe(item: object) -> str:
    """Return the few words that tell this item from its neighbours."""
    return str(item)


@describe.register
def _(item: ExtractJob) -> str:
    return item.file.uri


@describe.register
def _(item: ScoreJob) -> str:
    return f"{item.partition.camera} {item.partition.date}"


@describe.register
def _(item: FitJob) -> str:
    return item.model


@describe.register
def _(item: FoldJob) -> str:
    return item.fit.model


@describe.register
def _(item: Bundle) -> str:
    return shard_name("", item.items).strip()


def shard_name(label: str, items: Sequence[object]) -> str:
    """Return the name of the task run that does `items`, at least one."""
    others = f" and {len(items) - 1} more" if len(items) > 1 else ""
    return f"{label} {describe(items[0])}{others}"
