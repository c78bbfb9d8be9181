"""The catalog: what is new, what changed, what is gone; names of archives never mix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anomaly.catalog import Catalog, LedgerRow, archive_name
from anomaly.errors import SpecError
from anomaly.outcome import Outcome
from anomaly.storage import Root, open_root
from anomaly.video import VideoFile


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(str(tmp_path / "root"))


def file(uri: str, **changes: object) -> VideoFile:
    made = VideoFile(
        archive="a",
        uri=uri,
        location=f"/videos/{uri}",
        bytes=10,
        modified="1",
        camera="gate",
        start_time=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ledger_row(uri: str) -> LedgerRow:
    return LedgerRow(
        uri=uri, content="c", camera="gate", date="d", model_digest="m", n_frames=3, n_events=0
    )


def test_a_file_is_new_until_an_outcome_is_recorded(root: Root):
    catalog = Catalog(root, "a")
    assert catalog.look([file("x.mp4")])["x.mp4"].status == "found"
    catalog.record([Outcome(uri="x.mp4", status="ok", content="c")], {"c": {"n_frames": 7}})
    row = catalog.look([file("x.mp4")])["x.mp4"]
    assert (row.status, row.content, row.n_frames) == ("ok", "c", 7)


def test_a_changed_file_starts_again_as_found(root: Root):
    catalog = Catalog(root, "a")
    catalog.look([file("x.mp4")])
    catalog.record([Outcome(uri="x.mp4", status="quarantined", code="empty", message="m")], {})
    assert catalog.look([file("x.mp4")])["x.mp4"].status == "quarantined"
    assert catalog.look([file("x.mp4", modified="2")])["x.mp4"].status == "found"


def test_a_missing_file_is_kept_and_marked_and_comes_back(root: Root):
    catalog = Catalog(root, "a")
    catalog.look([file("x.mp4"), file("y.mp4")])
    catalog.record([Outcome(uri="x.mp4", status="ok", content="c")], {})
    assert set(catalog.look([file("y.mp4")])) == {"y.mp4"}
    assert not catalog.rows()["x.mp4"].present
    back = catalog.look([file("x.mp4"), file("y.mp4")])["x.mp4"]
    assert (back.present, back.status, back.content) == (True, "ok", "c")


def test_a_failed_outcome_leaves_the_row_to_be_tried_again(root: Root):
    catalog = Catalog(root, "a")
    catalog.look([file("x.mp4")])
    catalog.record([Outcome(uri="x.mp4", status="failed", code="network")], {})
    assert catalog.rows()["x.mp4"].status == "found"


def test_only_quarantined_files_are_freed(root: Root):
    catalog = Catalog(root, "a")
    catalog.look([file("x.mp4"), file("y.mp4")])
    catalog.record([Outcome(uri="x.mp4", status="quarantined", code="empty")], {})
    assert catalog.forget_quarantine(["x.mp4", "y.mp4", "z.mp4"]) == ["x.mp4"]
    assert catalog.rows()["x.mp4"].status == "found"


def test_the_ledger_replaces_rows_and_drops_removed_ones(root: Root):
    catalog = Catalog(root, "a")
    catalog.record_scored("k", [ledger_row("x"), ledger_row("y")])
    catalog.record_scored("k", [replace(ledger_row("x"), n_frames=9)], removed=["y", "x"])
    assert {uri: row.n_frames for uri, row in catalog.scored("k").items()} == {"x": 9}


def test_two_archives_of_one_name_get_two_names(root: Root):
    assert archive_name(root, "/a/videos", "") == "videos"
    assert archive_name(root, "/b/videos", "") == "videos-2"
    assert archive_name(root, "/b/videos", "") == "videos-2"


def test_a_name_asked_for_cannot_be_anothers(root: Root):
    archive_name(root, "/a/videos", "gate")
    assert archive_name(root, "/a/videos", "") == "gate"
    with pytest.raises(SpecError, match=r"'gate' belongs to '/a/videos'"):
        archive_name(root, "/b/videos", "gate")
