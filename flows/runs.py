"""What all our flows share: their options, their name for a run, where they work, how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from anomaly.errors import SpecError
from anomaly.fanout import FanOut, with_feeders
from anomaly.outcome import Outcome
from anomaly.video import ArchiveSpec
from flows.artifacts import with_progress
from flows.settings import load_settings
from tasks.policy import fan_out, task_runner

P = ParamSpec("P")
R = TypeVar("R")

WITH_FAILURES = "CompletedWithFailures"
"""name of the final state, of type COMPLETED, of a run that some videos gave nothing to"""


def archive_flow(name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Return the decorator that makes a function the flow `name`, with the settings of this process."""
    settings = load_settings()
    decorate: Callable[[Callable[P, R]], Flow[P, R]] = flow(
        name=name,
        flow_run_name=run_name,
        task_runner=task_runner(settings.workers, settings.dask_scheduler),
        timeout_seconds=settings.timeout_seconds or None,
        persist_result=False,
    )
    return decorate


def run_name() -> str:
    """Return flow, archive and date of the run under way: `nightly-scan campus 2026-11-22`."""
    settings = load_settings()
    archive = flow_run.parameters.get("archive") or settings.archive
    today = datetime.now(ZoneInfo(settings.time_zone)).date().isoformat()
    return " ".join(part for part in (flow_run.flow_name, _short_name(archive), today) if part)


def workplace(archive: ArchiveSpec | None, root: str) -> tuple[ArchiveSpec, str]:
    """Return the archive and the root that a flow works on: as given, else as set.

    Raises:
        SpecError: no archive is given and none is set.
    """
    settings = load_settings()
    chosen = archive or settings.archive
    if chosen is None:
        raise SpecError(
            "No archive to work on. Give the parameter `archive`, for example "
            '{"root": "/videos"}, or set ANOMALY_ARCHIVE__ROOT where the flow runs.'
        )
    return chosen, root or settings.root


def labels_or_set(labels: str) -> str:
    """Return the label file that a flow works with: as given, else as set.

    Raises:
        SpecError: none is given and none is set.
    """
    chosen = labels or load_settings().labels
    if not chosen:
        raise SpecError(
            "No labels to judge by. Give the parameter `labels`, or set ANOMALY_LABELS where the flow runs."
        )
    return chosen


def engine() -> FanOut:
    """Return the fan-out of a flow: Prefect's task mapping under the settings, with progress."""
    settings = load_settings()
    mapped = fan_out(
        workers=settings.workers,
        max_task_runs=settings.max_task_runs,
        retries=settings.retries,
        retry_delay_seconds=settings.retry_delay_seconds,
    )
    return with_progress(with_feeders(mapped, settings.feeders))


def end(summary: Mapping[str, Any], troubled: Sequence[Outcome]) -> State[dict[str, Any]]:
    """Return the final state of a flow; its result is the summary.

    A bad video is no reason to call a run failed: the state is of type COMPLETED, and its name and
    message say that some videos gave nothing.
    """
    data = dict(summary)
    if not troubled:
        return Completed(data=data)
    first = troubled[0]
    count = f"{len(troubled)} video{'s' if len(troubled) > 1 else ''} gave nothing"
    return Completed(
        name=WITH_FAILURES,
        message=f"{count}; first: {first.uri} ({first.code}): {first.message}",
        data=data,
    )


def _short_name(archive: ArchiveSpec | Mapping[str, Any] | None) -> str:
    if archive is None:
        return ""
    if isinstance(archive, ArchiveSpec):
        name, root = archive.name, archive.root
    else:
        name, root = archive.get("name", ""), archive.get("root", "")
    return str(name or root.rstrip("/").rsplit("/", 1)[-1])
