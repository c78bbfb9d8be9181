from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anomaly.errors import StoreError
from anomaly.scores import FrameScores, tables
from anomaly.scores.events import Event
from anomaly.scores.tables import (
    EVENTS_SCHEMA,
    ROW_GROUP_ROWS,
    SCORES_SCHEMA,
    Partition,
    digest_of,
    event_rows,
    init_tables,
    merge_events,
    merge_scores,
    partition_date,
    partitions,
    read_events,
    read_scores,
    score_rows,
    stored_videos,
)
from anomaly.storage import Root, open_root
from anomaly.verbs.look import init_root
from anomaly.verbs.query import query
from anomaly.video import VideoFile

DAY = Partition(archive="a", checkpoint="c", camera="door", date="2026-03-01")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(str(tmp_path / "root"))


def video_file(uri: str = "door/1.mp4", start: datetime | None = None) -> VideoFile:
    return VideoFile(
        archive="a",
        uri=uri,
        location=f"/videos/{uri}",
        bytes=1,
        modified="0",
        camera="door",
        start_time=start,
    )


def frame_scores(frames: int = 5, seed: int = 0) -> FrameScores:
    generator = np.random.default_rng(seed)
    raw_T, seconds_T = generator.gamma(2.0, size=frames), np.arange(frames) / 25
    return FrameScores(raw_T, raw_T * 2, np.ones(frames, dtype=bool), seconds_T)


def rows(uri: str, frames: int = 5, seed: int = 0) -> pa.Table:
    return score_rows(video_file(uri), "c0ffee", frame_scores(frames, seed), "door")


def an_event(**changes) -> Event:
    known = {
        "start_frame": 1, "stop_frame": 4, "peak_frame": 2, "start_seconds": 0.04,
        "stop_seconds": 0.16, "peak_seconds": 0.08, "score": 7.5, "mean_score": 6.0,
        "threshold": 5.0, "one_in_days": 12.0, "place": (3, 4), "grid": (30, 45),
    }  # fmt: skip
    return Event(**{**known, **changes})


def test_a_frame_that_could_not_be_decoded_has_null_scores_and_keeps_its_row() -> None:
    scores = frame_scores(3)
    scores.raw_T[1] = scores.score_T[1] = np.nan
    table = score_rows(video_file(), "c0ffee", scores, "pooled")
    assert table.schema.equals(SCORES_SCHEMA)
    assert table["score"].to_pylist()[1] is None
    assert table["raw"].null_count == 1
    assert table["frame"].to_pylist() == [0, 1, 2]
    assert set(table["model"].to_pylist()) == {"pooled"}


def test_the_time_of_a_frame_is_known_when_the_start_of_its_video_is() -> None:
    start = datetime(2026, 3, 1, 8, 0, 0, 123457, tzinfo=ZoneInfo("Europe/Berlin"))
    table = score_rows(video_file(start=start), "c0ffee", frame_scores(), "door")
    times = table["time_utc"].to_pylist()
    assert times[0] == datetime(2026, 3, 1, 7, 0, 0, 123457, tzinfo=UTC)
    assert times[1] == datetime(2026, 3, 1, 7, 0, 0, 163457, tzinfo=UTC)
    events = event_rows(video_file(start=start), "c0ffee", [an_event()], "door", table)
    assert events["start_time_utc"].to_pylist() == [times[1]]
    unknown = score_rows(video_file(), "c0ffee", frame_scores(), "door")
    assert unknown["time_utc"].null_count == 5


def test_an_event_row_names_place_rarity_and_the_scores_it_was_found_in() -> None:
    scores = rows("door/1.mp4")
    table = event_rows(
        video_file(),
        "c0ffee",
        [an_event(clip="media/x.mp4"), an_event(place=None)],
        "door",
        scores,
    )
    assert table.schema.equals(EVENTS_SCHEMA)
    first, second = table.to_pylist()
    assert (first["peak_row"], first["peak_col"]) == (3, 4)
    assert (first["grid_rows"], first["grid_cols"], first["clip"]) == (30, 45, "media/x.mp4")
    assert (second["peak_row"], second["clip"]) == (None, None)
    assert first["scores_digest"] == digest_of(scores) != digest_of(rows("door/1.mp4", seed=1))
    assert first["event_id"] != second["event_id"]


def test_scoring_a_part_keeps_the_rest_of_the_camera_day(root: Root) -> None:
    merge_scores(root, DAY, {"b": rows("b"), "a": rows("a")})
    merge_scores(root, DAY, {"b": rows("b", seed=9, frames=7)})
    table = read_scores(root, "a", "c")
    assert table["video"].to_pylist() == ["a"] * 5 + ["b"] * 7
    assert table.filter(pa.compute.equal(table["video"], "a")).equals(rows("a"))


def test_merging_again_changes_no_byte(root: Root) -> None:
    tables = {"a": rows("a"), "b": rows("b")}
    merge_scores(root, DAY, tables)
    before = Path(root.address(DAY.key("scores"))).stat()
    merge_scores(root, DAY, dict(reversed(tables.items())))
    after = Path(root.address(DAY.key("scores"))).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_file_depends_on_its_videos_and_not_on_how_they_came(root: Root) -> None:
    other = Partition(archive="a", checkpoint="c", camera="door", date="2026-03-02")
    merge_scores(root, DAY, {name: rows(name) for name in "abc"})
    merge_scores(root, other, {"x": rows("x"), "c": rows("c", seed=3)})
    for name in "cba":
        merge_scores(root, other, {name: rows(name)}, remove={"x"})
    assert root.read(DAY.key("scores")) == root.read(other.key("scores"))


def test_rows_of_a_renamed_video_go(root: Root) -> None:
    merge_scores(root, DAY, {"old": rows("old"), "other": rows("other")})
    merge_scores(root, DAY, {"new": rows("new")}, remove={"old", "never-there"})
    assert sorted(stored_videos(root, DAY)) == ["new", "other"]


def test_a_camera_day_tells_what_it_holds_without_reading_rows(root: Root) -> None:
    assert stored_videos(root, DAY) == {}
    merge_scores(root, DAY, {"a": rows("a", frames=3)})
    stored = stored_videos(root, DAY)["a"]
    assert (stored.content, stored.model, stored.rows) == ("c0ffee", "door", 3)
    assert stored.digest == digest_of(rows("a", frames=3))


def test_events_of_a_video_that_has_none_any_more_go(root: Root) -> None:
    scores = rows("a")
    found = event_rows(video_file("a"), "c0ffee", [an_event()], "door", scores)
    none = event_rows(video_file("a"), "c0ffee", [], "door", scores)
    merge_events(root, DAY, {"a": found})
    assert read_events(root, "a", "c").num_rows == 1
    merge_events(root, DAY, {"a": none})
    assert read_events(root, "a", "c").num_rows == 0
    assert read_events(root, "a", "c").schema.equals(EVENTS_SCHEMA)


def test_two_archives_with_equal_file_names_do_not_mix(root: Root) -> None:
    other = Partition(archive="a2", checkpoint="c", camera="door", date="2026-03-01")
    merge_scores(root, DAY, {"same.mp4": rows("same.mp4")})
    merge_scores(root, other, {"same.mp4": rows("same.mp4", frames=2)})
    assert read_scores(root, "a", "c").num_rows == 5
    assert read_scores(root, "a2", "c").num_rows == 2


def test_only_the_videos_and_columns_asked_for_are_returned(root: Root) -> None:
    merge_scores(root, DAY, {name: rows(name) for name in "abc"})
    table = read_scores(root, "a", "c", videos=["b"], columns=["frame", "score"])
    assert table.column_names == ["frame", "score"]
    assert table.num_rows == 5
    assert read_scores(root, "a", "nobody", videos=["b"]).schema.equals(SCORES_SCHEMA)


def test_odd_names_survive_as_partition_values_in_duckdb_too(root: Root) -> None:
    odd = Partition(archive="a/b=c", checkpoint="x y", camera="Tür 1%2F+é", date="..")
    merge_scores(root, odd, {"v": rows("v")})
    assert partitions(root, "a/b=c", "x y") == [odd]
    files = f"{root.address('scores')}/**/*.parquet"
    query = "SELECT DISTINCT archive, checkpoint, camera, date FROM read_parquet(?, "
    query += "hive_partitioning=true, hive_types_autocast=false)"
    found = duckdb.connect().execute(query, [files]).fetchall()
    assert found == [("a/b=c", "x y", "Tür 1%2F+é", "..")]


def test_undated_videos_are_dealt_by_their_content() -> None:
    assert partition_date("2026-03-01", "c0ffee") == "2026-03-01"
    assert partition_date(None, "c0ffee") == "undated-c0"


def test_an_empty_root_has_tables_with_all_columns(root: Root) -> None:
    init_tables(root)
    init_tables(root)
    for name, schema in (("scores", SCORES_SCHEMA), ("events", EVENTS_SCHEMA)):
        files = f"{root.address(name)}/**/*.parquet"
        found = duckdb.connect().execute(
            "SELECT * EXCLUDE (archive, checkpoint, camera, date) "
            "FROM read_parquet(?, hive_partitioning=true)",
            [files],
        )
        assert [column[0] for column in found.description] == schema.names
        assert found.fetchall() == []


def test_events_of_an_earlier_version_lack_a_part_and_are_read_merged_and_asked_all_the_same(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = event_rows(
        video_file(), "c0ffee", [an_event(part="static")], "door", rows("door/1.mp4")
    )
    before = now.drop_columns("part")
    with monkeypatch.context() as earlier:
        earlier.setitem(tables._SCHEMAS, "events", before.schema)
        init_tables(root)
        merge_events(root, DAY, {"door/1.mp4": before})
    init_root(root)
    assert read_events(root, "a", "c").schema.equals(EVENTS_SCHEMA)
    assert read_events(root, "a", "c")["part"].to_pylist() == [None]
    assert query(root, "SELECT part FROM events").to_pylist() == [{"part": None}]
    other = event_rows(video_file("b"), "c0ffee", [an_event(part="static")], "door", rows("b"))
    merge_events(root, DAY, {"b": other})
    assert read_events(root, "a", "c")["part"].to_pylist() == ["static", None]


def test_rows_that_belong_to_another_video_are_refused(root: Root) -> None:
    with pytest.raises(StoreError, match=r"Rows given for 'a' belong to \['b'\]"):
        merge_scores(root, DAY, {"a": rows("b")})
    with pytest.raises(StoreError, match="have the columns"):
        merge_scores(root, DAY, {"a": rows("a").drop_columns("raw")})


def test_a_damaged_file_is_named(root: Root) -> None:
    root.publish(DAY.key("scores"), b"PAR1 rubbish PAR1")
    with pytest.raises(StoreError, match=r"date=2026-03-01/part-0.parquet is damaged"):
        merge_scores(root, DAY, {"a": rows("a")})


def test_a_camera_day_costs_few_bytes_a_row_in_large_sorted_row_groups(root: Root) -> None:
    frames = 2 * ROW_GROUP_ROWS + 10
    scores = frame_scores(frames)
    smooth_T = np.repeat(scores.raw_T[: frames // 10 + 1], 10)[:frames]
    flat = FrameScores(smooth_T, smooth_T, scores.covered_T, scores.seconds_T)
    merge_scores(root, DAY, {"a": score_rows(video_file("a"), "c0ffee", flat, "door")})
    data = root.read(DAY.key("scores"))
    assert data is not None
    file = pq.ParquetFile(io.BytesIO(data))
    assert file.metadata.num_row_groups == 3
    encodings = {
        file.metadata.row_group(0).column(number).path_in_schema: set(
            file.metadata.row_group(0).column(number).encodings
        )
        for number in range(9)
    }
    assert "BYTE_STREAM_SPLIT" in encodings["score"]
    assert "DELTA_BINARY_PACKED" in encodings["frame"]
    assert len(data) / frames < 12


def test_a_digest_depends_on_the_boxes_of_events_and_not_on_where_they_lie_in_memory() -> None:
    def table(left: int) -> pa.Table:
        box = {"left": left, "top": 0, "right": 9, "bottom": 9, "score": 1.0}
        boxes = pa.array([[box], None], EVENTS_SCHEMA.field("boxes").type)
        return pa.table({"boxes": boxes})

    assert digest_of(table(1)) == digest_of(table(1))
    assert digest_of(table(1)) != digest_of(table(2))
