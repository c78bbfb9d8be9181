"""Which events a report shows, and what is known of each: rank, local time, verdict, explanation, video."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from anomaly.catalog import CatalogRow, LedgerRow
from anomaly.explain import Explanation, read_explanation
from anomaly.scores.tables import Partition, read_partition
from anomaly.scores.verdicts import Verdict, verdicts_for
from anomaly.storage import Root

UNDATED = "undated"
_PLAYABLE = {".mp4", ".m4v", ".webm", ".mov"}
_PLAYABLE_CODECS = {"h264", "vp8", "vp9", "av1"}
"""what browsers show of whole videos"""

Placed = tuple[Partition, dict[str, Any]]
"""a row of the table of events, and the camera-day that it stands in"""


@dataclass(frozen=True, kw_only=True)
class ReportedEvent:
    """One row of the table of events, and what else is known of it."""

    rank: int
    """1 is the most anomalous of the report's dates"""
    day: Partition
    row: dict[str, Any]
    """the columns of the events table"""
    local_start: datetime | None
    """start in the cameras' time zone; None when the file name does not tell the time"""
    verdict: Verdict | None
    """what somebody said of it, of this event or of one of other scores at the same place"""
    explanation: Explanation | None
    original: str
    """file: URL of the whole video, where it is on this machine and browsers can play it, or nothing"""

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.day.camera

    @property
    def date(self) -> str:
        """Camera-local date, `YYYY-MM-DD`, or `undated`."""
        return day_of(self.day.date)

    @property
    def duration_seconds(self) -> float:
        """How long the event lasts."""
        return float(self.row["stop_seconds"] - self.row["start_seconds"])


def day_of(date: str) -> str:
    """Return the date of a camera-day; those without one are dealt over many parts, and are one here."""
    return UNDATED if date.startswith(UNDATED) else date


def ranked_events(
    root: Root, archive: str, checkpoint: str, scored: Iterable[LedgerRow]
) -> list[Placed]:
    """Return all events of these videos' camera-days, the highest score first."""
    eventful = {(row.camera, row.date) for row in scored if row.n_events}
    days = [
        Partition(archive=archive, checkpoint=checkpoint, camera=camera, date=date)
        for camera, date in sorted(eventful)
    ]
    found = [
        (day, row) for day in days for row in read_partition(root, day, "events").to_pylist()
    ]
    return sorted(found, key=lambda pair: (-pair[1]["score"], pair[1]["event_id"]))


def reported(
    root: Root,
    ranked: Sequence[Placed],
    rows: Mapping[str, CatalogRow],
    *,
    newest: Collection[str],
    most: int,
    time_zone: str,
) -> list[ReportedEvent]:
    """Return at most `most` events by rank: those of the `newest` dates, then the highest of the others.

    Args:
        root: where verdicts and explanations lie.
        ranked: all events, the highest score first.
        rows: the catalog.
        newest: dates whose events have precedence.
        most: how many are returned.
        time_zone: IANA name of the cameras' clock.
    """
    by_precedence = sorted(
        range(len(ranked)), key=lambda place: ranked[place][0].date not in newest
    )
    shown = sorted(by_precedence[:most])
    verdicts = (
        verdicts_for(root, ranked[0][0].archive, [ranked[place][1] for place in shown])
        if shown
        else {}
    )
    return [
        ReportedEvent(
            rank=place + 1,
            day=day,
            row=row,
            local_start=_local(row["start_time_utc"], time_zone),
            verdict=verdicts.get(row["event_id"]),
            explanation=_explanation(root, day, row),
            original=_playable(rows.get(row["video"])),
        )
        for place in shown
        for day, row in [ranked[place]]
    ]


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


def _local(time_utc: datetime | None, time_zone: str) -> datetime | None:
    return None if time_utc is None else time_utc.astimezone(ZoneInfo(time_zone))
