"""How fast pixel models learn and score on one core, and what scoring costs beside the network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from anomaly.checkpoints import load, names
from anomaly.detectors import FitContext, detectors
from anomaly.detectors._pixels import PixelDetector
from anomaly.features import recipe, vector_block
from anomaly.storage import open_root
from anomaly.training.seeding import repeatable
from anomaly.verbs.score import build_detector
from anomaly.windows import window_starts
from anomaly.windows.bags import Bag, MemorySource
from tests.benchmarks.harness import Figure, anomaly, globs, shared
from tests.benchmarks.pixels.settings import HEIGHT, WIDE, WIDTH

EPOCHS, CLIPS, SCORED = 3, 8, 64
"""of training, clips in each, and frames scored"""
SECONDS = 1.5
"""processor time of a measurement, at least"""
FROM_FILES = ("unet_predict", "sendec", "fast3d")
USUAL = (96, 144)
"""height and width that the backbone `frames` has by itself"""
COMMAND = "python -m tests.benchmarks pixel_models"


def figures(folder: Path) -> Iterator[Figure]:
    """Yield frames a second of each model, then what it takes to score from files for some."""
    for name in detectors().names():
        if detectors().get(name).reads == "pixels":
            yield _of_one_core(name)
    for name in FROM_FILES:
        yield _from_files(folder / f"speed-{name}", name)


def _of_one_core(name: str) -> Figure:
    detector, learning = _learnt(name)
    bag = _video(SCORED)
    scoring = _seconds(lambda: sum(1 for _ in detector.score(bag)))
    length = detector.parameters.length
    return Figure(
        f"`{name}`, clips of {length} frames",
        f"learns {1 / learning:.1f} clips/s ({length / learning:,.0f} frames/s), "
        f"scores {SCORED / scoring:,.0f} frames/s",
        "",
        COMMAND,
    )


def _learnt(name: str) -> tuple[PixelDetector, float]:
    """Return a fitted detector, and the processor time for each clip of all epochs but the first."""
    ends: list[float] = []
    training = {"epochs": EPOCHS, "batch": 4, "optimiser": "adam", "learning_rate": 1e-4}
    options = {"channels": WIDE, "clips": CLIPS, "step": 1, "training": training}
    frames = {"frames": recipe("frames", {"height": HEIGHT, "width": WIDTH})}
    detector = detectors().get(name).build(options, frames)
    if not isinstance(detector, PixelDetector):
        raise TypeError(f"expected a pixel detector, found {type(detector).__name__}")
    context = FitContext(
        np.random.default_rng(0),
        progress=lambda _text, _done, _total: ends.append(time.process_time()),
    )
    detector.fit([_video(32)], validation=[], context=context)
    return detector, (ends[-1] - ends[0]) / (EPOCHS - 1) / CLIPS


def _video(n_rows: int, height: int = HEIGHT, width: int = WIDTH) -> Bag:
    pixels_TD = np.random.default_rng(0).integers(0, 255, (n_rows, height * width))
    index = np.arange(n_rows)
    block = vector_block(index, index / 10, pixels_TD.astype(np.float32))
    return Bag("v", "c", {"frames": MemorySource(block)})


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call, after a first: the mean of as many as `SECONDS` take."""
    work()
    begun, calls = time.process_time(), 0
    while not calls or time.process_time() - begun < SECONDS:
        work()
        calls += 1
    return (time.process_time() - begun) / calls


def _from_files(root: Path, name: str) -> Figure:
    ped2 = shared("ped2")
    videos = [f"train/{clip.name}" for clip in sorted((ped2 / "train").glob("*.mp4"))]
    options = {"channels": WIDE, "clips": 40, "step": 4, "training": {"epochs": 3, "batch": 4}}
    told = [
        part
        for key, value in options.items()
        for part in ("--detector-option", f"{key}={json.dumps(value)}")
    ]
    where = ["--root", root, "--workers", 1]
    anomaly("train", ped2, *where, "--detector", name, *told, *globs(videos[:4]))
    few = anomaly("score", ped2, *where, *globs(videos[4:5]))
    many = anomaly("score", ped2, *where, *globs([*videos[5:9], "test/*"]))
    frames, videos_more = (many.answer[key] - few.answer[key] for key in ("frames", "videos"))
    whole_seconds = many.cpu_seconds - few.cpu_seconds  # the start of a command is in both
    alone = _network_seconds(root, frames, videos_more)
    return Figure(
        f"`{name}` from files, frames of {USUAL[0]} x {USUAL[1]}: decoding, storing, network, tables, "
        f"pictures of {many.answer['events']} events",
        f"{frames / whole_seconds:,.0f} frames/s of one core, "
        f"{alone / whole_seconds:.2f} of the network alone",
        "0.85",
        COMMAND,
    )


def _network_seconds(root: Path, n_frames: int, n_videos: int) -> float:
    """Return what the network alone takes for so many frames."""
    place = open_root(str(root))
    bundle = load(place, names(place)[0])
    detector = build_detector(bundle, bundle.model_for(place, "test")[1])
    formula = detector.formula(_video(8, *USUAL))
    if not isinstance(detector, PixelDetector) or formula is None:
        raise TypeError(f"expected a pixel detector, found {type(detector).__name__}")
    network = detector.network
    clips = torch.rand(network.together, 1, detector.parameters.length, *USUAL)
    windows = n_videos * len(window_starts(n_frames // n_videos, formula.window))
    with torch.inference_mode(), repeatable():
        return _seconds(lambda: network(clips)) / len(clips) * windows
