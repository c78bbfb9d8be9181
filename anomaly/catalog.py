"""What is known of every video of an archive: found, probed, extracted, scored, or bad and why.

One Parquet file per archive, `catalog/archive=<name>/videos.parquet`, and one ledger per checkpoint,
`catalog/archive=<name>/scored/<checkpoint>.parquet`. Both are caches of facts whose truth lies in the
stores and tables: losing a line costs a second look, never a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from anomaly import parquet
from anomaly.errors import SpecError
from anomaly.outcome import Outcome
from anomaly.storage import Root, quote, unquote
from anomaly.video import VideoFile

_NO_TIME = datetime.min.replace(tzinfo=UTC)
_LEAST_OUTSIDE_SECONDS = 60.0
_TIME = pa.timestamp("us", tz="UTC")

_CONDITION = pa.struct(
    [("what", pa.string()), ("start_seconds", pa.float64()), ("stop_seconds", pa.float64())]
)

CATALOG_SCHEMA = pa.schema(
    [
        ("archive", pa.string()),
        ("uri", pa.string()),
        ("location", pa.string()),
        ("bytes", pa.int64()),
        ("modified", pa.string()),
        ("camera", pa.string()),
        ("date", pa.string()),
        ("start_time_utc", _TIME),
        ("kind", pa.string()),
        ("content", pa.string()),
        ("n_frames", pa.int64()),
        ("rate", pa.float64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("codec", pa.string()),
        ("duration_seconds", pa.float64()),
        ("frames_lost", pa.int64()),
        ("status", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("first_seen", _TIME),
        ("last_seen", _TIME),
        ("present", pa.bool_()),
    ]
)

LEDGER_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("content", pa.string()),
        ("camera", pa.string()),
        ("date", pa.string()),
        ("model_digest", pa.string()),
        ("n_frames", pa.int64()),
        ("n_events", pa.int64()),
        ("seconds_outside", pa.float64()),
        ("outside", pa.string()),
        ("context", pa.string()),
        ("conditions", pa.list_(_CONDITION)),
        ("light", pa.list_(pa.uint8())),
    ]
)


@dataclass(frozen=True, kw_only=True)
class CatalogRow:
    """One video of an archive; the columns of the view `catalog`."""

    archive: str
    uri: str
    location: str
    bytes: int
    modified: str
    camera: str
    date: str | None
    start_time_utc: datetime | None
    kind: str
    first_seen: datetime
    last_seen: datetime
    content: str | None = None
    n_frames: int | None = None
    rate: float | None = None
    height: int | None = None
    width: int | None = None
    codec: str | None = None
    duration_seconds: float | None = None
    frames_lost: int | None = None
    status: str = "found"
    code: str | None = None
    message: str | None = None
    present: bool = True

    def is_of(self, file: VideoFile) -> bool:
        """Say whether the row describes this very state of the file."""
        return (self.bytes, self.modified) == (file.bytes, file.modified)

    @property
    def file(self) -> VideoFile:
        """The video as a look would give it, its start in UTC."""
        return VideoFile(
            archive=self.archive,
            uri=self.uri,
            location=self.location,
            bytes=self.bytes,
            modified=self.modified,
            camera=self.camera,
            start_time=self.start_time_utc,
            kind="frames" if self.kind == "frames" else "file",
        )


class Condition(NamedTuple):
    """A stretch of a video in which the camera's picture was not as it should be, half-open."""

    what: str
    """`blind`, `frozen`, `moved`, ... (`scores.health`)"""
    start_seconds: float
    stop_seconds: float


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One scored video: what was scored, with which model, into which partition."""

    uri: str
    content: str
    camera: str
    date: str
    model_digest: str
    n_frames: int
    n_events: int
    seconds_outside: float = 0.0
    """playing time in which the camera was out of its domain"""
    outside: str = ""
    """why, the longest reason first: `dark, noisy`"""
    context: str = ""
    """digest of the earlier videos that the scores took into account; empty: none"""
    conditions: tuple[Condition, ...] = ()
    """when the picture was not as it should be, and how"""
    light: tuple[int, ...] | None = None
    """median brightness of each five minutes, 0 to 255; None where an earlier version scored"""


@dataclass(frozen=True, kw_only=True)
class OutOfDomain:
    """Consecutive videos in which a camera was unlike what its model has learnt from."""

    camera: str
    reasons: str
    """`dark, noisy`"""
    first_video: str
    since: datetime | None
    """UTC start of the first of them; None when names do not tell the time"""
    is_over: bool
    """whether a later video of the camera is in domain again"""
    until: datetime | None
    """UTC start of that one"""
    videos: tuple[str, ...]
    seconds: float
    """playing time out of domain"""

    @property
    def text(self) -> str:
        """One line for people."""
        begun = self.since.isoformat(timespec="minutes") if self.since else self.first_video
        ended = f" until {self.until.isoformat(timespec='minutes')}" if self.until else ""
        return f"camera {self.camera}: out of domain since {begun}{ended}: {self.reasons}"


Row = TypeVar("Row", CatalogRow, LedgerRow)


class Catalog:
    """The catalog of one archive in one root."""

    def __init__(self, root: Root, archive: str) -> None:
        self.root = root
        self.archive = archive
        self._base = f"catalog/archive={quote(archive)}"
        self._key = f"{self._base}/videos.parquet"

    def rows(self) -> dict[str, CatalogRow]:
        """Return all rows by uri."""
        return {row.uri: row for row in _decode(self.root.read(self._key), CatalogRow)}

    def look(self, files: Iterable[VideoFile]) -> dict[str, CatalogRow]:
        """Record what a look at the whole archive found; return the rows of what is there.

        A file that is new or changed starts again as `found`; what is no longer there is kept and
        marked not present.
        """
        now = datetime.now(UTC)
        seen = {file.uri: file for file in files}

        def change(rows: dict[str, CatalogRow]) -> dict[str, CatalogRow]:
            gone = {
                uri: replace(row, present=False) for uri, row in rows.items() if uri not in seen
            }
            here = {uri: _looked_at(file, rows.get(uri), now) for uri, file in seen.items()}
            return {**gone, **here}

        return {uri: row for uri, row in self._update(change).items() if row.present}

    def record(
        self,
        outcomes: Iterable[Outcome],
        facts: Mapping[str, Mapping[str, Any]],
        looked: Mapping[str, CatalogRow] | None = None,
    ) -> None:
        """Record what became of videos; `facts` maps content to columns known of it.

        With `looked`, the rows of the look that the outcomes follow from, an outcome is dropped when
        another run has found the file changed since.
        """
        by_uri = {outcome.uri: outcome for outcome in outcomes if outcome.status != "failed"}
        if not by_uri:
            return

        def change(rows: dict[str, CatalogRow]) -> dict[str, CatalogRow]:
            for uri, outcome in by_uri.items():
                if uri in rows and (looked is None or _same_file(rows[uri], looked[uri])):
                    rows[uri] = _with_outcome(
                        rows[uri], outcome, facts.get(outcome.content, {})
                    )
            return rows

        self._update(change)

    def forget_quarantine(self, uris: Iterable[str]) -> list[str]:
        """Let the named quarantined videos be tried again; return those that were quarantined."""
        wanted = set(uris)
        freed: list[str] = []

        def change(rows: dict[str, CatalogRow]) -> dict[str, CatalogRow]:
            freed[:] = [
                u for u in sorted(wanted) if u in rows and rows[u].status == "quarantined"
            ]
            for uri in freed:
                rows[uri] = replace(rows[uri], status="found", code=None, message=None)
            return rows

        self._update(change)
        return freed

    def scored(self, checkpoint: str) -> dict[str, LedgerRow]:
        """Return the ledger of one checkpoint by uri."""
        return {
            row.uri: row for row in _decode(self.root.read(self._ledger(checkpoint)), LedgerRow)
        }

    def record_scored(
        self, checkpoint: str, rows: Iterable[LedgerRow], removed: Iterable[str] = ()
    ) -> None:
        """Add rows to the ledger, replacing those of the same videos, and drop `removed` ones."""
        new = {row.uri: row for row in rows}
        gone = set(removed) - set(new)

        def change(data: bytes | None) -> bytes:
            kept = {r.uri: r for r in _decode(data, LedgerRow) if r.uri not in gone}
            return _encode({**kept, **new}.values(), LEDGER_SCHEMA)

        self.root.update(self._ledger(checkpoint), change)

    def _ledger(self, checkpoint: str) -> str:
        return f"{self._base}/scored/{quote(checkpoint)}.parquet"

    def _update(
        self, change: Callable[[dict[str, CatalogRow]], dict[str, CatalogRow]]
    ) -> dict[str, CatalogRow]:
        latest: dict[str, CatalogRow] = {}

        def swap(data: bytes | None) -> bytes:
            nonlocal latest
            latest = change({row.uri: row for row in _decode(data, CatalogRow)})
            return _encode(latest.values(), CATALOG_SCHEMA)

        self.root.update(self._key, swap)
        return latest


def out_of_domain(
    rows: Mapping[str, CatalogRow], scored: Iterable[LedgerRow]
) -> list[OutOfDomain]:
    """Return when cameras were out of domain for a minute or more, or most of the time; by camera and time.

    `rows` are those of the catalog; scored videos that it does not know are left out.
    """
    found: list[OutOfDomain] = []
    known = sorted(
        (row for row in scored if row.uri in rows),
        key=lambda row: (row.camera, rows[row.uri].start_time_utc or _NO_TIME, row.uri),
    )
    for camera, of_camera in groupby(known, key=lambda row: row.camera):
        runs = [(out, list(run)) for out, run in groupby(of_camera, key=_has_outside)]
        for number, (out, run) in enumerate(runs):
            seconds = sum(row.seconds_outside for row in run)
            footage = sum(rows[row.uri].duration_seconds or 0.0 for row in run)
            if not out or seconds < min(_LEAST_OUTSIDE_SECONDS, footage / 2):
                continue
            after = runs[number + 1][1][0] if number + 1 < len(runs) else None
            found.append(
                OutOfDomain(
                    camera=camera,
                    reasons=", ".join(
                        dict.fromkeys(", ".join(r.outside for r in run).split(", "))
                    ),
                    first_video=run[0].uri,
                    since=rows[run[0].uri].start_time_utc,
                    is_over=after is not None,
                    until=None if after is None else rows[after.uri].start_time_utc,
                    videos=tuple(row.uri for row in run),
                    seconds=seconds,
                )
            )
    return found


def _has_outside(row: LedgerRow) -> bool:
    return row.seconds_outside > 0


def archive_name(root: Root, location: str, wanted: str) -> str:
    """Return the name of the archive at `location` in this root, and remember it.

    Two archives never share a name: one that is taken by another location gets a number behind it,
    unless the user asked for it by name.

    Raises:
        SpecError: the user's own name belongs to another location.
    """
    base = wanted or location.rstrip("/").rsplit("/", 1)[-1] or "archive"
    chosen = base

    def change(data: bytes | None) -> bytes | None:
        nonlocal chosen
        import json

        names: dict[str, str] = json.loads(data) if data else {}
        chosen = _free_name(names, base, location, insist=bool(wanted))
        if names.get(chosen) == location:
            return None
        return (
            json.dumps({**names, chosen: location}, indent=2, sort_keys=True).encode() + b"\n"
        )

    root.update("catalog/archives.json", change)
    return chosen


def known_archives(root: Root) -> dict[str, str]:
    """Return the location of each archive seen in this root, by name."""
    return dict(root.read_json("catalog/archives.json") or {})


def init_catalog(root: Root) -> None:
    """Put down an empty catalog, so that queries work from the first day."""
    key = "catalog/archive=_/videos.parquet"
    if not root.exists(key):
        root.publish(key, _encode([], CATALOG_SCHEMA))


def archives_with_tables(root: Root) -> list[str]:
    """Return the names of archives that have a catalog."""
    names = (name.removeprefix("archive=") for name in root.folders("catalog"))
    return [unquote(name) for name in names if name not in {"_", "archives.json"}]


def _free_name(names: Mapping[str, str], base: str, location: str, *, insist: bool) -> str:
    if insist and names.get(base, location) != location:
        raise SpecError(
            f"Archive name {base!r} belongs to {names[base]!r} in this root; found {location!r}. "
            "Choose another --name."
        )
    for name, known in names.items():
        if known == location and not insist:
            return name
    number, chosen = 2, base
    while names.get(chosen, location) != location:
        chosen, number = f"{base}-{number}", number + 1
    return chosen


def _same_file(row: CatalogRow, other: CatalogRow) -> bool:
    return (row.bytes, row.modified) == (other.bytes, other.modified)


def _looked_at(file: VideoFile, row: CatalogRow | None, now: datetime) -> CatalogRow:
    start = None if file.start_time is None else file.start_time.astimezone(UTC)
    now_known = {
        "location": file.location,
        "camera": file.camera,
        "date": file.date,
        "start_time_utc": start,
        "last_seen": now,
    }
    if row is not None and row.is_of(file):
        return replace(row, present=True, **now_known)  # type: ignore[arg-type]
    return CatalogRow(
        archive=file.archive,
        uri=file.uri,
        bytes=file.bytes,
        modified=file.modified,
        kind=file.kind,
        first_seen=now,
        **now_known,  # type: ignore[arg-type]
    )


def _with_outcome(row: CatalogRow, outcome: Outcome, facts: Mapping[str, Any]) -> CatalogRow:
    status = (
        row.status if outcome.status == "skipped" and row.status != "found" else outcome.status
    )
    return replace(
        row,
        status="ok" if status == "skipped" else status,
        content=outcome.content or row.content,
        code=outcome.code or None,
        message=outcome.message or None,
        **facts,
    )


def _encode(rows: Iterable[CatalogRow | LedgerRow], schema: pa.Schema) -> bytes:
    ordered = sorted(rows, key=lambda row: row.uri)
    columns = {name: [getattr(row, name) for row in ordered] for name in schema.names}
    return parquet.encoded(pa.table(columns, schema=schema))


def _decode(data: bytes | None, cls: type[Row]) -> list[Row]:
    if data is None:
        return []
    table = parquet.decoded(data)
    names = [field.name for field in fields(cls) if field.name in table.column_names]
    columns = [[_read(name, value) for value in table[name].to_pylist()] for name in names]
    return [
        cls(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def _read(column: str, value: Any) -> Any:
    """Return a value of a Parquet column as a row holds it."""
    if column == "conditions":
        return tuple(Condition(**one) for one in value or ())
    return tuple(value) if isinstance(value, list) else value
