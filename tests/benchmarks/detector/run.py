"""Prints the table of docs/detector.md: `python tests/benchmarks/detector/run.py --data ../shared/data`.

Pictures and features are kept under `--cache`, so that a second run only fits and scores. `--rows` takes
the beginnings of the names of the rows wanted.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import Bench, Candidate, judged_figure
from protocol import Trial, trials

from anomaly.video.synthetic import make_archive

CANDIDATES = (
    ("knn", ("motion",)),
    ("knn", ("static",)),
    ("fused", ("motion", "static")),
)
SYNTHETIC_SEEDS = (0, 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    options.add_argument("--rows", nargs="*", default=[""])
    options.add_argument("--candidates", nargs="*", default=[])
    options.add_argument("--seeds", type=int, default=1)
    chosen = options.parse_args()
    bench = Bench(chosen.cache)
    candidates = [
        candidate
        for detector, inputs in CANDIDATES
        if (candidate := Candidate.named(detector, *inputs)).name in chosen.candidates
        or not chosen.candidates
    ]
    print("| trial | frame index |", " | ".join(c.name for c in candidates), "|")
    print("|---|---|" + "---|" * len(candidates))
    for trial in trials(chosen.data, [_synthetic(chosen.cache, s) for s in SYNTHETIC_SEEDS]):
        if any(trial.name.startswith(beginning) for beginning in chosen.rows):
            figures = [_figure(bench, c, trial, chosen.seeds) for c in candidates]
            print(
                f"| {trial.name} | {_frame_index(trial)} |",
                " | ".join(figures),
                "|",
                flush=True,
            )


def _figure(bench: Bench, candidate: Candidate, trial: Trial, n_seeds: int) -> str:
    """Return the figure of the first seed, and how far the others lie about it."""
    figures = [bench.figure(replace(candidate, seed=seed), trial) for seed in range(n_seeds)]
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
