"""The tables as a state machine: whatever is merged, in whatever order, by however many."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from anomaly.scores import FrameScores
from anomaly.scores.tables import (
    Partition,
    merge_scores,
    read_scores,
    score_rows,
    stored_videos,
)
from anomaly.storage import open_root
from anomaly.video import VideoFile

VIDEOS = ["a.mp4", "b b.mp4", "é/ü.mp4", "z"]
DAYS = ["2026-03-01", "undated-0f"]


def day(date: str) -> Partition:
    return Partition(archive="a", checkpoint="c", camera="door", date=date)


def rows(uri: str, version: int, frames: int | None = None) -> pa.Table:
    """Return rows that all carry the version, so that a mixture of two can be seen."""
    value_T = np.full(frames or 3 + version % 4, float(version))
    scores = FrameScores(value_T, value_T, value_T > -1, np.arange(len(value_T)) / 25)
    file = VideoFile(
        archive="a",
        uri=uri,
        location=uri,
        bytes=1,
        modified="",
        camera="door",
        start_time=None,
    )
    return score_rows(file, f"{version:032x}", scores, "door")


class Tables(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = open_root(self.folder.name)
        self.model: dict[str, dict[str, pa.Table]] = {date: {} for date in DAYS}

    @rule(
        date=st.sampled_from(DAYS),
        versions=st.dictionaries(st.sampled_from(VIDEOS), st.integers(0, 9)),
        remove=st.sets(st.sampled_from(VIDEOS)),
    )
    def merge(self, date, versions, remove) -> None:
        tables = {video: rows(video, version) for video, version in versions.items()}
        merge_scores(self.root, day(date), tables, remove)
        for video in remove:
            self.model[date].pop(video, None)
        self.model[date].update(tables)

    @invariant()
    def the_tables_hold_what_was_merged(self) -> None:
        expected = [
            self.model[date][video]
            for date in sorted(DAYS)
            for video in sorted(self.model[date])
        ]
        found = read_scores(self.root, "a", "c")
        assert found.to_pylist() == [row for table in expected for row in table.to_pylist()]
        for date in DAYS:
            stored = stored_videos(self.root, day(date))
            assert {video: one.rows for video, one in stored.items()} == {
                video: table.num_rows for video, table in self.model[date].items()
            }

    def teardown(self) -> None:
        self.folder.cleanup()


TestTables = Tables.TestCase
TestTables.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


def write_many(url: str, prefix: str, count: int) -> None:
    root = open_root(url)
    for number in range(count):
        video = f"{prefix}{number}"
        merge_scores(
            root, day(DAYS[0]), {video: rows(video, number), "shared": rows("shared", number)}
        )


def test_two_processes_that_merge_at_once_lose_nothing_and_readers_see_whole_videos(
    tmp_path: Path,
) -> None:
    root = open_root(str(tmp_path))
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(root.url, name, 25)) for name in "xy"]
    for writer in writers:
        writer.start()
    polls = 0
    while any(writer.is_alive() for writer in writers):
        table = read_scores(root, "a", "c", columns=["video", "score"])
        for video in set(table["video"].to_pylist()):
            scores = table.filter(pa.compute.equal(table["video"], video))["score"].to_pylist()
            assert len(set(scores)) == 1, f"{video} is a mixture"
            assert len(scores) == 3 + int(scores[0]) % 4, f"{video} is not whole"
        polls += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert polls > 3
    expected = {f"{name}{number}" for name in "xy" for number in range(25)} | {"shared"}
    assert set(stored_videos(root, day(DAYS[0]))) == expected
