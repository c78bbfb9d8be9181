"""Explanations: what the float16 store costs them, and how long they take

Pictures of Ped2 through `mobilenetv2_100` (ImageNet weights). Detectors learn from 120 normal frames in
float32; 20 frames of a test clip are explained once from float32 vectors, which is full back-propagation (a
test holds the two to 1e-6), and once from vectors rounded to float16 as the store keeps them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from anomaly.detectors import Detector, FitContext, detectors
from anomaly.explain.gradcam import map_slopes
from anomaly.explain.heat import Asked, network_map
from anomaly.explain.neighbours import Space, nearest_moments
from anomaly.explain.slopes import slopes
from anomaly.features import FeatureBlock, recipe, vector_block
from anomaly.features.backbones import backbones
from anomaly.features.backbones.timm_frames import TimmFrames
from anomaly.video import PixelSpec
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.windows.bags import Bag, MemorySource
from tests.benchmarks.harness import Figure, shared

QUICK = {"epochs": 20, "patience": 20, "batch": 16}
DETECTORS: dict[str, dict[str, object]] = {
    "gaussian": {},
    "knn": {},
    "mulde": {"training": QUICK},
    "memory_autoencoder": {"training": QUICK},
    "lstm_autoencoder": {"rows": 8, "training": QUICK},
    "lstm": {"rows": 8, "training": QUICK},
}
_COMMAND = "python -m tests.benchmarks.explanation"
_FRAMES = 120
_SHOWN = range(10, 110, 5)


def measure() -> list[Figure]:
    """Return the gap of maps and slopes for each detector, and what a frame and a search cost."""
    torch.set_num_threads(1)
    grey = [0.5, 0.5, 0.5]
    made = recipe(
        "timm_frames",
        {
            "model": "mobilenetv2_100",
            "weights": str(shared("weights") / "mobilenetv2_100.safetensors"),
            "model_args": {
                "pad_type": "same",
                "pretrained_cfg_overlay": {"mean": grey, "std": grey},
            },
        },
    )
    backbone = backbones().get(made.backbone).build(made.parameters)
    if not isinstance(backbone, TimmFrames):
        raise TypeError("expected a backbone with maps.")
    normal, _ = _described(backbone, made.pixels, "train/01.mp4", _FRAMES)
    strange, pixels = _described(backbone, made.pixels, "test/01.mp4", _FRAMES)
    figures = []
    for name, parameters in DETECTORS.items():
        detector = detectors().get(name).build(parameters, {"timm_frames": made})
        bags = [replace(normal, label=0), replace(strange, label=1)]
        learns = bags if detector.supervision == "frame_labels" else bags[:1]
        context = FitContext(np.random.default_rng(0))
        detector.fit(learns, validation=[], context=context)
        figures += _gap(detector, name, backbone, strange, pixels)
    return [*figures, _cost(detector, backbone, strange, pixels), *_search()]


def _described(
    backbone: TimmFrames, pixels: PixelSpec, clip: str, count: int
) -> tuple[Bag, np.ndarray]:
    """Return the first frames of a clip, their vectors in float32 as a bag."""

    def read(stream: FrameStream) -> np.ndarray:
        return np.concatenate([batch.pixels_BHWC for batch in stream])

    with DecodeProcess() as process:
        path = shared("ped2") / clip
        frames = process.decode(path, "file", pixels, read, only=range(count))
    with torch.inference_mode():
        vectors = [
            backbone.describer(torch.from_numpy(backbone.crops(some))).numpy()
            for some in np.array_split(frames, len(frames) // 8)
        ]
    index = np.arange(len(frames))
    block = vector_block(index, index / 10, np.concatenate(vectors))
    return Bag(clip, "cam", {"timm_frames": MemorySource(block)}), frames


def _gap(
    detector: Detector, name: str, backbone: TimmFrames, video: Bag, pixels: np.ndarray
) -> list[Figure]:
    stored = replace(video, sources={"timm_frames": MemorySource(_rounded(video))})
    of_slopes, of_maps, same_place = [], [], 0
    for row in _SHOWN:
        crops = backbone.crops(pixels[row : row + 1])
        exact, rounded = (slopes(detector, bag, [row], [1.0]) for bag in (video, stored))
        if exact is None or rounded is None:
            continue
        one, other = (each.of_row(row) for each in (exact, rounded))
        of_slopes.append(_apart(other, one))
        full, kept = (
            map_slopes(backbone.describer, crops, each).heat_BGG()[0] for each in (one, other)
        )
        of_maps.append(_apart(kept, full))
        same_place += int(kept.argmax() == full.argmax())
    return [
        Figure(
            f"`{name}`: gap of the map through the float16 store, share of its highest place",
            f"median {np.median(of_maps):.1e}, worst {np.max(of_maps):.1e}; slopes: median "
            f"{np.median(of_slopes):.1e}; hottest place the same in {same_place} of {len(of_maps)}",
            "",
            _COMMAND,
        )
    ]


def _rounded(video: Bag) -> FeatureBlock:
    block = video.read("timm_frames", 0, video.n_rows)
    values = block.values_ND.astype(np.float16).astype(np.float32)
    return replace(block, values_ND=values)


def _apart(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30))


def _cost(detector: Detector, backbone: TimmFrames, video: Bag, pixels: np.ndarray) -> Figure:
    begun = time.process_time()
    for row in range(20, 30):
        network_map(Asked(detector, video, row), backbone, pixels[row])
    spent = (time.process_time() - begun) / 10
    return Figure(
        "a frame of `lstm` over mobilenetv2_100 explained", f"{spent:.3f} CPU s", "", _COMMAND
    )


def _search() -> list[Figure]:
    """Return how many rows a second an exact search for 20 events goes through."""
    found = []
    for dimension, n_rows in ((8, 200_000), (1280, 20_000)):
        values = np.random.default_rng(0).normal(size=(n_rows, dimension)).astype(np.float32)
        index = np.arange(n_rows)
        bag = Bag("v", "cam", {"x": MemorySource(vector_block(index, index / 25, values))})
        spec = replace(recipe("motion"), backbone="x")
        detector = detectors().get("gaussian").build({"sample": 100}, {"x": spec})
        space = Space.of(detector, [bag], placed=True)
        begun = time.process_time()
        nearest_moments(values[:20], [bag], "x", space.embed, k=3)
        rate = n_rows / (time.process_time() - begun)
        found.append(
            Figure(
                f"search for 20 events over vectors of {dimension}",
                f"{rate:,.0f} rows a CPU second ({rate / 25 / 3600:.1f} h of video at 25 frames/s)",
                "",
                _COMMAND,
            )
        )
    return found


if __name__ == "__main__":
    for figure in measure():
        print(f"| {figure.what} | {figure.measured} |")
