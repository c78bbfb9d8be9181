"""The report: one HTML file with pictures, clips and timelines inside, that loads nothing else.

Everything that comes from outside (file names above all) is escaped by the template engine, or stands
in a JSON island in which `<` cannot occur; a Content-Security-Policy allows only our own script and
style, by hash, and forbids every connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.report import clip_span
from anomaly.report.contents import Contents, ReportedEvent, gather
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
    embedded = _embed(root, contents.events, page_bytes)
    page = _page(contents, embedded, title or archive, now)
    key = f"reports/{quote(archive)}/{quote(checkpoint)}.html"
    root.publish(key, page.encode())
    return key


def _embed(root: Root, events: Sequence[ReportedEvent], page_bytes: int) -> dict[str, str]:
    """Return the objects that go into the page, base64 by key: pictures, then clips, by rank."""
    pictures = ("picture_peak", "picture_start", "picture_stop")
    wanted = [event.row[name] for event in events for name in pictures]
    wanted += [event.row["clip"] for event in events]
    uses = Counter(key for key in wanted if key)
    embedded: dict[str, str] = {}
    left = page_bytes
    for key, times in uses.items():
        data = root.read(key)
        if data is not None and times * len(data) * 4 // 3 <= left:
            embedded[key] = base64.b64encode(data).decode()
            left -= times * len(embedded[key])
    return embedded


def _page(contents: Contents, embedded: dict[str, str], title: str, now: datetime) -> str:
    style, script = _asset("report.css"), _asset("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    environment.filters |= {
        "rarity": rarity,
        "duration": duration,
        "clock": _clock,
        "utc": lambda time: time.astimezone(UTC),
        "local": lambda time: time.astimezone(now.tzinfo).strftime("%a %d %b %Y, %H:%M"),
    }
    template = environment.from_string(_asset("report.html"))
    return template.render(
        contents=contents,
        title=title,
        now=now,
        embedded=embedded,
        to_root=_TO_ROOT,
        unembedded=sum(
            1 for e in contents.events if e.row["clip"] and e.row["clip"] not in embedded
        ),
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        data=_island(_data(contents, embedded)),
    )


def _asset(name: str) -> str:
    return files("anomaly.report").joinpath("assets", name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: our own style and script by hash, pictures inline, no net."""

    def digest(text: str) -> str:
        return (
            "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        )

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
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


def _island(data: dict[str, Any]) -> Markup:
    """Return JSON that may stand inside a script element: no `<`, so no tag can begin or end in it."""
    text = json.dumps(data, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704 - escaped on the line above


def rarity(one_in_days: float) -> str:
    """Return in words how often normal video scores as high.

    >>> rarity(0.25), rarity(3.2), rarity(2000)
    ('about 4 a day', 'once in 3 days', 'once in 5 years')
    """
    if one_in_days < 0.75:
        return f"about {1 / max(one_in_days, 1e-3):.0f} a day"
    if one_in_days < 1.5:
        return "once a day"
    if one_in_days < 700:
        return f"once in {one_in_days:.0f} days"
    years = one_in_days / 365.25
    return f"once in {years:.0f} years" if years < 100 else "less than once in 100 years"


def duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> duration(2.34), duration(75), duration(7260)
    ('2.3 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _clock(seconds: float) -> str:
    """Return a moment of a video as h:mm:ss.s."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
