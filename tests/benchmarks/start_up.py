"""Start-up of the command line."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.harness import PROGRAM, Figure

REPEATS = 10


def measure() -> list[Figure]:
    """Time `--help`; the best of ten, and the worst."""
    times = [timed() for _ in range(REPEATS)]
    measured = f"{min(times):.2f} s (worst {max(times):.2f} s)"
    return [Figure("anomaly --help", measured, "under 0.5 s", "anomaly --help")]


def timed() -> float:
    """Return the seconds from start to end."""
    begun = time.perf_counter()
    subprocess.run([PROGRAM, "--help"], capture_output=True, check=True)
    return time.perf_counter() - begun
