"""Verdicts: what people said of events, and which event of today each of them is about.

    verdicts/<archive>.json     {"archive": ..., "verdicts": [...]}, by video and time

A verdict names its event and the stretch of video that was looked at, so it outlives the event: after new
scores, or with another checkpoint, it belongs to whatever event lies there. The file is what the report's
page writes and `anomaly verdicts import` reads; it is small, made by hand, and readable.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from anomaly.errors import SpecError, StoreError
from anomaly.spec import canonical_json, from_dict, spec, to_dict
from anomaly.storage import Root, quote, unquote

Said = Literal["real", "false", "unsure"]

LONGEST_NOTE = 2000
"""characters"""
_SHARE = 0.5
"""of an event (of itself, for a real one) that a verdict must cover to be about it"""
_FOLDER = "verdicts"


@spec
class Verdict:
    """What somebody said of one event."""

    event_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """of the event that was looked at"""
    archive: Annotated[str, Field(min_length=1)]
    camera: str
    video: Annotated[str, Field(min_length=1)]
    """path relative to the archive"""
    start_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    stop_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    verdict: Said
    """real, false (alarm), or unsure"""
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""
    decided_at: AwareDatetime
    """when; the latest verdict counts"""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values, the time in UTC."""
        plain = to_dict(self)
        moment = self.decided_at.astimezone(UTC).isoformat(timespec="microseconds")
        return {**plain, "decided_at": moment}

    def applies_to(self, event: Mapping[str, Any]) -> bool:
        """Say whether this verdict is about an event, a row of the events table.

        It is if the event is the very same; or if it covers half of the event at least. What is real
        makes any event real that holds half of it, however long that is; but whoever called a moment
        false has said nothing of what else happens around it.
        """
        if event["event_id"] == self.event_id:
            return True
        if event["video"] != self.video:
            return False
        start, stop = event["start_seconds"], event["stop_seconds"]
        both = min(stop, self.stop_seconds) - max(start, self.start_seconds)
        lengths = [stop - start]
        if self.verdict == "real":
            lengths.append(self.stop_seconds - self.start_seconds)
        return both > 0 and both >= _SHARE * min(lengths)


def parse_verdict(record: Any, where: str) -> Verdict:
    """Return the verdict that a plain record holds.

    Raises:
        SpecError: it is none; the message names `where` it stands and the field.
    """
    if not isinstance(record, Mapping):
        raise SpecError(f"{where}: expected a record, found {type(record).__name__}.")
    try:
        verdict = from_dict(Verdict, record)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    if verdict.stop_seconds < verdict.start_seconds:
        raise SpecError(
            f"{where}: event {verdict.event_id} stops at {verdict.stop_seconds} s, before it starts "
            f"at {verdict.start_seconds} s."
        )
    return verdict


def parse_verdicts(data: bytes, where: str) -> list[Verdict]:
    """Return the verdicts of a file that the report's page, or `export`, has written.

    Raises:
        SpecError: it is no such file, or a record is wrong; the message names which.
    """
    try:
        records = list(json.loads(data)["verdicts"])
    except (ValueError, KeyError, TypeError) as error:
        raise SpecError(
            f"{where} holds no verdicts ({error!r}). Expected the file that the report's page saves: "
            '{"archive": ..., "checkpoint": ..., "verdicts": [...]}.'
        ) from error
    return [
        parse_verdict(record, f"{where}, verdict {number}")
        for number, record in enumerate(records, 1)
    ]


def read_verdicts(root: Root, archive: str) -> dict[str, Verdict]:
    """Return the verdicts of an archive by event id, ordered by video and time.

    Raises:
        StoreError: the file is damaged.
    """
    return _decoded(root, archive, root.read(_key(archive)))


def archives_with_verdicts(root: Root) -> list[str]:
    """Return the names of the archives that have verdicts."""
    names = (name.removesuffix(".json") for name in root.folders(_FOLDER))
    return sorted(unquote(name) for name in names)


def add_verdicts(root: Root, verdicts: Iterable[Verdict]) -> int:
    """Store verdicts with those of others; return how many told something new.

    Of two about the same event the later one stays, so the order in which they come, and how often,
    changes nothing.

    Raises:
        TransientError: others kept writing.
        StoreError: a stored file is damaged.
    """
    by_archive: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_archive[verdict.archive].append(verdict)
    return sum(_add(root, archive, fresh) for archive, fresh in sorted(by_archive.items()))


def verdicts_for(
    root: Root, archive: str, events: Iterable[Mapping[str, Any]]
) -> dict[str, Verdict]:
    """Return what was said of each of some events, rows of the events table, by event id.

    An event of which nobody has said anything is left out; of several verdicts about it the latest
    counts, whichever checkpoint's event it was given for.
    """
    return match(read_verdicts(root, archive).values(), events)


def match(
    verdicts: Iterable[Verdict], events: Iterable[Mapping[str, Any]]
) -> dict[str, Verdict]:
    """Return the verdict that counts for each event, by event id; `verdicts_for` without the reading."""
    in_order = sorted(verdicts, key=_moment)
    by_video: dict[str, list[Verdict]] = defaultdict(list)
    by_event = {verdict.event_id: verdict for verdict in in_order}
    for verdict in in_order:
        by_video[verdict.video].append(verdict)
    found = {}
    for event in events:
        named = by_event.get(event["event_id"])  # finds renamed videos too
        about = [one for one in by_video[event["video"]] if one.applies_to(event)]
        candidates = about if named is None else [*about, named]
        if candidates:
            found[str(event["event_id"])] = max(candidates, key=_moment)
    return found


def exported(archive: str, checkpoint: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the plain content of a file of verdicts, as the report's page writes it."""
    return {
        "archive": archive,
        "checkpoint": checkpoint,
        "verdicts": [verdict.to_json() for verdict in verdicts],
    }


def _key(archive: str) -> str:
    return f"{_FOLDER}/{quote(archive)}.json"


def _add(root: Root, archive: str, fresh: Sequence[Verdict]) -> int:
    new = 0

    def change(found: bytes | None) -> bytes | None:
        nonlocal new
        stored = _decoded(root, archive, found)
        merged = dict(stored)
        for verdict in fresh:
            known = merged.get(verdict.event_id)
            merged[verdict.event_id] = (
                verdict if known is None else max(known, verdict, key=_moment)
            )
        new = sum(merged[name] != stored.get(name) for name in merged)
        return _encoded(archive, merged.values()) if new else None

    root.update(_key(archive), change)
    return new


def _moment(verdict: Verdict) -> tuple[Any, str]:
    """Return what orders verdicts: time, and the text itself where two were given at once."""
    return verdict.decided_at, canonical_json(verdict.to_json())


def _encoded(archive: str, verdicts: Iterable[Verdict]) -> bytes:
    ordered = sorted(verdicts, key=lambda one: (one.video, one.start_seconds, one.event_id))
    plain = {"archive": archive, "verdicts": [verdict.to_json() for verdict in ordered]}
    return json.dumps(plain, indent=1, ensure_ascii=False).encode() + b"\n"


def _decoded(root: Root, archive: str, data: bytes | None) -> dict[str, Verdict]:
    if data is None:
        return {}
    address = root.address(_key(archive))
    try:
        return {verdict.event_id: verdict for verdict in parse_verdicts(data, address)}
    except SpecError as error:
        raise StoreError(f"Verdicts are damaged: {error} Mend or remove the file.") from error
