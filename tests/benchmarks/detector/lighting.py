"""Prints whether a bank for each light pays.

`python -m tests.benchmarks.detector.lighting --data DATA --cache DIR`

A camera is trained by day and by night (the corruption `night`) and tested by both. Either one model learns
from all of it, or each light has a model of its own, with a calibration of its own. `all`: every training
clip is there by day and by night; `shared out`: half of the clips by day, the others by night.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from anomaly.detectors import Detector, FitContext
from anomaly.scores import ScoreSpec
from anomaly.scores.fit import fit_model, score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.windows.bags import Bag
from tests.benchmarks.detector.measure import ALARMS_A_DAY, Bench, Candidate, judged_figure
from tests.benchmarks.detector.protocol import Clip, Fold, coffee_room, learnt_ranges, ped2

SCORES = ScoreSpec(alarms_per_camera_day=ALARMS_A_DAY)
CANDIDATE = Candidate.named("knn", "motion")
LIGHTS = ("", "night")
Lit = tuple[Clip, str]
Fitted = tuple[Detector, ScoreStages]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    options.add_argument("--sets", nargs="*", default=["ped2", "coffee room"])
    chosen = options.parse_args()
    folds = {"ped2": ped2(chosen.data), "coffee room": coffee_room(chosen.data)[1]}
    print("| set | training | models | day | night | both |")
    print("|---|---|---|---|---|---|")
    for name in chosen.sets:
        _rows(Bench(chosen.cache), name, folds[name].folds[0])


def _rows(bench: Bench, name: str, fold: Fold) -> None:
    clips = sorted(fold.train, key=lambda clip: str(clip.path))
    trainings = {
        "all": (clips, clips),
        "shared out": (clips[::2], clips[1::2]),
    }
    for training, (by_day, by_night) in trainings.items():
        lit = [[(clip, "") for clip in by_day], [(clip, "night") for clip in by_night]]
        joint = _fitted(bench, lit[0] + lit[1])
        models = {"one": [joint, joint], "one a light": [_fitted(bench, some) for some in lit]}
        for kind, of_light in models.items():
            scored = [
                _scored(bench, model, [(clip, light) for clip in fold.test])
                for model, light in zip(of_light, LIGHTS, strict=True)
            ]
            figures = [judged_figure(some) for some in (*scored, scored[0] + scored[1])]
            cells = " | ".join(f"{figure.value:.3f}" for figure in figures)
            print(f"| {name} | {training} | {kind} | {cells} |", flush=True)


def _fitted(bench: Bench, training: Sequence[Lit]) -> Fitted:
    bags = []
    for clip, light in training:
        bag, rows, _ = bench.bag(CANDIDATE, clip, light)
        ranges = learnt_ranges(clip, rows.index_T(), rows.seconds_T())
        bags.append(Bag(f"{bag.video} {light}", bag.camera, bag.sources, ranges))
    model = fit_model(CANDIDATE.make, bags, SCORES, FitContext(np.random.default_rng(0)))
    detector = CANDIDATE.make()
    detector.load_state(model.detector)
    return detector, ScoreStages.load(model.stages, SCORES)


def _scored(
    bench: Bench, model: Fitted, judged: Iterable[Lit]
) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for clip, light in judged:
        bag, rows, labels_T = bench.bag(CANDIDATE, clip, light)
        scores, _ = score_bag(model[0], bag, rows, model[1])
        found.append((labels_T, scores.score_T))
    return found


if __name__ == "__main__":
    main()
