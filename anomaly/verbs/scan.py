"""`scan`: what is in the archive, what is new, what is broken, and how much video it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from anomaly.catalog import CatalogRow
from anomaly.verbs.look import look
from anomaly.video import ArchiveSpec


@dataclass(frozen=True, kw_only=True)
class ScanSummary:
    """What one look at an archive shows; nothing of a video was read for it."""

    archive: str
    rows: tuple[CatalogRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        statuses = Counter(row.status for row in self.rows)
        cameras = Counter(row.camera for row in self.rows)
        return {
            "archive": self.archive,
            "videos": len(self.rows),
            "bytes": sum(row.bytes for row in self.rows),
            "hours_known": round(
                sum(row.duration_seconds or 0.0 for row in self.rows) / 3600, 3
            ),
            "new": statuses["found"],
            **{status: statuses[status] for status in ("ok", "partial", "quarantined")},
            "cameras": dict(sorted(cameras.items())),
            "dates": [min(dates), max(dates)] if (dates := _dates(self.rows)) else None,
            "quarantine": quarantine(self.rows),
        }


def scan(root: str, archive: ArchiveSpec) -> ScanSummary:
    """Look at the archive and bring the catalog up to date; reads no video."""
    seen = look(root, archive)
    rows = (seen.rows[file.uri] for file in seen.files)
    return ScanSummary(archive=seen.archive, rows=tuple(rows))


def quarantine(rows: tuple[CatalogRow, ...]) -> list[dict[str, str]]:
    """Return the bad files among `rows` with their reasons."""
    return [
        {"video": row.uri, "code": row.code or "", "message": row.message or ""}
        for row in rows
        if row.status == "quarantined"
    ]


def _dates(rows: tuple[CatalogRow, ...]) -> list[str]:
    return [row.date for row in rows if row.date is not None]
