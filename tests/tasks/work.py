"""What the tests of the fan-out let it do; a light module, for every process imports it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from anomaly.errors import StoreError, TransientError
from anomaly.outcome import Outcome


def square(number: int) -> int:
    return number * number


def try_counted(folder: str) -> int:
    """Fail for a passing reason on the first two tries."""
    tries = len(list(Path(folder).iterdir()))
    (Path(folder) / str(tries)).touch()
    if tries < 2:
        raise TransientError("the network was away")
    return tries


def refuse(folder: str) -> int:
    (Path(folder) / str(len(list(Path(folder).iterdir())))).touch()
    raise StoreError("the disk is full")


def die_once(marker: str) -> str:
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def judge(uri: str) -> Outcome:
    bad = {"bad": "quarantined", "lost": "failed"}
    return Outcome(uri=uri, status=bad.get(uri, "ok"), code="no_stream")


def process_of(item: int) -> int:
    return os.getpid()
