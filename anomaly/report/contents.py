"""What a report says: ranked events, score timelines, bad files, evaluation. Tables in, plain nouns out."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from anomaly import parquet
from anomaly.catalog import Catalog, CatalogRow, LedgerRow, OutOfDomain, out_of_domain
from anomaly.checkpoints import load, names
from anomaly.evaluation.results import RESULTS_KEY
from anomaly.explain import Explanation, read_explanation
from anomaly.report.learning import LearningCurve, curves_of, warnings_of
from anomaly.report.machine import Headline, headline
from anomaly.report.timelines import Timeline, timelines_of
from anomaly.report.whatif import WhatIf, what_if
from anomaly.scores.tables import Partition, read_partition
from anomaly.scores.verdicts import Verdict, verdicts_for
from anomaly.storage import Root

MOST_DAYS = 62
"""days that the calendar shows, the newest"""
UNDATED = "undated"
_PLAYABLE = {".mp4", ".m4v", ".webm", ".mov"}
_PLAYABLE_CODECS = {"h264", "vp8", "vp9", "av1"}
"""what browsers show of whole videos"""


@dataclass(frozen=True, kw_only=True)
class ReportedEvent:
    """One row of the table of events with the camera-day it stands in."""

    rank: int
    """1 is the most anomalous"""
    camera: str
    date: str
    """camera-local, `YYYY-MM-DD`, or `undated`"""
    row: dict[str, Any]
    """the columns of the events table"""
    local_start: datetime | None
    """start in the cameras' time zone; None when the file name does not tell the time"""
    verdict: Verdict | None = None
    """what somebody said of it, of this event or of one of other scores at the same place"""
    explanation: Explanation | None = None
    original: str = ""
    """file: URL of the whole video, where it is on this machine and browsers can play it"""

    @property
    def duration_seconds(self) -> float:
        """How long the event lasts."""
        return float(self.row["stop_seconds"] - self.row["start_seconds"])


@dataclass(frozen=True, kw_only=True)
class CameraDay:
    """What one camera gave on one camera-local date, or without a date."""

    camera: str
    date: str
    videos: int
    events: int


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """A video that gave no scores, or lost frames, and how to try it again."""

    uri: str
    camera: str
    status: str
    code: str
    message: str
    retry: str
    """shell command; empty where trying again changes nothing"""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that one report shows."""

    archive: str
    checkpoint: str
    headline: Headline
    cameras: tuple[str, ...]
    videos: int
    """scored by this checkpoint"""
    hours: float
    """playing time of those videos"""
    events: tuple[ReportedEvent, ...]
    """by score, highest first"""
    events_in_all: int
    """how many there are, shown or not"""
    days: tuple[CameraDay, ...]
    """by date and camera: the newest `MOST_DAYS` dates, and what has none"""
    timelines: tuple[Timeline, ...]
    """of the videos with events shown, by camera and name"""
    what_if: WhatIf | None
    """None where the checkpoint is no more"""
    out_of_domain: tuple[OutOfDomain, ...]
    """when cameras were unlike their training video, those that still are first"""
    bad_files: tuple[BadFile, ...]
    evaluations: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    """what a reader of the evaluations must know"""
    learning: tuple[LearningCurve, ...]
    """how the networks of the checkpoint learnt"""


def gather(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    time_zone: str,
    since: str = "",
    max_events: int = 200,
) -> Contents:
    """Return what is known of an archive's scores by one checkpoint.

    Args:
        root: where the tables lie.
        archive: name of the archive.
        checkpoint: name of the bundle.
        time_zone: IANA name of the cameras' clock.
        since: first camera-local date, `YYYY-MM-DD`; empty for all. Undated videos always count.
        max_events: how many of the highest-scoring events are shown.
    """
    catalog = Catalog(root, archive)
    rows = catalog.rows()
    ledger = catalog.scored(checkpoint)
    scored = [row for row in ledger.values() if not row.date < since]
    known = checkpoint in names(root)
    recipes = list(load(root, checkpoint).inputs.values()) if known else []
    eventful = {(row.camera, row.date) for row in scored if row.n_events}
    found = [
        (partition, row)
        for partition in (
            Partition(archive=archive, checkpoint=checkpoint, camera=camera, date=date)
            for camera, date in sorted(eventful)
        )
        for row in read_partition(root, partition, "events").to_pylist()
    ]
    found.sort(key=lambda pair: (-pair[1]["score"], pair[1]["event_id"]))
    shown = found[:max_events]
    hours = (
        sum((rows[row.uri].duration_seconds or 0) for row in scored if row.uri in rows) / 3600
    )
    return Contents(
        archive=archive,
        checkpoint=checkpoint,
        headline=headline(root, archive, checkpoint, rows, ledger),
        cameras=tuple(sorted({row.camera for row in scored})),
        videos=len(scored),
        hours=hours,
        events=tuple(_reported(root, shown, rows, time_zone)),
        events_in_all=len(found),
        days=_days(scored),
        timelines=tuple(timelines_of(root, shown, ledger, recipes)),
        what_if=what_if(root, archive, checkpoint, scored),
        out_of_domain=tuple(
            sorted(out_of_domain(rows, scored), key=lambda one: (one.is_over, one.camera))
        ),
        bad_files=tuple(_bad_files(root, archive, rows.values())),
        evaluations=tuple(_evaluations(root, archive, checkpoint)),
        warnings=tuple(warnings_of(root, checkpoint)),
        learning=curves_of(root, checkpoint),
    )


def _reported(
    root: Root,
    shown: Sequence[tuple[Partition, dict[str, Any]]],
    rows: Mapping[str, CatalogRow],
    time_zone: str,
) -> Iterator[ReportedEvent]:
    verdicts = (
        verdicts_for(root, shown[0][0].archive, [row for _, row in shown]) if shown else {}
    )
    for rank, (day, row) in enumerate(shown, 1):
        yield ReportedEvent(
            rank=rank,
            camera=day.camera,
            date=day_of(day.date),
            row=row,
            local_start=_local(row["start_time_utc"], time_zone),
            verdict=verdicts.get(row["event_id"]),
            explanation=_explanation(root, day, row),
            original=_playable(rows.get(row["video"])),
        )


def _explanation(root: Root, day: Partition, row: Mapping[str, Any]) -> Explanation | None:
    """Return what is said of an event, unless it was said of other scores."""
    found = read_explanation(root, day.archive, day.checkpoint, row["event_id"])
    return found if found and found.scores_digest == row["scores_digest"] else None


def _playable(row: CatalogRow | None) -> str:
    """Return the file: URL of a video that a browser can show from this machine, or nothing."""
    if row is None or row.kind != "file" or row.codec not in _PLAYABLE_CODECS:
        return ""
    path = Path(row.location)
    reachable = path.suffix.lower() in _PLAYABLE and path.is_file()
    return path.absolute().as_uri() if reachable else ""


def day_of(date: str) -> str:
    """Return the date of a camera-day; those without one are dealt over many parts, and are one here."""
    return UNDATED if date.startswith(UNDATED) else date


def _days(scored: Iterable[LedgerRow]) -> tuple[CameraDay, ...]:
    by_day: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    for row in scored:
        by_day[day_of(row.date), row.camera].append(row)
    dates = sorted({date for date, _ in by_day} - {UNDATED})
    shown = {UNDATED, *dates[-MOST_DAYS:]}
    return tuple(
        CameraDay(
            camera=camera, date=date, videos=len(rows), events=sum(row.n_events for row in rows)
        )
        for (date, camera), rows in sorted(by_day.items())
        if date in shown
    )


def _bad_files(root: Root, archive: str, rows: Iterable[CatalogRow]) -> Iterable[BadFile]:
    for row in sorted(rows, key=lambda row: (row.status != "quarantined", row.uri)):
        if row.present and row.status in {"quarantined", "partial"}:
            words = ["anomaly", "retry", row.uri, "--archive", archive, "--root", root.url]
            yield BadFile(
                uri=row.uri,
                camera=row.camera,
                status=row.status,
                code=row.code or "",
                message=row.message or _lost(row),
                retry=shlex.join(words) if row.status == "quarantined" else "",
            )


def _lost(row: CatalogRow) -> str:
    return f"{row.frames_lost or 0} of {row.n_frames or 0} frames could not be decoded."


def _evaluations(root: Root, archive: str, checkpoint: str) -> list[dict[str, Any]]:
    data = root.read(RESULTS_KEY)
    rows = [] if data is None else parquet.decoded(data).to_pylist()
    return [row for row in rows if (row["archive"], row["checkpoint"]) == (archive, checkpoint)]


def _local(time_utc: datetime | None, time_zone: str) -> datetime | None:
    return None if time_utc is None else time_utc.astimezone(ZoneInfo(time_zone))
