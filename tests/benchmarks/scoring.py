"""Scoring stored vectors of 512 dimensions

A video of 1,000,000 frames, a vector of 512 numbers each, in the store. Frames over processor time of one
core; the share is of the speed of reading the same features and doing nothing. Random vectors with a
spectrum like that of real ones; every detector with its defaults, fitted on 20,000 others (networks for one
epoch). Slow detectors score the first part of the video.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.detectors import Detector, FitContext, detectors
from anomaly.features import FeatureSpec, vector_block
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.storage import open_root
from anomaly.video import PixelSpec, Video
from anomaly.video.decode import DecodeReport
from anomaly.windows.bags import Bag
from tests.benchmarks.harness import Figure, workplace

FRAMES, DIMENSION, BLOCK, LEARNT = 1_000_000, 512, 10_000, 20_000
SECONDS = 8.0
"""processor time after which a detector need not score on"""
RECIPE = FeatureSpec(
    backbone="vectors", parameters={}, version=1, weights="", pixels=PixelSpec()
)
QUICK = {"training": {"epochs": 1}}
DETECTORS: tuple[tuple[str, dict[str, object]], ...] = (
    ("gaussian", {}),
    ("gaussian", {"components": "npca"}),
    ("cell_gaussian", {}),
    ("knn", {}),
    ("gmm", {}),
    ("isolation_forest", {}),
    ("predictor", QUICK),
    ("lstm_autoencoder", QUICK),
    ("memory_autoencoder", QUICK),
    ("mulde", QUICK),
)
COMMAND = "python -m tests.benchmarks scoring"


def measure() -> list[Figure]:
    """Return frames a second of reading, and of scoring by each one-class detector."""
    with workplace() as folder:
        group = _stored(folder)
        bag = Bag("v", "c", {"features": group})
        reading = _rate(bag.blocks("features"), len)
        rows = [Figure("reading", f"{reading:,.0f} frames/s", "", COMMAND)]
        for name, options in DETECTORS:
            detector = _fitted(name, options, bag)
            next(detector.score(bag))  # torch takes seconds to start
            rate = _rate(detector.score(bag), lambda scores: len(scores.rows_NL))
            title = " ".join(
                [name, *(f"{k}={v}" for k, v in options.items() if k != "training")]
            )
            measured = f"{rate:,.0f} frames/s, {rate / reading:.2f} of reading"
            goal = "0.5 of reading" if name == "gaussian" else ""
            rows.append(Figure(f"`{title}`", measured, goal, COMMAND))
        return rows


def _stored(folder: Path) -> FeatureGroup:
    writer = FeatureStore(open_root(str(folder))).writer(RECIPE, "content")
    generator = np.random.default_rng(0)
    mixing_DD = generator.standard_normal((DIMENSION, DIMENSION)) / np.sqrt(
        np.arange(1, DIMENSION + 1)
    )
    values_ND = (generator.standard_normal((BLOCK, DIMENSION)) @ mixing_DD.T).astype(np.float32)
    for start in range(0, FRAMES, BLOCK):
        index = np.arange(start, start + BLOCK)
        rolled_ND = np.roll(values_ND, start // BLOCK, axis=0)
        writer.append(vector_block(index, index / 25, rolled_ND))
    video = Video(n_frames=FRAMES, rate=Fraction(25), height=1, width=1, codec="-", rotation=0)
    return writer.close(
        DecodeReport(
            video=video,
            n_frames=FRAMES,
            n_decoded=FRAMES,
            n_damaged=0,
            duration_seconds=FRAMES / 25,
            decoder="-",
            restarts=0,
        )
    )


def _fitted(name: str, options: dict[str, object], bag: Bag) -> Detector:
    detector = detectors().get(name).build(options, {"features": RECIPE})
    context = FitContext(np.random.default_rng(0))
    return detector.fit([bag.restrict(0, LEARNT)], validation=[], context=context)


def _rate(blocks: Iterable[Any], count: Callable[[Any], int]) -> float:
    """Return frames over processor time; what is left after `SECONDS` is left alone."""
    begun = time.process_time()
    frames = 0
    for block in blocks:
        frames += count(block)
        if time.process_time() - begun > SECONDS:
            break
    return frames / (time.process_time() - begun)
