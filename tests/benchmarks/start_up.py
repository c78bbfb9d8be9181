"""Start-up of the command line."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.harness import PROGRAM, Figure

REPEATS = 10


def measure() -> list[Figure]:
    """Time `--help`; the best of ten, and the worst."""
    figures = []
    for arguments in (["--help"], ["train", "--help"]):
        times = [timed(arguments) for _ in range(REPEATS)]
        command = f"anomaly {' '.join(arguments)}"
        figures.append(
            Figure(
                command,
                f"{min(times):.2f} s (worst {max(times):.2f} s)",
                "under 0.5 s",
                command,
            )
        )
    return figures


def timed(arguments: list[str]) -> float:
    """Return the seconds from start to end."""
    begun = time.perf_counter()
    subprocess.run([PROGRAM, *arguments], capture_output=True, check=True)
    return time.perf_counter() - begun
