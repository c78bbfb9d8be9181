"""One-class detectors on `motion` features, each with its defaults, and on a network's features

Ped2: trained on its normal clips, tested on the 7 test clips that have labels. Coffee room (falls):
trained on the normal frames of every other clip, tested on the rest, and the other way round.
`mobilenetv2`: 4 x 4 cells of `mobilenetv2_100` (ImageNet weights) over the whole picture, every frame;
joined by `fused`, the part that is named first ranks. No detector was tuned on these figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.harness import Figure, anomaly, auc, globs, shared, workplace

MOTION, NETWORK = ("motion",), ("timm_frames",)
DETECTORS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (MOTION, "knn", ()),
    (MOTION, "same_place", ()),
    (MOTION, "gaussian", ()),
    (MOTION, "gaussian", ("components=npca",)),
    (MOTION, "cell_gaussian", ()),
    (MOTION, "gmm", ()),
    (MOTION, "isolation_forest", ()),
    (MOTION, "predictor", ()),
    (MOTION, "lstm_autoencoder", ()),
    (MOTION, "memory_autoencoder", ()),
    (MOTION, "mulde", ()),
    (NETWORK, "knn", ()),
    (NETWORK, "gaussian", ()),
    (NETWORK, "gaussian", ("components=npca",)),
    (NETWORK, "same_place", ()),
    (MOTION + NETWORK, "fused", ()),
    (NETWORK + MOTION, "fused", ()),
    (MOTION + NETWORK, "ensemble", ('parts=[{"detector": "knn"}]',)),
    (MOTION + NETWORK, "ensemble", ('parts=[{"detector": "knn"}]', "join=max")),
    (MOTION, "ensemble", ()),
)
_SHOWN = {"motion": "motion", "timm_frames": "mobilenetv2"}


def measure() -> list[Figure]:
    """Return AUC and the time of training for each detector and camera."""
    with workplace() as root:
        return [figure for trial in _trials() for figure in _figures(root, *trial)]


def _trials() -> Iterator[tuple[str, Path, list[str], list[str], list[object]]]:
    """Yield name, archive, training videos, test videos and more options of training."""
    ped2, coffee = shared("ped2"), shared("coffeeroom")
    yield "Ped2", ped2, ["train/*"], ["test/*"], []
    clips = sorted(path.name for path in coffee.glob("*.mp4"))
    known: list[object] = ["--labels", coffee / "labels.csv"]
    yield "coffee room", coffee, clips[::2], clips[1::2], known
    yield "coffee room, sides changed", coffee, clips[1::2], clips[::2], known


def network_options() -> list[str]:
    """Return the options of `timm_frames` that make a grid of the weights that lie beside the checkout."""
    grey = [0.5, 0.5, 0.5]
    overlay = {"mean": grey, "std": grey, "crop_mode": "squash", "crop_pct": 1.0}
    options = {
        "model": "mobilenetv2_100",
        "weights": str(shared("weights") / "mobilenetv2_100.safetensors"),
        "grid": 4,
        "model_args": {"pad_type": "same", "pretrained_cfg_overlay": overlay},
    }
    texts = [f"timm_frames.{key}={json.dumps(value)}" for key, value in options.items()]
    return [part for text in texts for part in ("--backbone-option", text)]


def _figures(
    root: Path,
    name: str,
    archive: Path,
    learn: list[str],
    judge: list[str],
    known: Sequence[object],
) -> Iterator[Figure]:
    features = network_options()
    named = [part for one in MOTION + NETWORK for part in ("--backbone", one)]
    anomaly("extract", archive, "--root", root, *named, *features)
    for backbones, detector, options in DETECTORS:
        chosen = [part for option in options for part in ("--detector-option", option)]
        used = [part for one in backbones for part in ("--backbone", one)]
        where = [archive, "--root", root]
        how = ["--detector", detector, *chosen, *used, *features]
        trained = anomaly("train", *where, *how, *globs(learn), *known)
        scored = ["--checkpoint", trained.answer["checkpoint"], "--root", root, *globs(judge)]
        anomaly("score", archive, *scored)
        answer = anomaly(
            "evaluate", archive, *scored, "--labels", archive / "labels.csv"
        ).answer
        title = " ".join([detector, *options])
        yield Figure(
            f"{name}: `{title}` on {' and '.join(_SHOWN[one] for one in backbones)}",
            f"{auc(answer)}; trained in {trained.seconds:.0f} s",
            "",
            f"anomaly train --detector {detector}; score; evaluate",
        )
