"""The command line as people run it: a process of its own, its three outlets, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PATTERN = r"(?P<camera>[a-z]+)/(?P<time>\d{8}_\d{6})\.mp4"
NAMES = ("--pattern", PATTERN, "--time-zone", "Europe/Rome")
"""options that read camera and start time from the names of our archives"""
NORMAL = "*/20260301_*"
"""glob of the first day, on which nothing happens"""
MANY_EVENTS = ("--alarms-per-camera-day", "50000")
"""a budget so large that archives of seconds have events"""
_COMMAND = str(Path(sys.executable).with_name("anomaly"))
_MARK = "ANOMALY_TEST_RUN"
_STORED = ("features", "checkpoints", "scores", "events", "media")


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be one JSON value and nothing else."""
        return json.loads(self.out)


@dataclass
class Command:
    """A run of the command line; its whole family of processes can be found."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [_COMMAND, *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            # One, where a test says nothing else: two halves of the suite share the cores.
            env={**os.environ, "ANOMALY_WORKERS": "1", **self.environment, _MARK: self.mark},
        )

    def answer(self) -> Answer:
        """Wait for the end."""
        out, err = self.process.communicate()
        return Answer(self.process.returncode, out, err)

    def close(self) -> None:
        """Let go of the outlets of a command that has been killed."""
        for outlet in (self.process.stdout, self.process.stderr):
            if outlet is not None:
                outlet.close()

    def family(self) -> list[psutil.Process]:
        """Return every living process that came from this run, orphans too."""
        return [one for one in psutil.process_iter() if _marked(one) == self.mark]


def _marked(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get(_MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None


def anomaly(*arguments: str | Path, **environment: str) -> Answer:
    """Run the command line to its end."""
    return Command(tuple(map(str, arguments)), environment).answer()


def done(*arguments: str | Path, **environment: str) -> Any:
    """Run the command line with --json, expect success, return what it printed."""
    answer = anomaly(*arguments, "--json", **environment)
    assert answer.status == 0, answer.err
    return answer.json


def stored(root: Path, *folders: str) -> dict[str, bytes]:
    """Return everything that a root promises to hold to the byte, by key.

    The moment of writing and the writer's token are the only things that may differ.
    """
    return {
        path.relative_to(root).as_posix(): _timeless(path)
        for folder in folders or _STORED
        for path in _files(root / folder)
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            yield path


def _timeless(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name != "zarr.json":
        return data
    metadata = json.loads(data)
    for key in ("written_at", "writer"):
        metadata["attributes"].pop(key, None)
    return json.dumps(metadata, sort_keys=True).encode()


def differences(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    """Return the keys that are missing, too many or of other bytes."""
    return sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))


def copy_of(root: Path, folder: Path) -> Path:
    """Return a copy of a root in a new folder, for a test that changes it."""
    copy = folder / "root"
    shutil.copytree(root, copy)
    return copy
