"""SQL over a root, through the verb and through a plain DuckDB."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError, StoreError
from anomaly.scores.tables import (
    EVENTS_SCHEMA,
    SCORES_SCHEMA,
    Partition,
    merge_events,
    merge_scores,
)
from anomaly.scores.verdicts import Verdict, add_verdicts, verdicts_for
from anomaly.storage import Root, open_root
from anomaly.verbs.look import init_root
from anomaly.verbs.query import VIEWS, query, write_answer

REPOSITORY = Path(__file__).parents[2]


def fill(root: Root) -> None:
    """Two cameras, two checkpoints; the names try to break partitions."""
    init_root(root)
    for checkpoint in ("knn-1", "knn-2"):
        for camera, scores in (("007", [0.5, 4.0, None]), ("a/b=c d%2F", [1.0, 2.0, 3.0])):
            rows = [
                {
                    "video": f"{camera}/it's.mp4",
                    "content": "c",
                    "frame": frame,
                    "seconds": frame / 25,
                    "time_utc": datetime(2026, 3, 2, 8, 0, frame, tzinfo=UTC),
                    "raw": score,
                    "score": score,
                    "covered": score is not None,
                    "model": camera,
                }
                for frame, score in enumerate(scores)
            ]
            partition = Partition(
                archive="site", checkpoint=checkpoint, camera=camera, date="2026-03-02"
            )
            table = pa.Table.from_pylist(rows, schema=SCORES_SCHEMA)
            merge_scores(root, partition, {rows[0]["video"]: table})
    root.publish_json("checkpoints/current.json", {"checkpoint": "knn-2"})


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = open_root(str(tmp_path / "ro'ot"))
    fill(root)
    return root


def test_every_view_answers_on_a_root_that_does_not_exist_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    root = open_root(str(tmp_path / "nowhere"))
    for view in VIEWS:
        answer = query(root, f"SELECT * FROM {view}")
        assert answer.num_rows == 0
        assert len(answer.column_names) > 8, view
    assert not (tmp_path / "nowhere").exists()


def test_every_view_answers_on_a_fresh_root(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    init_root(root)
    assert [
        query(root, f"SELECT count(*) AS n FROM {view}")["n"][0].as_py() for view in VIEWS
    ] == [0] * len(VIEWS)


def test_scores_show_the_partitions_as_they_were_named(root: Root) -> None:
    answer = query(root, "SELECT DISTINCT camera, checkpoint, date FROM scores ORDER BY ALL")
    assert answer.to_pylist() == [
        {"camera": camera, "checkpoint": checkpoint, "date": "2026-03-02"}
        for camera in ("007", "a/b=c d%2F")
        for checkpoint in ("knn-1", "knn-2")
    ]


def test_current_scores_are_those_of_the_current_checkpoint(root: Root) -> None:
    assert query(root, "SELECT DISTINCT checkpoint FROM current_scores").to_pylist() == [
        {"checkpoint": "knn-2"}
    ]
    root.publish_json("checkpoints/current.json", {"checkpoint": None})
    assert query(root, "SELECT * FROM current_scores").num_rows == 0


def test_tables_can_be_described_and_plans_explained(root: Root) -> None:
    described = query(root, "DESCRIBE scores")
    assert "time_utc" in described["column_name"].to_pylist()
    assert query(root, "EXPLAIN SELECT * FROM events").num_rows > 0


def test_the_question_of_the_readme_works(root: Root) -> None:
    answer = query(
        root, "SELECT video, max(score) FROM scores GROUP BY 1 ORDER BY 2 DESC LIMIT 5"
    )
    assert answer.to_pylist()[0] == {"video": "007/it's.mp4", "max(score)": 4.0}


def test_a_plain_duckdb_reads_the_same_file(root: Root) -> None:
    views = (REPOSITORY / "infra" / "duckdb" / "views.sql").read_text()
    connection = duckdb.connect()
    connection.execute("SET VARIABLE root = $url", {"url": root.url})
    connection.execute(views)
    for view in VIEWS:
        theirs = connection.sql(f"SELECT * FROM {view} ORDER BY ALL").to_arrow_table()
        assert (
            theirs.to_pylist() == query(root, f"SELECT * FROM {view} ORDER BY ALL").to_pylist()
        ), view


def test_inside_the_root_no_variable_is_needed(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.url)
    connection = duckdb.connect()
    connection.execute((REPOSITORY / "infra" / "duckdb" / "views.sql").read_text())
    assert connection.execute("SELECT count(*) FROM scores").fetchall() == [(12,)]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELCT 1", "syntax error"),
        ("SELECT * FROM score", "Did you mean"),
        ("SELECT camra FROM scores", "camra"),
        ("SELECT CAST('x' AS INT)", "Could not convert"),
        ("SELECT * FROM sql", "sql does not exist"),
        ("", "found nothing"),
        ("SELECT 1; SELECT 2", "one statement"),
    ],
)
def test_a_mistake_in_the_question_is_told_in_one_line(root: Root, sql: str, told: str) -> None:
    with pytest.raises(SpecError, match=told) as raised:
        query(root, sql)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a INT)",
        "DROP VIEW scores",
        "COPY (SELECT 1) TO '{root}/out.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "ATTACH '{root}/x.db'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '{root}/../outside.csv'",
        "SELECT * FROM '{root}-twin/outside.csv'",
    ],
)
def test_a_question_can_neither_write_nor_look_outside_the_root(root: Root, sql: str) -> None:
    for folder in (Path(root.url).parent, Path(f"{root.url}-twin")):
        folder.mkdir(exist_ok=True)
        (folder / "outside.csv").write_text("secret\n1\n")
    before = root.keys("scores")
    with pytest.raises(SpecError):
        query(root, sql.format(root=root.url.replace("'", "''")))
    assert root.keys("scores") == before
    assert not (Path(root.url) / "out.csv").exists()


def test_a_damaged_table_is_not_blamed_on_the_question(root: Root) -> None:
    key = next(key for key in root.keys("scores") if "knn-1" in key)
    root.publish(key, b"PAR1 this is not Parquet PAR1")
    with pytest.raises(StoreError, match="Cannot read the tables"):
        query(root, "SELECT max(score) FROM scores")


def test_answers_are_written_as_csv_json_parquet_and_table(root: Root) -> None:
    answer = query(
        root,
        "SELECT video, frame, score, time_utc, 'nan'::DOUBLE AS odd, [1, 2] AS list FROM scores "
        "WHERE checkpoint = 'knn-1' AND camera = '007' ORDER BY frame",
    )

    def written(form: str) -> str:
        file = io.StringIO()
        write_answer(answer, form, file)  # type: ignore[arg-type]
        return file.getvalue()

    rows = json.loads(written("json"))
    assert [row["score"] for row in rows] == [0.5, 4.0, None]
    assert rows[0]["odd"] is None
    assert rows[0]["list"] == [1, 2]
    assert rows[0]["time_utc"].startswith("2026-03-02 08:00:00")
    lines = list(csv.reader(io.StringIO(written("csv"))))
    assert lines[0] == ["video", "frame", "score", "time_utc", "odd", "list"]
    assert lines[2][:3] == ["007/it's.mp4", "1", "4.0"]
    assert "007/it's.mp4" in written("table")

    raw = io.BytesIO()
    text = io.TextIOWrapper(raw)
    write_answer(answer, "parquet", text)
    kept = pq.read_table(io.BytesIO(raw.getvalue())).drop_columns("odd")
    assert kept.to_pylist() == answer.drop_columns("odd").to_pylist()


@pytest.mark.s3
def test_a_root_in_an_object_store_is_queried_the_same_way(s3_environment: str) -> None:
    root = open_root(f"s3://{s3_environment}/deep/root")
    assert query(root, "SELECT * FROM events").num_rows == 0
    fill(root)
    answer = query(
        root, "SELECT camera, max(score) AS top FROM current_scores GROUP BY 1 ORDER BY 1"
    )
    assert answer.to_pylist() == [
        {"camera": "007", "top": 4.0},
        {"camera": "a/b=c d%2F", "top": 3.0},
    ]
    with pytest.raises(SpecError):
        query(root, "SELECT * FROM read_text('/etc/passwd')")
    root_above = f"s3://{s3_environment}/other.csv"
    root.fs.pipe_file(root_above, b"secret\n1\n")
    with pytest.raises(SpecError):
        query(root, f"SELECT * FROM read_csv('{root_above}')")


def test_a_root_of_an_earlier_version_answers_where_it_lacks_a_table(root: Root) -> None:
    root.delete("runs")
    root.delete("evaluations")
    assert query(root, "SELECT * FROM runs").num_rows == 0
    assert query(root, "SELECT count(*) AS n FROM scores")["n"][0].as_py() == 12
    answer = query(root, "SELECT count(*) AS n FROM evaluations JOIN runs USING (archive)")
    assert answer["n"][0].as_py() == 0
    assert not root.keys("runs")


def test_a_damaged_file_that_views_look_at_first_is_not_blamed_on_the_question(
    root: Root,
) -> None:
    for key in root.keys("evaluations"):
        root.publish(key, b"PAR1 this is not Parquet PAR1")
    with pytest.raises(StoreError, match="Cannot read the tables"):
        query(root, "SELECT * FROM evaluations")


def verdict(event: int, said: str, note: str) -> Verdict:
    return Verdict(
        event_id=f"{event:016x}",
        archive="site",
        camera="007",
        video="007/it's.mp4",
        start_seconds=1.5,
        stop_seconds=2.0,
        verdict=said,  # type: ignore[arg-type]
        note=note,
        decided_at=datetime(2026, 3, 3, 7, tzinfo=UTC),
    )


def test_verdicts_are_asked_like_tables(root: Root) -> None:
    add_verdicts(root, [verdict(1, "real", "a 'fox'"), verdict(2, "false", "")])
    answer = query(root, "SELECT * FROM verdicts ORDER BY event_id").to_pylist()
    assert answer[0] == {
        "event_id": f"{1:016x}",
        "archive": "site",
        "camera": "007",
        "video": "007/it's.mp4",
        "start_seconds": 1.5,
        "stop_seconds": 2.0,
        "verdict": "real",
        "note": "a 'fox'",
        "decided_at": datetime(2026, 3, 3, 7, tzinfo=UTC),
    }
    assert [row["verdict"] for row in answer] == ["real", "false"]


def test_damaged_verdicts_are_not_blamed_on_the_question(root: Root) -> None:
    root.publish("verdicts/site.json", b'{"verdicts": [')
    with pytest.raises(StoreError, match="Cannot read the tables"):
        query(root, "SELECT * FROM verdicts")


_ENDS = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)


@settings(max_examples=25, deadline=None)
@given(
    events=st.lists(_ENDS, min_size=1, max_size=6, unique_by=tuple),
    said=st.lists(
        st.tuples(st.sampled_from(["real", "false", "unsure"]), _ENDS, st.integers(0, 9)),
        max_size=8,
    ),
)
def test_current_events_bear_the_verdict_that_the_library_finds(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[list[int]],
    said: list[tuple[str, list[int], int]],
) -> None:
    root = open_root(str(tmp_path_factory.mktemp("root")))
    init_root(root)
    root.publish_json("checkpoints/current.json", {"checkpoint": "knn-2"})
    rows = [
        {
            "event_id": f"{number:016x}",
            "video": "007/it's.mp4",
            "content": "c",
            "start_seconds": float(start),
            "stop_seconds": float(stop),
        }
        for number, (start, stop) in enumerate(events)
    ]
    day = Partition(archive="site", checkpoint="knn-2", camera="007", date="2026-03-02")
    merge_events(root, day, {"007/it's.mp4": pa.Table.from_pylist(rows, schema=EVENTS_SCHEMA)})
    # half of them are about today's very events
    given_ = [
        replace(
            verdict(number if number % 2 else number + 100, what, ""),
            start_seconds=float(start),
            stop_seconds=float(stop),
            decided_at=datetime(2026, 3, 3, 7, minute, tzinfo=UTC),
        )
        for number, (what, (start, stop), minute) in enumerate(said)
    ]
    add_verdicts(root, given_)
    found = query(root, "SELECT event_id, verdict FROM current_events").to_pylist()
    expected = verdicts_for(root, "site", rows)
    assert {row["event_id"]: row["verdict"] for row in found} == {
        row["event_id"]: expected[row["event_id"]].verdict
        if row["event_id"] in expected
        else None
        for row in rows
    }
    assert len(found) == len(rows)
