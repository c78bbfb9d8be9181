"""Prints what memory across files is good for.

`python -m tests.benchmarks.detector.memory --data DATA --cache DIR`

Clips in which a thing is left are cut in two files some seconds after it was put down. In the second file
it stands from the first frame on: without memory it is background. Judged is the second file against the
clip before the thing came, by micro AUC of the age of the oldest thing that rests.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly.features import Earlier, FeatureBlock, concatenate
from anomaly.features.backbones.static import Static, StaticParameters
from anomaly.video import FrameBatch
from anomaly.video.synthetic import make_archive
from anomaly.windows.bags import MemorySource
from anomaly.windows.memory import Recalling
from tests.benchmarks.detector.domain import measured
from tests.benchmarks.detector.measure import BATCH, Bench, judged_figure
from tests.benchmarks.detector.protocol import clips

SYNTHETIC_SEEDS = range(2)
CUT_SECONDS = 4.0
"""how long after the thing was put down the first file ends"""
FIRST_SECONDS = 6.0
"""of the second file: memory speaks from five seconds on"""


@dataclass(frozen=True)
class Film:
    """One clip with a thing left in it."""

    name: str
    path: Path
    left_frame: int
    n_normal: int
    """frames at its beginning in which nothing is out of the ordinary"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    chosen = options.parse_args()
    bench = Bench(chosen.cache)
    print("| clip | seconds before, after the cut | without memory | with memory |")
    print("|---|---|---|---|")
    for film in _films(chosen.data, chosen.cache):
        print(_row(bench, film), flush=True)


def _films(data: Path, cache: Path) -> Iterator[Film]:
    yield Film("aboda, left bag", data / "aboda/video4.avi", 400, 380)
    for seed in SYNTHETIC_SEEDS:
        archive = cache / f"synthetic-{seed}"
        if not (archive / "labels.csv").exists():
            make_archive(archive, seed=seed)
        for clip in clips(archive):
            for one in clip.truth.intervals:
                if one.category == "left_object":
                    name = f"synthetic {seed}, {clip.path.parent.name}"
                    yield Film(name, clip.path, one.start, one.start)


def _row(bench: Bench, film: Film) -> str:
    frames, seconds_T = bench.frames(film.path, Static(StaticParameters()).pixels)
    cut = int(np.searchsorted(seconds_T, seconds_T[film.left_frame] + CUT_SECONDS))
    before, after = frames[:cut], frames[cut:]
    start = float(seconds_T[cut])
    own, picture = (
        _static(after, seconds_T[cut:] - start),
        measured(after, seconds_T[cut:] - start),
    )
    earlier = Earlier(-start, measured(before, seconds_T[:cut]))
    recalled = Static.recall(StaticParameters(), picture, [earlier])
    remembering = own if recalled is None else _read(Recalling(MemorySource(own), recalled))
    normal_T = _oldest(_static(before, seconds_T[:cut]))[: film.n_normal]
    judged_T = own.seconds_T >= FIRST_SECONDS
    figures = [
        judged_figure(
            [
                (np.zeros(len(normal_T), int), normal_T),
                (np.ones(int(judged_T.sum()), int), _oldest(block)[judged_T]),
            ]
        )
        for block in (own, remembering)
    ]
    cells = [f"{figure.value:.3f}" for figure in figures]
    return f"| {film.name} | {start:.0f}, {own.seconds_T[-1]:.0f} | {' | '.join(cells)} |"


def _static(frames: np.ndarray, seconds_T: np.ndarray) -> FeatureBlock:
    index = np.arange(len(frames))
    batches = (
        FrameBatch(frames[a : a + BATCH], index[a : a + BATCH], seconds_T[a : a + BATCH])
        for a in range(0, len(frames), BATCH)
    )
    return concatenate(list(Static(StaticParameters()).extract(batches)))


def _read(source: Recalling) -> FeatureBlock:
    return source.read(0, source.n_rows)


def _oldest(block: FeatureBlock) -> np.ndarray:
    """Return the age of the oldest thing that rests in each row."""
    return block.max_over_cells(block.values_ND[:, 0])


if __name__ == "__main__":
    main()
