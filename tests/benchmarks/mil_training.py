"""Training on labels of whole videos: the published batch, and one for two cores

As many videos as `fight` has (103 abnormal, 86 normal), vectors of 1,280 numbers as `mobilenetv2_100` gives
them; a step does not depend on what they are. Seconds of one core, since training uses one thread.
`small` is what `weak_labels` trains with: 8 segments, 8 + 8 videos, 20 epochs (`mil_ranking` 150). Of the
published presets a few steps were timed and the rest is reckoned: as many epochs as the preset has at
most; early stopping ends most sooner.
"""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import torch

from anomaly.detectors import detectors
from anomaly.detectors._mil import MilDetector
from anomaly.features import FeatureSpec
from anomaly.training.loop import Run, TrainingSpec, train
from anomaly.training.mil import balanced
from anomaly.training.seeding import seeded
from anomaly.video import PixelSpec
from tests.benchmarks.harness import Figure
from tests.benchmarks.weak_labels import SMALL, training

METHODS = ("mil_ranking", "rtfm", "bn_wvad", "ur_dmu", "gs_moe")
CLASSES = np.repeat([0, 1], [86, 103])
DIMENSION, TIMED_STEPS = 1280, 4
RECIPE = FeatureSpec(
    backbone="vectors", parameters={}, version=1, weights="", pixels=PixelSpec()
)
COMMAND = "python -m tests.benchmarks mil_training"


def measure() -> list[Figure]:
    """Return time of a step and of a whole training of each method, with both batches."""
    return [figure for name in METHODS for figure in _figures(name)]


def _figures(name: str) -> list[Figure]:
    presets = {
        "small": {**SMALL, "training": training(name)},
        "as published": {},
    }
    return [
        _figure(f"`{name}`, {title}", detectors().get(name).build(options, {"x": RECIPE}))
        for title, options in presets.items()
    ]


def _figure(title: str, detector: MilDetector) -> Figure:
    spec, segments = detector.parameters.training, detector.parameters.segments
    order = balanced(CLASSES, spec.batch)
    steps = len(list(order(np.random.default_rng(0))))
    seconds = _seconds_a_step(detector, segments, spec)
    whole = seconds * steps * spec.epochs
    in_words = f"{whole:.0f} s" if whole < 600 else f"{whole / 3600:.1f} h"
    return Figure(
        title,
        f"{segments} segments, {spec.batch // 2} + {spec.batch // 2} videos: {seconds:.2f} s a step; "
        f"{spec.epochs} epochs of {steps} steps: {in_words}",
        "",
        COMMAND,
    )


def _seconds_a_step(detector: MilDetector, segments: int, spec: TrainingSpec) -> float:
    """Return processor time of a step of training, the first one left out."""
    generator = np.random.default_rng(0)
    videos = generator.standard_normal((len(CLASSES), segments, DIMENSION), dtype=np.float32)
    began: list[float] = []

    def order(chance: np.random.Generator):
        drawn = balanced(CLASSES, spec.batch)(chance)
        for batch in islice(drawn, 1 + TIMED_STEPS):
            began.append(time.process_time())
            yield batch
        began.append(time.process_time())

    with seeded(0):
        network = detector.make_network(DIMENSION)
    once = TrainingSpec(
        epochs=1,
        batch=spec.batch,
        optimiser=spec.optimiser,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
    )
    with torch.random.fork_rng():
        train(
            network,
            detector._whole_loss,
            (videos, CLASSES),
            (videos[:0], CLASSES[:0]),
            once,
            Run(0),
            order=order,
        )
    return float(np.diff(began)[1:].mean())
