"""The second night over 1,000 unchanged files.

1,000 clips of 12 frames; the first night scores them, the second finds nothing new. Start-up is the
time of the same command over an archive with one of these files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.benchmarks.harness import Done, Figure, anomaly, workplace

FILES = 1000
CAMERAS = 4
REPEATS = 6


def measure() -> list[Figure]:
    """Run two nights over a large archive, two over a tiny one, and compare the second ones."""
    with workplace() as folder:
        make_archive(folder / "many", FILES)
        make_archive(folder / "one", 1)
        few = [
            part
            for camera in range(CAMERAS)
            for part in ("--videos", f"camera-{camera}/0000?.mp4")
        ]
        many = folder / "many-root"
        anomaly("train", folder / "many", "--root", many, *few)
        first = anomaly("nightly", folder / "many", "--root", many)
        second = best_of(folder / "many", many)
        one = folder / "one-root"
        anomaly("train", folder / "one", "--root", one)
        anomaly("nightly", folder / "one", "--root", one)
        start_up = best_of(folder / "one", one)
    command = "anomaly nightly ARCHIVE"
    wall = 1000 * (second.seconds - start_up.seconds) / (FILES - 1)
    cpu = 1000 * (second.cpu_seconds - start_up.cpu_seconds) / (FILES - 1)
    return [
        Figure("first night: files scored", str(first.answer["scored"]), "", command),
        Figure("first night", first.times, "", command),
        Figure(
            "second night: new, scored",
            f"{second.answer['new']}, {second.answer['scored']}",
            "0, 0",
            command,
        ),
        Figure("second night", second.times, "", command),
        Figure("start-up (archive of one file)", start_up.times, "", command),
        Figure(
            "a file beyond start-up",
            f"{wall:.2f} ms ({cpu:.2f} ms of one core)",
            "under 1 ms",
            command,
        ),
    ]


def best_of(archive: Path, root: Path) -> Done:
    """Return the shortest of some nights with nothing new."""
    nights = [anomaly("nightly", archive, "--root", root) for _ in range(REPEATS)]
    return min(nights, key=lambda night: night.seconds)


def make_archive(folder: Path, files: int) -> None:
    """Write small clips of a square that moves over noise; no two are alike."""
    from anomaly.video.encode import write_video

    for number in range(files):
        path = folder / f"camera-{number % CAMERAS}" / f"{number // CAMERAS:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(number)
        picture = generator.integers(60, 180, (64, 96, 3), dtype=np.uint8)
        pictures = []
        for frame in range(12):
            moved = picture.copy()
            moved[24:40, 4 + 5 * frame : 20 + 5 * frame] = 230
            pictures.append(moved)
        write_video(path, pictures, 12)
