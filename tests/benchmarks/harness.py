"""What every benchmark shares: rows of a table, a place to work in, the command line as a user runs it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
PROGRAM = Path(sys.executable).parent / "anomaly"
ODD_STATUS = 3
"""of the command line: done, and some videos gave nothing"""


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, what came out, what was asked for, by which command."""

    what: str
    measured: str
    goal: str = ""
    command: str = ""


class MissingDataError(Exception):
    """The real videos that a benchmark needs are not beside this checkout."""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    answer: Any
    seconds: float
    cpu_seconds: float
    """of all its processes; hardly changes when others use the machine too"""

    @property
    def times(self) -> str:
        """Both times in words."""
        return in_words(self.seconds, self.cpu_seconds)


def shared(name: str) -> Path:
    """Return a folder of the real videos."""
    folder = SHARED_DATA / name
    if not folder.is_dir():
        raise MissingDataError(f"../shared/data/{name} is missing")
    return folder


def anomaly(*arguments: object) -> Done:
    """Run the command line with `--json` and time it from outside, start-up included."""
    before, begun = children_cpu_seconds(), time.perf_counter()
    done = subprocess.run(
        [PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode not in {0, ODD_STATUS}:
        raise RuntimeError(f"anomaly {arguments[0]} failed: {done.stderr[-2000:]}")
    return Done(json.loads(done.stdout), seconds, children_cpu_seconds() - before)


def in_words(seconds: float, cpu_seconds: float) -> str:
    """Return wall time and processor time as a cell of a table."""
    return f"{seconds:.1f} s ({cpu_seconds:.1f} s of one core)"


def children_cpu_seconds() -> float:
    """Return the processor time of all ended child processes, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Yield a fresh folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="anomaly-bench-") as folder:
        yield Path(folder)


def globs(names: list[str]) -> list[str]:
    """Return the options that choose exactly these videos."""
    return [part for name in names for part in ("--videos", name)]


def auc(answer: dict[str, Any]) -> str:
    """Return the micro AUC of an evaluation with its interval, in percent."""
    low, high = answer["frame_auc_micro_interval"]
    return f"{100 * answer['frame_auc_micro']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def read_labels(path: Path) -> list[dict[str, str]]:
    """Return the rows of a label file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_labels(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as a label file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def cores() -> int:
    """Return how many cores this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
