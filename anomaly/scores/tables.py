"""Scores and events as Parquet, one file per camera-day.

    scores/archive=<a>/checkpoint=<id>/camera=<c>/date=<YYYY-MM-DD>/part-0.parquet
    events/archive=<a>/checkpoint=<id>/camera=<c>/date=<YYYY-MM-DD>/part-0.parquet

Videos are merged into their camera-day under compare-and-swap, so a reader sees a video whole
or not at all and no writer loses another's rows. A file depends on the videos in it alone, to
the byte, whatever the order they came in; scoring again changes nothing. Publish events before
scores: a video counts as scored once its scores are there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anomaly import parquet
from anomaly.errors import StoreError
from anomaly.scores import FrameScores
from anomaly.scores.events import Event
from anomaly.spec import canonical_json
from anomaly.storage import Root, quote, unquote
from anomaly.video import VideoFile

TableName = Literal["scores", "events"]

ROW_GROUP_ROWS = 122_880
_TIME = pa.timestamp("us", tz="UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VIDEOS = b"anomaly.videos"

_BOX = pa.struct(
    [
        ("left", pa.int32()),
        ("top", pa.int32()),
        ("right", pa.int32()),
        ("bottom", pa.int32()),
        ("score", pa.float64()),
    ]
)

SCORES_SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("content", pa.string()),
        ("frame", pa.int64()),
        ("seconds", pa.float64()),
        ("time_utc", _TIME),
        ("raw", pa.float64()),
        ("score", pa.float64()),
        ("covered", pa.bool_()),
        ("model", pa.string()),
    ]
)

EVENTS_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("video", pa.string()),
        ("content", pa.string()),
        ("start_frame", pa.int64()),
        ("stop_frame", pa.int64()),
        ("peak_frame", pa.int64()),
        ("start_seconds", pa.float64()),
        ("stop_seconds", pa.float64()),
        ("peak_seconds", pa.float64()),
        ("start_time_utc", _TIME),
        ("score", pa.float64()),
        ("mean_score", pa.float64()),
        ("threshold", pa.float64()),
        ("one_in_days", pa.float64()),
        ("part", pa.string()),
        ("peak_row", pa.int32()),
        ("peak_col", pa.int32()),
        ("grid_rows", pa.int32()),
        ("grid_cols", pa.int32()),
        ("boxes", pa.list_(_BOX)),
        ("model", pa.string()),
        ("scores_digest", pa.string()),
        ("clip", pa.string()),
        ("picture_start", pa.string()),
        ("picture_peak", pa.string()),
        ("picture_stop", pa.string()),
    ]
)

_SCHEMAS: dict[TableName, pa.Schema] = {"scores": SCORES_SCHEMA, "events": EVENTS_SCHEMA}


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One camera-day of one checkpoint's scores."""

    archive: str
    checkpoint: str
    camera: str
    date: str
    """camera-local date, or what `partition_date` gives an undated video"""

    def key(self, table: TableName) -> str:
        """Return where the camera-day's file lies below the root."""
        parts = [f"{name}={quote(value)}" for name, value in asdict(self).items()]
        return f"{table}/{'/'.join(parts)}/part-0.parquet"

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the partition that `key` came from."""
        pairs = (part.split("=", 1) for part in key.split("/")[1:-1])
        return cls(**{name: unquote(value) for name, value in pairs})


@dataclass(frozen=True)
class StoredVideo:
    """What a camera-day's file holds of one video; kept in the file's metadata."""

    content: str
    model: str
    rows: int
    digest: str
    """of the rows"""


def partition_date(date: str | None, content: str) -> str:
    """Return the date under which a video is stored; undated ones are dealt over 256 parts."""
    return date or f"undated-{content[:2]}"


def score_rows(file: VideoFile, content: str, scores: FrameScores, model: str) -> pa.Table:
    """Return one row per frame; `raw` and `score` are null where nothing could be decoded.

    `model` says whose model it was: the camera's name, or `pooled`.
    """
    rows = len(scores)
    columns = {
        "video": pa.repeat(file.uri, rows),
        "content": pa.repeat(content, rows),
        "frame": np.arange(rows, dtype=np.int64),
        "seconds": scores.seconds_T,
        "time_utc": _times(file.start_time, scores.seconds_T),
        "raw": pa.array(scores.raw_T, from_pandas=True),
        "score": pa.array(scores.score_T, from_pandas=True),
        "covered": scores.covered_T,
        "model": pa.repeat(model, rows),
    }
    return pa.table(columns, schema=SCORES_SCHEMA)


def event_rows(
    file: VideoFile, content: str, events: Sequence[Event], model: str, scores: pa.Table
) -> pa.Table:
    """Return one row per event of one video; `scores` are the video's score rows."""
    digest = digest_of(scores)
    rows = []
    for event in events:
        peak_row, peak_col = event.place or (None, None)
        grid_rows, grid_cols = event.grid or (None, None)
        rows.append(
            {
                **asdict(event),  # what the table does not name (place, grid) is left out
                "event_id": event.identity(content),
                "video": file.uri,
                "content": content,
                "start_time_utc": _time(file.start_time, event.start_seconds),
                "peak_row": peak_row,
                "peak_col": peak_col,
                "grid_rows": grid_rows,
                "grid_cols": grid_cols,
                "model": model,
                "scores_digest": digest,
            }
        )
    return pa.Table.from_pylist(rows, schema=EVENTS_SCHEMA)


def digest_of(table: pa.Table) -> str:
    """Return 32 hex digits that change with any value of the table."""
    hasher = hashlib.sha256()
    for column in table.columns:
        values = column.combine_chunks()
        if pa.types.is_string(values.type):
            values = values.dictionary_encode()
            hasher.update(json.dumps(values.dictionary.to_pylist()).encode())
            values = values.indices
        if pa.types.is_nested(values.type):  # as an array it would be addresses of objects
            hasher.update(json.dumps(values.to_pylist()).encode())
        else:
            hasher.update(values.to_numpy(zero_copy_only=False).tobytes())
    return hasher.hexdigest()[:32]


def merge_scores(
    root: Root,
    partition: Partition,
    videos: Mapping[str, pa.Table],
    remove: Collection[str] = (),
) -> None:
    """Replace the rows of these videos in their camera-day and drop those of `remove`.

    Raises:
        StoreError: rows have another schema or stand for another video, or the stored file is
        damaged.
        TransientError: others kept writing the same camera-day.
    """
    _merge(root, partition.key("scores"), "scores", videos, remove)


def merge_events(
    root: Root,
    partition: Partition,
    videos: Mapping[str, pa.Table],
    remove: Collection[str] = (),
) -> None:
    """Do for events what `merge_scores` does for scores; an empty table says: no events.

    Raises:
        StoreError: as `merge_scores`.
        TransientError: as `merge_scores`.
    """
    _merge(root, partition.key("events"), "events", videos, remove)


def stored_videos(
    root: Root, partition: Partition, table: TableName = "scores"
) -> dict[str, StoredVideo]:
    """Return what one camera-day holds, video by video; empty without a file."""
    data = root.read(partition.key(table))
    return {} if data is None else _provenance(parquet.metadata(data))


def partitions(
    root: Root, archive: str, checkpoint: str, table: TableName = "scores"
) -> list[Partition]:
    """Return the camera-days that a checkpoint has scored, by camera and date."""
    folder = f"{table}/archive={quote(archive)}/checkpoint={quote(checkpoint)}"
    return [Partition.parse(key) for key in root.keys(folder) if key.endswith(".parquet")]


def iterate(
    root: Root,
    archive: str,
    checkpoint: str,
    table: TableName = "scores",
    *,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield camera-days one at a time, each as it was at one moment."""
    for partition in partitions(root, archive, checkpoint, table):
        yield partition, read_partition(root, partition, table, columns=columns)


def read_partition(
    root: Root,
    partition: Partition,
    table: TableName = "scores",
    *,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of one camera-day; none where nothing has been written.

    Raises:
        StoreError: the file is damaged.
    """
    data = root.read(partition.key(table))
    if data is None:
        empty = _SCHEMAS[table].empty_table()
        return empty if columns is None else empty.select(list(columns))
    return _parsed(data, partition.key(table), columns)


def read_scores(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    videos: Collection[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the score rows of the named videos, or of all, by camera-day, video and frame."""
    wanted = list(dict.fromkeys([*(columns or SCORES_SCHEMA.names), "video"]))
    found = [
        table if videos is None else _rows_of(table, videos)
        for _, table in iterate(root, archive, checkpoint, columns=wanted)
    ]
    empty = pa.schema([SCORES_SCHEMA.field(name) for name in wanted]).empty_table()
    return pa.concat_tables([empty, *found]).select(list(columns or SCORES_SCHEMA.names))


def read_events(root: Root, archive: str, checkpoint: str) -> pa.Table:
    """Return all events of one archive, sorted by camera-day, video, start."""
    tables = [table for _, table in iterate(root, archive, checkpoint, "events")]
    return pa.concat_tables([EVENTS_SCHEMA.empty_table(), *tables])


def init_tables(root: Root) -> None:
    """Write empty files with the schemas, so that views work on an empty root."""
    nowhere = Partition(archive="_", checkpoint="_", camera="_", date="_")
    for table, schema in _SCHEMAS.items():
        found = root.read(nowhere.key(table))
        if found is None or parquet.decoded(found).schema.names != schema.names:
            root.publish(nowhere.key(table), _file({}, schema))


def _merge(
    root: Root,
    key: str,
    table: TableName,
    videos: Mapping[str, pa.Table],
    remove: Collection[str],
) -> None:
    schema = _SCHEMAS[table]
    for video, rows in videos.items():
        _check(video, rows, schema)

    def change(found: bytes | None) -> bytes | None:
        if found is None and not videos:
            return None
        merged = {} if found is None else _by_video(found, key)
        for video in remove:
            merged.pop(video, None)
        merged.update(videos)
        return _file(merged, schema)

    root.update(key, change)


def _check(video: str, rows: pa.Table, schema: pa.Schema) -> None:
    if not rows.schema.equals(schema):
        raise StoreError(
            f"Rows of {video!r} have the columns {rows.schema.names}, expected {schema.names}."
        )
    others = set(pc.unique(rows["video"]).to_pylist()) - {video}
    if others:
        raise StoreError(f"Rows given for {video!r} belong to {sorted(others)}.")


def _by_video(data: bytes, key: str) -> dict[str, pa.Table]:
    table = _parsed(data, key)
    videos: dict[str, pa.Table] = {}
    start = 0
    for video, stored in _provenance(table.schema.metadata).items():
        videos[video] = table.slice(start, stored.rows).replace_schema_metadata(None)
        start += stored.rows
    return videos


def _parsed(data: bytes, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        table = parquet.decoded(data, columns)
        return table if columns else _with_new_columns(table, key)
    except pa.ArrowInvalid as error:
        raise StoreError(
            f"{key} is damaged ({error}). Delete the file and score its videos again."
        ) from error


def _with_new_columns(table: pa.Table, key: str) -> pa.Table:
    """Return the table with the columns that an earlier version did not write, all null."""
    for place, field in enumerate(
        _SCHEMAS["events" if key.startswith("events/") else "scores"]
    ):
        if field.name not in table.schema.names:
            table = table.add_column(place, field, pa.nulls(len(table), field.type))
    return table


def _provenance(metadata: Mapping[bytes, bytes] | None) -> dict[str, StoredVideo]:
    stored = json.loads((metadata or {}).get(_VIDEOS, b"{}"))
    return {video: StoredVideo(**facts) for video, facts in stored.items()}


def _file(videos: Mapping[str, pa.Table], schema: pa.Schema) -> bytes:
    """Return the Parquet file of these videos; equal rows give equal bytes."""
    ordered = {video: videos[video] for video in sorted(videos)}
    stored = {video: asdict(_stored(rows)) for video, rows in ordered.items()}
    table = pa.concat_tables([schema.empty_table(), *ordered.values()]).combine_chunks()
    table = table.replace_schema_metadata({_VIDEOS: canonical_json(stored).encode()})
    return parquet.encoded(
        table,
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
        column_encoding={
            field.name: encoding
            for field in schema
            if (encoding := _ENCODINGS.get(field.type)) is not None
        },
    )


_ENCODINGS = {pa.float64(): "BYTE_STREAM_SPLIT", pa.int64(): "DELTA_BINARY_PACKED"}


def _stored(rows: pa.Table) -> StoredVideo:
    content, model = (
        str(rows[name][0]) if rows.num_rows else "" for name in ("content", "model")
    )
    return StoredVideo(content, model, rows.num_rows, digest_of(rows))


def _rows_of(table: pa.Table, videos: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table["video"], pa.array(list(videos), pa.string())))


def _times(start: datetime | None, seconds_T: np.ndarray) -> pa.Array:
    if start is None:
        return pa.nulls(len(seconds_T), _TIME)
    first = (start - _EPOCH) // timedelta(microseconds=1)
    return pa.array(first + np.round(seconds_T * 1e6).astype(np.int64)).cast(_TIME)


def _time(start: datetime | None, seconds: float) -> datetime | None:
    return None if start is None else start.astimezone(UTC) + timedelta(seconds=seconds)
