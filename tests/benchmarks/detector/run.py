"""Prints the table of docs/detector.md: `python -m tests.benchmarks.detector.run`.

Pictures and features are kept under `--cache`, so that a second run only fits and scores. `--rows` takes
globs of the names of the rows wanted.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from anomaly.detectors import DEFAULT, detectors
from anomaly.errors import StoreError
from anomaly.features.backbones import backbones
from anomaly.video.synthetic import make_archive
from tests.benchmarks.detector.measure import Bench, Candidate, judged_figure
from tests.benchmarks.detector.protocol import Trial, trials

CANDIDATES = (
    ("knn", ("motion",)),
    ("knn", ("static",)),
    ("knn", ("trail",)),
    ("knn", ("appearance",)),
    ("default", detectors().get(DEFAULT).backbones),
)
SYNTHETIC_SEEDS = (0, 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    options.add_argument("--rows", nargs="*", default=["*"])
    options.add_argument("--candidates", nargs="*", default=[])
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--weights", type=Path, help="of mobilenetv2_100, for `timm_cells`")
    chosen = options.parse_args()
    bench = Bench(chosen.cache)
    candidates = [Candidate.named(detector, *inputs) for detector, inputs in CANDIDATES]
    if chosen.weights:
        candidates.append(_with_weights(chosen.weights))
    if chosen.candidates:
        candidates = [one for one in candidates if one.name in chosen.candidates]
    print("| trial | frame index |", " | ".join(c.name for c in candidates), "|")
    print("|---|---|" + "---|" * len(candidates))
    for trial in trials(chosen.data, [_synthetic(chosen.cache, s) for s in SYNTHETIC_SEEDS]):
        if any(fnmatch(trial.name, glob) for glob in chosen.rows):
            figures = [_figure(bench, c, trial, chosen.seeds) for c in candidates]
            print(
                f"| {trial.name} | {_frame_index(trial)} |",
                " | ".join(figures),
                "|",
                flush=True,
            )


def _with_weights(path: Path) -> Candidate:
    options = {"weights": str(path), "model_args": {"pad_type": "same"}}
    backbone = backbones().get("timm_cells").build(options)
    return Candidate("knn timm_cells", "knn", {"timm_cells": backbone})


def _figure(bench: Bench, candidate: Candidate, trial: Trial, n_seeds: int) -> str:
    """Return the figure of the first seed, and how far the others lie about it."""
    try:
        figures = [
            bench.figure(replace(candidate, seed=seed), trial) for seed in range(n_seeds)
        ]
    except StoreError:
        return "too little to learn from"
    spread = f" sd {np.std([f.value for f in figures]):.3f}" if n_seeds > 1 else ""
    return f"{figures[0]}{spread}"


def _frame_index(trial: Trial) -> str:
    """Return what the number of the frame gets by itself: a trap for clips that end badly."""
    if trial.counts_alarms:
        return ""
    labels = [clip.labels_T for fold in trial.folds for clip in fold.test]
    numbered = ((label_T, np.arange(len(label_T), dtype=float)) for label_T in labels)
    return f"{judged_figure(numbered).value:.3f}"


def _synthetic(cache: Path, seed: int) -> Path:
    folder = cache / f"synthetic-{seed}"
    if not (folder / "labels.csv").exists():
        make_archive(folder, seed=seed)
    return folder


if __name__ == "__main__":
    main()
