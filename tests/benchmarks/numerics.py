"""What extraction changes in the numbers, and what scaling costs.

Features of `mobileone_s0` (random weights) and `mobilenetv2_100` (ImageNet weights) over frames of a real
street. Pictures for networks are scaled as they are stored, and then their colours are converted: beside
it what the scaler takes for both at once. Distances are from a plain resize of the full RGB picture.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.features.backbones import backbones
from anomaly.video import PixelSpec
from anomaly.video.decoders import decoders
from tests.benchmarks.extraction import make_clip
from tests.benchmarks.harness import Figure, shared, workplace

COMMAND = "python -m tests.benchmarks numerics"
SIZES = ((640, 360), (1920, 1080))
FRAMES = 50


def measure() -> list[Figure]:
    """Measure both."""
    with workplace() as place:
        clips = [make_clip(place / f"{height}.mp4", width, height) for width, height in SIZES]
        return [*differences(clips[0]), *(scaling(clip) for clip in clips)]


def scaling(clip: Path) -> Figure:
    """Compare scaling in two steps with the scaler's own way, for pictures of 256 lines."""
    import av
    import cv2
    from av.video.reformatter import Interpolation

    from anomaly.video.decoders.pyav import _converted

    pixels = PixelSpec(color="rgb", resize="short_side", height=256, filter="bicubic")
    with av.open(str(clip)) as container:
        frames = [
            frame for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False)
        ]
    height, width = pixels.output_size(frames[0].height, frames[0].width)

    def at_once(frame: Any) -> np.ndarray:
        how = Interpolation[pixels.filter.upper()]
        return frame.reformat(width, height, "rgb24", interpolation=how, threads=1).to_ndarray()

    plain = [
        cv2.resize(
            frame.to_ndarray(format="rgb24"), (width, height), interpolation=cv2.INTER_AREA
        )
        for frame in frames
    ]
    found = []
    for convert in (lambda frame: _converted(frame, pixels, (height, width)), at_once):
        begun = time.process_time()
        pictures = [convert(frame) for frame in frames]
        cost = 1e3 * (time.process_time() - begun) / FRAMES
        apart = np.mean(
            [np.abs(p.astype(float) - q).mean() for p, q in zip(pictures, plain, strict=True)]
        )
        found.append(f"{cost:.2f} ms, {apart:.1f} levels off on average")
    what = f"scaling {frames[0].width}x{frames[0].height} to 256 lines of RGB"
    return Figure(what, f"{found[0]}; at once {found[1]}", "", COMMAND)


def differences(clip: Path) -> list[Figure]:
    """Return how far features are from those of the plain network, of other batches, of before storing."""
    import torch

    from anomaly.features.networks import Describer, Network, import_timm

    def built(**own: Any) -> Any:
        named = {"model": "mobileone_s0", "weights": "random:0", **own}
        return backbones().get("timm_frames").build(named)

    ours = built()
    batch = next(decoders().get("pyav")().frames(clip, ours.pixels, 32))

    def vectors(backbone: Any) -> np.ndarray:
        return np.concatenate([block.values_ND for block in backbone.extract([batch])])

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = import_timm().create_model("mobileone_s0", pretrained=False).eval()
    plain = Describer(Network(module, "random:0", ours._feed), "pooled", 0)
    with torch.inference_mode():
        unfused = plain(torch.from_numpy(ours.crops(batch.pixels_BHWC))).numpy()
    found = vectors(ours)

    def apart(one: np.ndarray, other: np.ndarray) -> str:
        return f"{np.abs(other - one).max() / np.abs(one).max():.1g}"

    trained = vectors(built(**trained_network()))
    stored = trained.astype(np.float16).astype(np.float32)
    over = "over the largest feature"
    return [
        Figure(
            f"mobileone_s0: fused against as trained, {over}",
            apart(found, unfused),
            "within 1e-5",
            COMMAND,
        ),
        Figure(
            f"mobileone_s0: batches of 1 against 8, {over}",
            apart(found, vectors(built(batch_size=1))),
            "within 1e-3",
            COMMAND,
        ),
        Figure(
            f"mobilenetv2_100 with ImageNet weights: rounding to the store's float16, {over}",
            apart(trained, stored),
            "",
            COMMAND,
        ),
    ]


def trained_network() -> dict[str, Any]:
    """Return the parameters of a network with weights that were learnt."""
    return {
        "model": "mobilenetv2_100",
        "weights": str(shared("weights") / "mobilenetv2_100.safetensors"),
        "model_args": {
            "pad_type": "same",
            "pretrained_cfg_overlay": {"mean": [0.5] * 3, "std": [0.5] * 3},
        },
    }
