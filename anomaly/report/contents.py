"""What a report says: ranked events, score timelines, bad files, evaluation. Tables in, plain nouns out."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from anomaly import parquet
from anomaly.catalog import Catalog, CatalogRow, LedgerRow, OutOfDomain, out_of_domain
from anomaly.checkpoints import load, names
from anomaly.evaluation.results import RESULTS_KEY
from anomaly.report.events import UNDATED, ReportedEvent, day_of, ranked_events, reported
from anomaly.report.learning import LearningCurve, curves_of, warnings_of
from anomaly.report.machine import Headline, headline
from anomaly.report.timelines import Timeline, timelines_of
from anomaly.report.whatif import WhatIf, what_if
from anomaly.storage import Root

MOST_DAYS = 62
"""dates that a report covers, the newest"""
NEWEST_DAYS = 2
"""dates whose events are shown before higher ones of older dates: those that a night falls on"""


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
    """Everything that one report shows: the newest `MOST_DAYS` dates, and what has none."""

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
    """of these dates, shown or not"""
    days: tuple[CameraDay, ...]
    """by date and camera"""
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
    """Return what is known of an archive's scores by one checkpoint, over its newest `MOST_DAYS` dates.

    Args:
        root: where the tables lie.
        archive: name of the archive.
        checkpoint: name of the bundle.
        time_zone: IANA name of the cameras' clock.
        since: first camera-local date, `YYYY-MM-DD`; empty for all. Undated videos always count.
        max_events: how many events are shown: those of the newest dates, then those of the others, the
            highest scores first.
    """
    catalog = Catalog(root, archive)
    rows = catalog.rows()
    ledger = catalog.scored(checkpoint)
    dates = _dates(row.date for row in ledger.values() if not row.date < since)
    covered = {UNDATED, *dates}
    scored = [row for row in ledger.values() if day_of(row.date) in covered]
    known = checkpoint in names(root)
    recipes = list(load(root, checkpoint).inputs.values()) if known else []
    ranked = ranked_events(root, archive, checkpoint, scored)
    events = reported(
        root, ranked, rows, newest=dates[-NEWEST_DAYS:], most=max_events, time_zone=time_zone
    )
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
        events=tuple(events),
        events_in_all=len(ranked),
        days=_days(scored),
        timelines=tuple(
            timelines_of(root, [(event.day, event.row) for event in events], ledger, recipes)
        ),
        what_if=what_if(root, archive, checkpoint, scored),
        out_of_domain=tuple(
            sorted(out_of_domain(rows, scored), key=lambda one: (one.is_over, one.camera))
        ),
        bad_files=tuple(_bad_files(root, archive, rows.values())),
        evaluations=tuple(_evaluations(root, archive, checkpoint)),
        warnings=tuple(warnings_of(root, checkpoint)),
        learning=curves_of(root, checkpoint),
    )


def _dates(dates: Iterable[str]) -> list[str]:
    """Return the newest `MOST_DAYS` of the dates, in order."""
    return sorted({date for date in dates if day_of(date) != UNDATED})[-MOST_DAYS:]


def _days(scored: Iterable[LedgerRow]) -> tuple[CameraDay, ...]:
    by_day: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    for row in scored:
        by_day[day_of(row.date), row.camera].append(row)
    return tuple(
        CameraDay(
            camera=camera, date=date, videos=len(rows), events=sum(row.n_events for row in rows)
        )
        for (date, camera), rows in sorted(by_day.items())
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
