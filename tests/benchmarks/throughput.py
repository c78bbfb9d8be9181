"""Frames per second, one worker.

The 16 training clips of Ped2 (360x240), whole stages and their floor: what decoding and optical
flow cost by themselves, without processes, hashing and storing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.benchmarks.harness import Figure, anomaly, shared, workplace

REPEATS = 3


def measure() -> list[Figure]:
    """Time decoding, motion and the whole extraction over the same frames."""
    videos = sorted((shared("ped2") / "train").glob("*.mp4"))
    decode_alone = best(lambda: sum(map(len, decoded(videos))))
    decode_child = best(lambda: through_child(videos))
    batches = [list(decoded([video])) for video in videos]
    motion_alone = best(lambda: sum(map(described, batches)))
    whole = best(lambda: extracted(videos))
    scored = best_of_scoring(shared("ped2"))
    floor = 1 / (1 / decode_alone + 1 / motion_alone)
    command = "python -m tests.benchmarks throughput"
    return [
        Figure("decode, in this process", f"{decode_alone:,.0f} frames/s", "", command),
        Figure(
            "decode, through the child process", f"{decode_child:,.0f} frames/s", "", command
        ),
        Figure("motion cells alone", f"{motion_alone:,.0f} frames/s", "", command),
        Figure(
            "floor: decode, then motion, on one core", f"{floor:,.0f} frames/s", "", command
        ),
        Figure("extraction end to end, one worker", f"{whole:,.0f} frames/s", "", command),
        Figure("its share of the floor", f"{100 * whole / floor:.0f} %", "", command),
        Figure(
            "scoring stored features, start-up included",
            f"{scored:,.0f} frames/s",
            "",
            "anomaly score PED2 --workers 1",
        ),
    ]


def best(work: Callable[[], int]) -> float:
    """Return frames per second of the best of some runs; others use the machine too."""
    fastest = 0.0
    for _ in range(REPEATS):
        begun = time.perf_counter()
        frames = work()
        fastest = max(fastest, frames / (time.perf_counter() - begun))
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


def extracted(videos: list[Path]) -> int:
    """Return how many frames were extracted into a fresh store."""
    from anomaly.fanout import one_by_one
    from anomaly.features import recipe
    from anomaly.verbs.extract import extract
    from anomaly.video import ArchiveSpec

    with workplace() as root:
        archive = ArchiveSpec(root=str(videos[0].parent))
        summary = extract(str(root), archive, [recipe("motion")], fan_out=one_by_one)
    return sum(outcome.frames for outcome in summary.outcomes)


def best_of_scoring(archive: Path) -> float:
    """Return frames per second of scoring, features being there."""
    with workplace() as root:
        trained = anomaly("train", archive, "--root", root, "--videos", "train/*")
        done = anomaly("score", archive, "--root", root, "--videos", "train/*", "--workers", 1,
                       "--checkpoint", trained.answer["checkpoint"])  # fmt: skip
    return done.answer["frames"] / done.seconds
