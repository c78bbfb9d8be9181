"""The report: one HTML file with pictures, clips and timelines inside, that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.explain import Explanation, Moment
from anomaly.report import clip_span
from anomaly.report.contents import Contents, gather
from anomaly.report.events import ReportedEvent, day_of
from anomaly.report.page import assets, embed, fill, island
from anomaly.report.room import room_of
from anomaly.report.timelines import Timeline
from anomaly.report.whatif import WhatIf
from anomaly.storage import Root, quote

PAGE_BYTES = 9_500_000
"""size of the page at most; pictures and clips that do not fit are left out"""
_FRAME_BYTES, _CARD_BYTES, _ROW_BYTES = 20_000, 2_500, 700
"""what the page's own text takes at most: around all, for an event, for a row of a table"""
STYLES = ("vendor/uPlot.min.css", "page.css", "charts.css", "report.css", "machine.css")
SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "report.js",
    "verdicts.js",
    "timeline.js",
    "viewer.js",
    "filters.js",
    "machine.js",
)
_TO_ROOT = "../../"
"""from a report's folder to the root"""


def render(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    time_zone: str = "UTC",
    since: str = "",
    max_events: int = 200,
    page_bytes: int = PAGE_BYTES,
) -> str:
    """Publish the page that `compose` makes of the same arguments; return its key under the root.

    Raises:
        SpecError: the time zone is unknown.
    """
    page = compose(
        root, archive, checkpoint, time_zone=time_zone, since=since, max_events=max_events,
        page_bytes=page_bytes,
    )  # fmt: skip
    key = f"reports/{quote(archive)}/{quote(checkpoint)}.html"
    root.publish(key, page.encode())
    return key


def compose(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    time_zone: str = "UTC",
    since: str = "",
    max_events: int = 200,
    page_bytes: int = PAGE_BYTES,
    review: str = "",
) -> str:
    """Return the page of an archive's scores by one checkpoint.

    Pictures are embedded first, then what explanations show, then clips by rank until the page is full;
    what did not fit is linked to in the root's media folder, and the page says so.

    Args:
        root: where the tables and media lie.
        archive: name of the archive.
        checkpoint: name of the bundle.
        time_zone: IANA name of the cameras' clock, for the local times.
        since: first camera-local date to show, `YYYY-MM-DD`; empty for all.
        max_events: how many events to show, the highest scores first.
        page_bytes: how large the page may grow.
        review: address on the page's own server that takes verdicts, one JSON record a POST; empty
            for a page that keeps them in the browser and saves them to a file.

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
    room = room_of(root, contents)
    data = _data(contents, time_zone)
    style, script = assets(*STYLES), assets(*SCRIPTS)
    text_bytes = len(style) + len(script) + len(island(data)) + _text_bytes(contents)
    text_bytes += room.text_bytes
    embedded = embed(root, _wanted(contents.events), page_bytes - text_bytes)
    for key in _shown_by_script(contents.events):
        if key in embedded:
            data["media"][key] = embedded[key]
    return fill(
        "report.html",
        style=style,
        script=script,
        review=review,
        contents=contents,
        room=room,
        now=now,
        embedded=embedded,
        to_root=_TO_ROOT,
        unembedded=sum(
            1 for e in contents.events if e.row["clip"] and e.row["clip"] not in embedded
        ),
        data=island(data),
    )


def _text_bytes(contents: Contents) -> int:
    rows = (contents.evaluations, contents.bad_files, contents.out_of_domain, contents.learning)
    return _FRAME_BYTES + _CARD_BYTES * len(contents.events) + _ROW_BYTES * sum(map(len, rows))


def _wanted(events: Sequence[ReportedEvent]) -> list[str | None]:
    """Return the keys of all that is shown: pictures of cards, then what the script shows."""
    pictures = ("picture_peak", "picture_start", "picture_stop")
    return [event.row[name] for event in events for name in pictures] + _shown_by_script(events)


def _shown_by_script(events: Sequence[ReportedEvent]) -> list[str | None]:
    """Return once each the keys of explanations' pictures, then clips, by rank."""
    explained: list[str | None] = []
    for event in events:
        if event.explanation is not None:
            heat, moments = event.explanation.heat, event.explanation
            explained.append(heat.picture if heat else None)
            explained += [one.picture for one in (*moments.normals, *moments.similar)]
    return list(dict.fromkeys([*explained, *(event.row["clip"] for event in events)]))


def _data(contents: Contents, time_zone: str) -> dict[str, Any]:
    """Return what the script needs: events with clips and reasons, timelines, days, other budgets.

    `media` (base64 by key) is to be filled.
    """
    return {
        "archive": contents.archive,
        "checkpoint": contents.checkpoint,
        "timeZone": time_zone,
        "media": {},
        "events": {event.row["event_id"]: _event(event) for event in contents.events},
        "timelines": [_timeline(line) for line in contents.timelines],
        "days": [asdict(day) for day in contents.days],
        "whatIf": None if contents.what_if is None else _budgets(contents.what_if),
    }


def _budgets(what_if: WhatIf) -> dict[str, Any]:
    days = [{**asdict(day), "date": day_of(day.date)} for day in what_if.days]
    return {**asdict(what_if), "days": days}


def _event(event: ReportedEvent) -> dict[str, Any]:
    row = event.row
    begins, ends = clip_span(*_moments(event))
    return {
        "video": row["video"],
        "camera": event.camera,
        "date": event.date,
        "start": round(row["start_seconds"], 3),
        "stop": round(row["stop_seconds"], 3),
        "peak": round(row["peak_seconds"], 3),
        "score": row["score"],
        "clip": row["clip"],
        "clipStart": round(begins, 3),
        "clipStop": round(ends, 3),
        "original": event.original,
        "verdict": None if event.verdict is None else event.verdict.to_json(),
        "why": None if event.explanation is None else _why(event.explanation),
    }


def _why(explanation: Explanation) -> dict[str, Any]:
    strip = explanation.strip

    def shown(moment: Moment) -> dict[str, Any]:
        return {
            "camera": moment.camera,
            "video": moment.video,
            "seconds": round(moment.seconds, 2),
            "distance": float(f"{moment.distance:.3g}"),
            "event": moment.event_id,
            "picture": moment.picture,
        }

    return {
        "heat": explanation.heat.picture if explanation.heat else None,
        "heatMethod": explanation.heat.method if explanation.heat else "",
        "strip": strip and {
            "seconds": [round(second, 2) for second in strip.seconds],
            "share": [round(share, 4) for share in strip.contribution],
        },
        "parts": [[part.name, round(part.share, 3)] for part in explanation.parts],
        "normals": [shown(moment) for moment in explanation.normals],
        "searched": explanation.searched,
        "similar": [shown(moment) for moment in explanation.similar],
        "unit": explanation.unit,
        "note": explanation.note,
    }  # fmt: skip


def _timeline(line: Timeline) -> dict[str, Any]:
    return {
        "video": line.video,
        "camera": line.camera,
        "start": line.start_time and line.start_time.timestamp(),
        "duration": round(line.duration_seconds, 3),
        "threshold": round(line.threshold, 3),
        "seconds": _numbers(line.seconds_K),
        "low": _numbers(line.lowest_K),
        "high": _numbers(line.highest_K),
        "stretches": [
            [round(one.start_seconds, 2), round(one.stop_seconds, 2), one.kind, one.reason]
            for one in line.stretches
        ],
    }


def _moments(event: ReportedEvent) -> tuple[float, float, float]:
    return tuple(event.row[f"{name}_seconds"] for name in ("start", "peak", "stop"))


def _numbers(values_K: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 2) for value in values_K]
