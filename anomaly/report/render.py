"""The report: one HTML file with pictures, clips and timelines inside, that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.report import clip_span
from anomaly.report.contents import Contents, ReportedEvent, gather
from anomaly.report.page import assets, embed, fill, island
from anomaly.storage import Root, quote

PAGE_BYTES = 9_500_000
"""size that pictures and clips together fill at most"""
_TO_ROOT = "../../"
"""from a report's folder to the root"""


def render(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    title: str = "",
    time_zone: str = "UTC",
    since: str = "",
    max_events: int = 200,
    page_bytes: int = PAGE_BYTES,
) -> str:
    """Write the report of an archive's scores by one checkpoint; return its key under the root.

    Pictures are embedded first, then clips by rank until the page is full; what did not fit is linked
    to in the root's media folder, and the page says so.

    Args:
        root: where the tables and media lie, and the report goes.
        archive: name of the archive.
        checkpoint: name of the bundle.
        title: heading; the archive's name if empty.
        time_zone: IANA name of the cameras' clock, for the local times.
        since: first camera-local date to show, `YYYY-MM-DD`; empty for all.
        max_events: how many events to show, the highest scores first.
        page_bytes: about how large the file may grow.

    Raises:
        SpecError: the time zone is unknown.
    """
    try:
        now = datetime.now(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SpecError(f"No time zone named {time_zone!r}; expected an IANA name.") from error
    contents = gather(
        root, archive, checkpoint, time_zone=time_zone, since=since, max_events=max_events
    )
    embedded = embed(root, _wanted(contents.events), page_bytes)
    page = _page(contents, embedded, title or archive, now)
    key = f"reports/{quote(archive)}/{quote(checkpoint)}.html"
    root.publish(key, page.encode())
    return key


def _wanted(events: Sequence[ReportedEvent]) -> list[str | None]:
    """Return the keys of what cards show: pictures, then clips, by rank."""
    pictures = ("picture_peak", "picture_start", "picture_stop")
    wanted = [event.row[name] for event in events for name in pictures]
    return [*wanted, *(event.row["clip"] for event in events)]


def _page(contents: Contents, embedded: dict[str, str], title: str, now: datetime) -> str:
    return fill(
        "report.html",
        style=assets("page.css", "report.css"),
        script=assets("report.js"),
        contents=contents,
        title=title,
        now=now,
        embedded=embedded,
        to_root=_TO_ROOT,
        unembedded=sum(
            1 for e in contents.events if e.row["clip"] and e.row["clip"] not in embedded
        ),
        data=island(_data(contents, embedded)),
    )


def _data(contents: Contents, embedded: dict[str, str]) -> dict[str, Any]:
    """Return what the script needs: clips, moments, timelines."""
    return {
        "events": {
            event.row["event_id"]: {
                "video": event.row["video"],
                "camera": event.camera,
                "start": round(event.row["start_seconds"], 3),
                "stop": round(event.row["stop_seconds"], 3),
                "peak": round(event.row["peak_seconds"], 3),
                "score": event.row["score"],
                "clipStart": round(clip_span(*_moments(event))[0], 3),
                "clip": embedded.get(event.row["clip"] or ""),
            }
            for event in contents.events
        },
        "timelines": [
            {
                "video": line.video,
                "camera": line.camera,
                "duration": round(line.duration_seconds, 3),
                "threshold": round(line.threshold, 3),
                "low": _numbers(line.lowest_K),
                "high": _numbers(line.highest_K),
            }
            for line in contents.timelines
        ],
    }


def _moments(event: ReportedEvent) -> tuple[float, float, float]:
    return tuple(event.row[f"{name}_seconds"] for name in ("start", "peak", "stop"))


def _numbers(values_K: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 2) for value in values_K]
