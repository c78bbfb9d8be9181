"""`scan`: what is in the archive, what is new, what is broken, and how much video it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from anomaly.catalog import CatalogRow
from anomaly.fanout import FanOut, one_by_one
from anomaly.verbs.forecast import Forecast, ForecastRequest, forecast
from anomaly.verbs.look import look
from anomaly.video import ArchiveSpec


@dataclass(frozen=True, kw_only=True)
class ScanSummary:
    """What one look at an archive shows; only for the forecast some videos were read."""

    archive: str
    rows: tuple[CatalogRow, ...]
    forecast: Forecast | None = None
    """what extracting the new videos would come to; None when that was not asked for, or not found out"""

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
            "forecast": None if self.forecast is None else self.forecast.to_json(),
            "cameras": dict(sorted(cameras.items())),
            "dates": [min(dates), max(dates)] if (dates := _dates(self.rows)) else None,
            "quarantine": quarantine(self.rows),
        }


def scan(
    root: str,
    archive: ArchiveSpec,
    *,
    request: ForecastRequest | None = None,
    fan_out: FanOut = one_by_one,
) -> ScanSummary:
    """Look at the archive and bring the catalog up to date; reads videos for a forecast alone.

    With a `request`, the new files' extraction is forecast from some of them, in 20 seconds at most.
    """
    seen = look(root, archive)
    rows = tuple(seen.rows[file.uri] for file in seen.files)
    ahead = None if request is None else forecast(seen, request, fan_out=fan_out)
    return ScanSummary(archive=seen.archive, rows=rows, forecast=ahead)


def quarantine(rows: tuple[CatalogRow, ...]) -> list[dict[str, str]]:
    """Return the bad files among `rows` with their reasons."""
    return [
        {"video": row.uri, "code": row.code or "", "message": row.message or ""}
        for row in rows
        if row.status == "quarantined"
    ]


def _dates(rows: tuple[CatalogRow, ...]) -> list[str]:
    return [row.date for row in rows if row.date is not None]
