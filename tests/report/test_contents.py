"""Gathering a report's contents from the tables."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from anomaly.catalog import Catalog, LedgerRow
from anomaly.explain import publish_explanation
from anomaly.report.contents import MOST_DAYS, gather
from anomaly.scores.tables import iterate, merge_events
from anomaly.storage import open_root


def test_events_come_by_score_with_camera_and_local_time(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="Asia/Kolkata")
    scores = [event.row["score"] for event in contents.events]
    assert scores == sorted(scores, reverse=True)
    assert [event.rank for event in contents.events] == [1, 2, 3]
    assert contents.cameras == ("entrance", "loading-dock")
    assert contents.videos == 3
    assert contents.hours * 3600 == 42
    first = contents.events[0].local_start
    assert first is not None
    assert first.utcoffset() is not None
    assert str(first.tzinfo) == "Asia/Kolkata"


def test_fewer_events_can_be_shown_than_there_are(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="UTC", max_events=1)
    assert (len(contents.events), contents.events_in_all, len(contents.timelines)) == (1, 3, 1)


def test_another_archive_or_checkpoint_shows_nothing_of_this_one(scanned: Any) -> None:
    for archive, checkpoint in (("other", "knn-1"), ("site & co", "knn-2")):
        contents = gather(scanned.root, archive, checkpoint, time_zone="UTC")
        assert (contents.events, contents.videos, contents.evaluations) == ((), 0, ())


def test_days_count_videos_and_events_of_each_camera(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="UTC")
    assert [(day.date, day.camera, day.videos, day.events) for day in contents.days] == [
        ("2026-03-02", "entrance", 1, 1),
        ("2026-03-02", "loading-dock", 2, 2),
    ]


def test_videos_without_a_date_are_one_day_and_old_days_are_not_shown(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    dates = [f"2026-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]
    rows = [
        LedgerRow(
            uri=f"{date}.mp4", content="c", camera="gate", date=date, model_digest="m",
            n_frames=10, n_events=1,
        )
        for date in (*dates, "undated-3f", "undated-a0")
    ]  # fmt: skip
    Catalog(root, "site").record_scored("knn-1", rows)
    days = gather(root, "site", "knn-1", time_zone="UTC").days
    assert [day.date for day in days] == [*dates[-MOST_DAYS:], "undated"]
    assert (days[-1].videos, days[-1].events) == (2, 2)


def test_events_of_the_newest_days_are_shown_before_higher_ones_of_older_days(
    scanned: Any, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    day, table = next(iterate(root, "site & co", "knn-1", "events"))
    (like,) = table.to_pylist()
    rows = []
    for number, date in enumerate(["2026-03-03", "2026-03-04"], 1):
        row = {
            **like,
            "video": f"{date}.mp4",
            "event_id": f"{number:016x}",
            "score": 0.1 * number,
        }
        merge_events(
            root,
            replace(day, date=date),
            {f"{date}.mp4": table.from_pylist([row], table.schema)},
        )
        rows.append(
            LedgerRow(
                uri=f"{date}.mp4", content="c", camera=day.camera, date=date, model_digest="m",
                n_frames=10, n_events=1,
            )
        )  # fmt: skip
    Catalog(root, "site & co").record_scored("knn-1", rows)
    contents = gather(root, "site & co", "knn-1", time_zone="UTC", max_events=3)
    assert [(event.rank, event.date) for event in contents.events] == [
        (1, contents.events[0].date),
        (4, "2026-03-04"),
        (5, "2026-03-03"),
    ]
    assert contents.events[0].date == "2026-03-02"
    assert contents.events_in_all == 5


def test_an_event_has_its_explanation_as_long_as_its_scores_are_the_same(
    scanned: Any, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    first, *others = gather(root, "site & co", "knn-1", time_zone="UTC").events
    assert first.explanation is not None
    assert [event.explanation for event in others] == [None, None]
    publish_explanation(root, replace(first.explanation, scores_digest="of other scores"))
    assert gather(root, "site & co", "knn-1", time_zone="UTC").events[0].explanation is None


def test_whole_videos_are_offered_where_they_are_at_hand(scanned: Any, tmp_path: Path) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    events = gather(root, "site & co", "knn-1", time_zone="UTC").events
    assert {Path(unquote(event.original)).name for event in events} == {
        Path(file.location).name for file in scanned.files
    }
    catalog = Catalog(root, "site & co")
    gone = [replace(file, location=f"/nowhere/{file.uri}") for file in scanned.files]
    catalog.look(gone)
    events = gather(root, "site & co", "knn-1", time_zone="UTC").events
    assert [event.original for event in events] == ["", "", ""]
