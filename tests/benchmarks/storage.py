"""What a camera-day costs in storage.

Features of the backbone `motion`, and score rows, scaled to 24 hours at 25 frames/s. Features grow
with what moves: footage that is busy from midnight to midnight is the worst case.
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.harness import Figure, anomaly, folder_bytes, shared, workplace

FRAMES_A_DAY = 25 * 86_400
ARCHIVES = {
    "ped2": "a busy walkway, 360x240",
    "coffeeroom": "a room with one person, 320x240",
    "highway": "a road with dense traffic, 320x240",
    "normal_misc": "roads, escalator, shop, parking, synthetic scenes",
}


def measure() -> list[Figure]:
    """Extract several archives and scale the bytes to a day."""
    figures = []
    for name, what in ARCHIVES.items():
        with workplace() as root:
            answer = anomaly("extract", shared(name), "--root", root).answer
        gigabytes = answer["bytes_written"] / answer["frames"] * FRAMES_A_DAY / 1e9
        figures.append(
            Figure(
                f"features of {what}",
                f"{gigabytes:.2f} GB",
                "under 3 GB",
                f"anomaly extract {name.upper()}",
            )
        )
    return [*figures, scores_of(shared("ped2"))]


def scores_of(archive: Path) -> Figure:
    """Return what score rows cost."""
    with workplace() as root:
        anomaly("train", archive, "--root", root, "--videos", "train/*")
        answer = anomaly("score", archive, "--root", root, "--videos", "train/*").answer
        bytes_a_row = folder_bytes(root / "scores") / answer["frames"]
    day = bytes_a_row * FRAMES_A_DAY / 1e6
    return Figure(
        "scores (small files; longer ones cost less)",
        f"{day:.0f} MB, {bytes_a_row:.1f} bytes a frame",
        "",
        "anomaly score PED2",
    )
