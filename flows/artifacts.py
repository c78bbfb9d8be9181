"""What a flow run leaves to read in Prefect's UI: progress, a summary, top events, bad files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.runtime import flow_run

from anomaly.fanout import FanOut, Item, Result
from anomaly.outcome import Outcome
from anomaly.scores.tables import read_events
from anomaly.storage import open_root
from anomaly.verbs.score import ScoreSummary

PROGRESS_SECONDS = 5.0
"""how often progress is told at most"""
TOP_EVENTS = 20
_EVENT_COLUMNS = ("video", "start_seconds", "stop_seconds", "score", "one_in_days", "model")


def with_progress(fan_out: FanOut) -> FanOut:
    """Return `fan_out` with a progress artifact for each stage."""

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if not items:
            return
        artifact = cast(
            "UUID",
            create_progress_artifact(
                0.0, key=_key(f"{label}-progress"), description=f"{label}: {len(items)} to do"
            ),
        )
        told = time.monotonic()
        for done, result in enumerate(fan_out(function, items, label=label), 1):
            if done == len(items) or time.monotonic() - told > PROGRESS_SECONDS:
                update_progress_artifact(artifact, 100.0 * done / len(items))
                told = time.monotonic()
            yield result

    return run


def publish_summary(summary: Mapping[str, Any]) -> None:
    """Leave the figures of a run as a table of markdown; nested ones as JSON."""
    lines = [f"| {name} | {_cell(value)} |" for name, value in summary.items()]
    text = "\n".join([f"## {flow_run.name}", "", "| | |", "|---|---|", *lines])
    create_markdown_artifact(text, key=_key("summary"), description="what the run came to")


def publish_bad_files(troubled: Sequence[Outcome]) -> None:
    """Leave the videos that gave nothing this time, with the reasons; an empty table says none did."""
    rows = [
        {"video": o.uri, "status": o.status, "code": o.code, "message": o.message}
        for o in troubled
    ]
    create_table_artifact(
        rows, key=_key("bad-files"), description=f"{len(rows)} videos that gave nothing"
    )


def publish_top_events(root: str, scoring: ScoreSummary) -> None:
    """Leave the highest events of the videos scored now."""
    scored = {row.uri for row in scoring.scored}
    stored = read_events(open_root(root), scoring.archive, scoring.checkpoint).to_pylist()
    events = [event for event in stored if event["video"] in scored]
    events.sort(key=lambda event: (-event["score"], event["video"], event["start_frame"]))
    create_table_artifact(
        [{name: event[name] for name in _EVENT_COLUMNS} for event in events[:TOP_EVENTS]],
        key=_key("top-events"),
        description=f"highest of {len(events)} events in {len(scored)} newly scored videos",
    )


def _key(what: str) -> str:
    """Return the artifact's key: runs of one flow share it, which makes them a history."""
    return f"{flow_run.flow_name}-{what}"


def _cell(value: Any) -> str:
    text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
