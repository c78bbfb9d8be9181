"""One event by its name, as people have it from the report."""

from __future__ import annotations

import re
from typing import Any

from anomaly.checkpoints import current
from anomaly.errors import SpecError
from anomaly.storage import Root
from anomaly.verbs.query import query

_EVENT_ID = re.compile(r"[0-9a-f]{4,16}")


def find_event(root: Root, event_id: str) -> dict[str, Any]:
    """Return the row of one event, with its archive, checkpoint, camera and date.

    Where several checkpoints report the very same event, it is the current one's.

    Args:
        root: the root.
        event_id: its id, or how it begins (four hex digits at least).

    Raises:
        SpecError: there is no such event, or several.
    """
    if not _EVENT_ID.fullmatch(event_id):
        raise SpecError(
            f"{event_id!r} is no event: expected 4 to 16 hex digits of an event_id."
        )
    sql = f"SELECT * FROM events WHERE starts_with(event_id, '{event_id}')"  # noqa: S608 - hex digits
    rows = query(root, f"{sql} ORDER BY checkpoint").to_pylist()
    if len({row["event_id"] for row in rows}) != 1:
        raise SpecError(
            f"{len(rows)} events have an id that begins with {event_id!r}, expected one. The report and "
            "the view `events` of `anomaly query` tell the ids."
        )
    newest = current(root)
    found: dict[str, Any] = next((row for row in rows if row["checkpoint"] == newest), rows[0])
    return found
