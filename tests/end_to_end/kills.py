"""Kill -9 in the middle of the work, at seeded moments, while somebody reads the tables."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import pyarrow.parquet as pq

from tests.end_to_end.roots import FRAMES, ONE_CAMERA, PREDICTOR
from tests.end_to_end.story import (
    MANY_EVENTS,
    NAMES,
    NORMAL,
    Command,
    anomaly,
    copy_of,
    differences,
    stored,
)

_ORPHANS_SECONDS = 20.0
_COUNTS = """
SELECT archive, checkpoint, video, count(*), min(frame), max(frame) + 1, count(DISTINCT content)
FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false) GROUP BY ALL
"""


class Reader:
    """Reads the score table of a root again and again, as a dashboard would, until told to stop."""

    def __init__(self, root: Path, frames: int) -> None:
        self.root, self.frames = root, frames
        self.polls = 0
        self.complaints: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            try:
                self._poll()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shall show it
                self.complaints.append(repr(error))

    def _poll(self) -> None:
        files = sorted((self.root / "scores").glob("*/*/*/*/*.parquet"))
        for file in files:
            pq.read_metadata(file)
        if files:
            with duckdb.connect(config={"threads": 1}) as connection:
                rows = connection.execute(_COUNTS, [[str(file) for file in files]]).fetchall()
            self.complaints += [str(row) for row in rows if not self._is_whole(row)]
        self.polls += 1

    def _is_whole(self, row: tuple[str, str, str, int, int, int, int]) -> bool:
        return row[3:] == (self.frames, 0, self.frames, 1)


def files_in(root: Path) -> int:
    """Return how many files a root holds, half-written ones and locks counted."""
    return sum(len(names) for _, _, names in os.walk(root))


def kill_midway(arguments: Sequence[str], root: Path, seed: int, new_files: int) -> list[str]:
    """Run a command and kill -9 its main process somewhere on the way; return what outlives it.

    It is killed a few milliseconds after it has put down so and so many of the `new_files` that an
    undisturbed run would.
    """
    generator = np.random.default_rng(seed)
    wanted = files_in(root) + int(generator.integers(0, max(1, new_files)))
    command = Command(tuple(arguments), {"ANOMALY_WORKERS": "2"})
    while command.process.poll() is None and files_in(root) < wanted:
        time.sleep(0.002)
    time.sleep(float(generator.uniform(0, 0.03)))
    command.process.kill()
    command.process.wait()
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while (orphans := command.family()) and time.monotonic() < deadline:
        time.sleep(0.05)
    described = [f"orphan {one.pid}: {' '.join(one.cmdline())}" for one in orphans]
    command.close()
    return described


@dataclass(frozen=True)
class Stage:
    """One stage of the work: names of the fixtures around it, and the command."""

    archive: str
    before: str
    """root that it starts from; none at all when empty"""
    after: str
    """root that an undisturbed run, one video after the other, leaves"""
    command: tuple[str, ...]

    def arguments(self, archive: Path, root: Path) -> tuple[str, ...]:
        """Return the command line."""
        verb, *options = self.command
        return (verb, str(archive), "--root", str(root), *NAMES, *options)


STAGES = {
    "extract": Stage("campus", "", "extracted", ("extract", "--backbone", "motion")),
    "train a bank": Stage(
        "campus",
        "extracted",
        "trained",
        ("train", "--videos", NORMAL, "--detector", "knn", "--into", "knn", *MANY_EVENTS),
    ),
    "train a network": Stage(
        "campus",
        "extracted",
        "foreseen",
        (
            *("train", "--videos", ONE_CAMERA),
            *("--detector", "predictor", "--into", "predictor"),
            *(f"--detector-option={key}={json.dumps(v)}" for key, v in PREDICTOR.items()),
            *MANY_EVENTS,
        ),
    ),
    "score": Stage("campus", "trained", "scored", ("score",)),
    "publish": Stage("diary", "blank_diary", "written_diary", ("score",)),
    "nightly": Stage("campus", "bare", "scored", ("nightly",)),
}


def troubles_after_a_kill(
    stage: Stage, fixture: Callable[[str], Path], folder: Path, *, seed: int
) -> list[str]:
    """Kill a stage on its way and run it again; return all that differs from an undisturbed run."""
    archive, reference = fixture(stage.archive), stored(fixture(stage.after))
    root = copy_of(fixture(stage.before), folder) if stage.before else folder / "root"
    arguments = stage.arguments(archive, root)
    with Reader(root, FRAMES[stage.archive]) as reader:
        orphans = kill_midway(arguments, root, seed, len(reference) - len(stored(root)))
        again = anomaly(*arguments)
    failure = [] if again.status == 0 else [f"status {again.status}: {again.err}"]
    unread = [] if reader.polls else ["nobody could read the tables"]
    changed = differences(stored(root), reference)
    return [*orphans, *failure, *reader.complaints, *unread, *changed]
