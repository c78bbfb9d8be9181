"""The machine room of the report: what the ML engineer looks at, and the facts of the headline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anomaly.catalog import CatalogRow, LedgerRow
from anomaly.runs import Run, runs_of
from anomaly.scores.health import CameraHealth, State, health
from anomaly.storage import Root


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What the first lines of the report say."""

    hours_scanned: float | None
    """of video that the last run went through; None where no run was recorded"""
    hours_planned: float | None
    """the same with what is still to be scored, estimated from bytes where a file was not opened yet"""
    cameras: tuple[CameraHealth, ...]
    """by name"""
    events_new: int | None
    """that the last run found; None where no run was recorded"""
    files_bad: int
    """files in quarantine, new and old"""
    files_newly_bad: int
    """files that newly gave nothing in the last run"""
    speed: float | None
    """playing time over wall time of the last run; None where it extracted nothing"""
    speed_before: float | None
    """of the run before that extracted something"""
    run: Run | None
    """the last run"""

    def count(self, state: State) -> int:
        """Return how many cameras are `ok`, `degraded` or `missing`."""
        return sum(camera.state == state for camera in self.cameras)

    @property
    def speed_ratio(self) -> float | None:
        """Speed over that of the run before: 1.1 is a tenth faster."""
        if self.speed is None or not self.speed_before:
            return None
        return self.speed / self.speed_before

    @property
    def speed_in_words(self) -> str:
        """One line; empty where there is nothing to tell."""
        if self.speed is None:
            return ""
        told = f"{self.speed:,.0f} times" if self.speed >= 10 else f"{self.speed:.1f} times"
        ratio = self.speed_ratio
        if ratio is None:
            return f"{told} real time"
        change = round(abs(ratio - 1) * 100)
        word = "faster" if ratio > 1 else "slower"
        against = f"{change} % {word} than" if change else "as fast as"
        return f"{told} real time, {against} the run before"


def headline(
    root: Root,
    archive: str,
    checkpoint: str,
    rows: Mapping[str, CatalogRow],
    scored: Mapping[str, LedgerRow],
) -> Headline:
    """Return the facts of the headline: hours, cameras, events, bad files, speed.

    Args:
        root: where runs are written down.
        archive: name of the archive.
        checkpoint: name of the bundle.
        rows: the archive's catalog.
        scored: the bundle's ledger.
    """
    runs = [run for run in runs_of(root, archive) if _is_scan(run, checkpoint)]
    last = runs[-1] if runs else None
    scanned = None if last is None else last.video_seconds / 3600
    speeds = [run.speed for run in runs if run.extracted_videos and run.speed]
    is_fast = last is not None and last.extracted_videos and last.speed
    return Headline(
        hours_scanned=scanned,
        hours_planned=None if scanned is None else scanned + _hours_left(rows, scored),
        cameras=tuple(health(rows, scored.values())),
        events_new=None if last is None else last.events,
        files_bad=sum(row.present and row.status == "quarantined" for row in rows.values()),
        files_newly_bad=0 if last is None else last.videos_bad,
        speed=speeds[-1] if is_fast else None,
        speed_before=speeds[-2] if is_fast and len(speeds) > 1 else None,
        run=last,
    )


def _is_scan(run: Run, checkpoint: str) -> bool:
    """Say whether it scored with this bundle; the one that is under way counts."""
    return run.verb in {"nightly", "score"} and run.checkpoint == checkpoint


def _hours_left(rows: Mapping[str, CatalogRow], scored: Mapping[str, LedgerRow]) -> float:
    """Return the playing time of videos that are to be scored."""
    left = [
        row
        for uri, row in rows.items()
        if row.present and row.status != "quarantined" and uri not in scored
    ]
    known = [row for row in rows.values() if row.duration_seconds]
    seconds_a_byte = _ratio(known)
    return (
        sum(
            row.bytes * seconds_a_byte if row.duration_seconds is None else row.duration_seconds
            for row in left
        )
        / 3600
    )


def _ratio(rows: Sequence[CatalogRow]) -> float:
    total = sum(row.bytes for row in rows)
    return sum(row.duration_seconds or 0.0 for row in rows) / total if total else 0.0
