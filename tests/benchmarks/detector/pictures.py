"""Paints the picture of docs/detector.md from a synthetic archive: what each part says, where.

`python -m tests.benchmarks.detector.pictures --cache DIR --out docs/images/detector-parts.png`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from anomaly.detectors import Detector
from anomaly.video.synthetic import make_archive
from anomaly.windows.bags import Bag
from tests.benchmarks.detector.measure import Bench, Candidate
from tests.benchmarks.detector.protocol import Clip, Fold, synthetic_views

SHOWN = ("fast_mover", "left_object")
PARTS = ("motion", "static")
LOUD = 2.0
"""a cell is painted from this level on: one in a hundred stretches of normal video"""
PIXELS_A_CELL = 16


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cache", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    archive = chosen.cache / "synthetic-0"
    if not (archive / "labels.csv").exists():
        make_archive(archive, seed=0)
    bench, candidate = Bench(chosen.cache), Candidate.named("fused", *PARTS)
    trials = {trial.name: trial for trial in synthetic_views([archive])}
    rows = []
    for kind in SHOWN:
        trial = trials[f"synthetic {kind}"]
        clip, labels_T, scores, _ = bench.scored(candidate, trial)[0]
        frame = int(np.argmax(np.where(labels_T == 1, scores.score_T, -np.inf)))
        rows.append(_row(bench, candidate, trial.folds[0], clip, frame))
    cv2.imwrite(str(chosen.out), np.vstack(rows))


def _row(bench: Bench, candidate: Candidate, fold: Fold, clip: Clip, frame: int) -> np.ndarray:
    """Return the frame, and beside it the loud cells of each part."""
    pixels = candidate.inputs["motion"].pixels
    gray = bench.frames(clip.path, pixels)[0][frame, ..., 0]
    pictures = [gray[..., None].repeat(3, axis=2)]
    for part in PARTS:
        alone = Candidate.named("fused", part)
        detector = alone.make()
        detector.load_state(bench.model(alone, fold).detector)
        bag, _, _ = bench.bag(alone, clip)
        painted = pictures[0].copy()
        for row, column in _loud_cells(detector, bag, frame):
            top, left = (int((at - 0.5) * PIXELS_A_CELL) for at in (row, column))
            corner = left + PIXELS_A_CELL, top + PIXELS_A_CELL
            cv2.rectangle(painted, (left, top), corner, (0, 80, 255), -1)
        pictures.append(cv2.addWeighted(pictures[0], 0.55, painted, 0.45, 0))
    return np.hstack(pictures)


def _loud_cells(detector: Detector, bag: Bag, frame: int) -> np.ndarray:
    for block in detector.score(bag):
        rows, places, levels = block.cells
        if rows.size and rows[0] <= frame <= rows[-1]:
            return places[(rows == frame) & (levels >= LOUD)]
    return np.zeros((0, 2), np.int16)


if __name__ == "__main__":
    main()
