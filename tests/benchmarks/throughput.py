"""Frames a second of one core.

Frames over processor time, that of child processes counted, so that the figures hardly change when
others use the machine; everything runs on one core, since threads that wait for each other on two
cost a fifth more. The 16 training clips of Ped2 (360x240, 10 frames/s). The floor is what decoding and
optical flow cost by themselves, without child process, hashing and storing. The start of a command is left
out: it is in the time of one clip as in that of all. Of faster video `static` looks at eight frames a
second, `trail` and `appearance` at sixteen at most, so they cost less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.benchmarks.accuracy import RECIPE
from tests.benchmarks.harness import (
    Done,
    Figure,
    anomaly,
    children_cpu_seconds,
    shared,
    workplace,
)

REPEATS = 3
SETS = {
    ("motion",): "",
    ("motion", "static"): "at least 300 frames/s",
    ("motion", "static", "trail"): "",
    ("motion", "static", "appearance"): "at least 150 frames/s",
}
"""backbones that are extracted together: what is asked of them"""
ONE = ("--workers", 1)
ALL, FIRST, OTHERS = "train/*", "train/01.mp4", "train/[!0]*"


def measure() -> list[Figure]:
    """Time decoding, motion and the whole extraction over the same frames, on one core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(mine)})
    try:
        return _measured()
    finally:
        os.sched_setaffinity(0, mine)


def _measured() -> list[Figure]:
    videos = sorted((shared("ped2") / "train").glob("*.mp4"))
    decode_alone = best(lambda: sum(map(len, decoded(videos))))
    decode_child = best(lambda: through_child(videos))
    batches = [list(decoded([video])) for video in videos]
    motion_alone = best(lambda: sum(map(described, batches)))
    whole = {names: extracted(shared("ped2"), names) for names in SETS}
    floor = 1 / (1 / decode_alone + 1 / motion_alone)
    here = "python -m tests.benchmarks throughput"
    extract, score = "anomaly extract PED2 --workers 1", "anomaly score PED2 --workers 1"
    return [
        Figure("decode, in this process", f"{decode_alone:,.0f} frames/s", "", here),
        Figure("decode, in the child process", f"{decode_child:,.0f} frames/s", "", here),
        Figure("motion cells alone", f"{motion_alone:,.0f} frames/s", "", here),
        Figure("floor: decode and motion cells", f"{floor:,.0f} frames/s", "", here),
        *(
            Figure(
                f"extraction end to end: {', '.join(names)}",
                f"{rate:,.0f} frames/s",
                SETS[names],
                " ".join([extract, *(f"--backbone {name}" for name in names)]),
            )
            for names, rate in whole.items()
        ),
        Figure(
            "share of the floor: motion",
            f"{100 * whole['motion',] / floor:.0f} %",
            "",
            extract,
        ),
        Figure(
            "scoring stored features",
            f"{scored(shared('ped2')):,.0f} frames/s",
            "",
            score,
        ),
    ]


def best(work: Callable[[], int]) -> float:
    """Return frames per second of processor time, the best of some runs."""
    fastest = 0.0
    for _ in range(REPEATS):
        begun = time.process_time() + children_cpu_seconds()
        frames = work()
        fastest = max(fastest, frames / (time.process_time() + children_cpu_seconds() - begun))
    return fastest


def decoded(videos: Iterable[Path]) -> Iterable:
    """Yield all batches, decoded in this process."""
    from anomaly.features import recipe
    from anomaly.video.decoders import decoders

    pixels = recipe("motion").pixels
    for video in videos:
        yield from decoders().get("pyav")().frames(video, pixels, 32)


def described(batches: list) -> int:
    """Return how many frames `motion` described."""
    from anomaly.features.backbones import backbones

    return sum(map(len, backbones().get("motion").build({}).extract(iter(batches))))


def through_child(videos: list[Path]) -> int:
    """Return how many frames came through a decode process."""
    from anomaly.features import recipe
    from anomaly.video.decode import DecodeProcess

    pixels = recipe("motion").pixels
    with DecodeProcess() as process:
        return sum(
            process.decode(video, "file", pixels, lambda stream: sum(map(len, stream)))
            for video in videos
        )


def extracted(archive: Path, names: Sequence[str]) -> float:
    """Return frames per second of processor time of an extraction by some backbones."""
    backbones = [part for name in names for part in ("--backbone", name)]

    def run(*more: str) -> Done:
        with workplace() as root:
            return anomaly("extract", archive, "--root", root, *backbones, *ONE, *more)

    return _beyond_start_up(run("--videos", FIRST), run("--videos", ALL))


def scored(archive: Path) -> float:
    """Return frames per second of processor time of scoring stored features."""
    with workplace() as root:
        anomaly("train", archive, "--root", root, *RECIPE, *ONE, "--videos", ALL)
        runs = [
            anomaly("score", archive, "--root", root, *ONE, "--videos", videos)
            for videos in (FIRST, OTHERS)
        ]
    return _beyond_start_up(*runs)


def _beyond_start_up(small: Done, large: Done) -> float:
    """Return frames per second of processor time, what both commands took to begin left out."""
    frames = large.answer["frames"] - small.answer["frames"]
    return frames / (large.cpu_seconds - small.cpu_seconds)
