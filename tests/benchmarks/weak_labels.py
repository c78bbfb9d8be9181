"""Fights told from labels of whole videos.

The 189 surveillance clips of `fight`, labelled as a whole, with the real mobilenetv2_100 features of every
second frame. `anomaly train --folds 5`: five folds over sources (clips with neighbouring numbers come from
one source and stay together); each fold stops and calibrates on videos of its own. AUC in percent over
whole clips by their highest calibrated score, with a 95 % interval over sources. Small presets for two
cores: 8 segments, 8 + 8 videos a batch, at most 20 epochs. Seconds are for five folds and one last model.
Single frames show no motion: `view=changes` gives networks how much each entry of a vector changed since
the row before in place of the vector.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from anomaly.fanout import process_pool
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.benchmarks.harness import (
    Figure,
    cores,
    read_labels,
    shared,
    workplace,
    write_labels,
)

GOAL = "85 or more for the best"
FOLDS = 5
SMALL = {"segments": 8, "snippet_rows": 4}
CHANGES = {"view": "changes"}
METHODS: tuple[tuple[str, dict[str, object]], ...] = (
    ("mil_ranking", SMALL),
    ("mil_ranking", {**SMALL, **CHANGES, "scale": "standard"}),
    ("rtfm", {**SMALL, **CHANGES}),
    ("bn_wvad", {**SMALL, **CHANGES}),
    ("bd_lstm", {"hidden": 128, **CHANGES}),
)


def measure(root: Path | None = None) -> list[Figure]:
    """Cross-validate each method; features found in `root` are taken as they are."""
    archive = shared("fight")
    with workplace() as folder:
        labels = folder / "labels.csv"
        write_labels(labels, with_sources(read_labels(archive / "labels.csv")))
        return [
            _figure(name, options, archive, labels, root or folder / "root")
            for name, options in METHODS
        ]


def with_sources(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows with a group: a run of neighbouring numbers is one source."""
    found: list[dict[str, str]] = []
    before, run = ("", -1), 0
    for row in sorted(rows, key=lambda row: row["video"]):
        name, number = re.fullmatch(r"(.*?)(\d+)\.\w+", row["video"]).groups()
        run += before != (name, int(number) - 1)
        before = (name, int(number))
        found.append({**row, "group": f"run {run}"})
    return found


def _figure(
    name: str, options: dict[str, object], archive: Path, labels: Path, root: Path
) -> Figure:
    begun = time.perf_counter()
    weights = shared("weights") / "mobilenetv2_100.safetensors"
    grey = [0.5, 0.5, 0.5]
    request = TrainRequest(
        detector=name,
        detector_parameters={**options, "training": training(name)},
        backbones=("timm_frames",),
        backbone_parameters={
            "model": "mobilenetv2_100",
            "weights": str(weights),
            "model_args": {
                "pad_type": "same",
                "pretrained_cfg_overlay": {"mean": grey, "std": grey},
            },
            "stride": 2,
        },
        labels=str(labels),
        folds=FOLDS,
    )
    found = train(
        str(root), ArchiveSpec(root=str(archive)), request, fan_out=process_pool(cores())
    ).folds
    low, high = found["video_auc_interval"]
    each = ", ".join(f"{100 * value:.1f}" for value in found["video_auc_of_folds"])
    measured = (
        f"{100 * found['video_auc']:.1f} ({100 * low:.1f} to {100 * high:.1f}); folds {each}; "
        f"{found['videos']} clips of {found['groups']} sources; {time.perf_counter() - begun:.0f} s"
    )
    command = f"anomaly train fight --detector {name} --folds {FOLDS}"
    return Figure(f"{name}, {options.get('view', 'vectors')}", measured, GOAL, command)


def training(name: str) -> dict[str, object]:
    """Return the published training with a batch that two cores can take."""
    from anomaly.detectors import detectors
    from anomaly.spec import to_dict

    published = to_dict(detectors().get(name).Parameters().training)
    if name == "bd_lstm":
        return {**published, "patience": 3}
    epochs = 150 if name == "mil_ranking" else 20
    return {**published, "batch": 16, "epochs": epochs, "patience": epochs // 3}
