"""Fights told from labels of whole videos.

The 189 surveillance clips of `fight`, labelled as a whole, with the real mobilenetv2_100 features of
every second frame, the whole picture squeezed to a square. `anomaly train --folds 5`: five folds over
sources (clips with neighbouring numbers come from one source and stay together); each fold stops and
calibrates on videos of its own. AUC in percent over whole clips by their highest calibrated score, and by
their mean, with 95 % intervals over sources. Small presets for two cores: 8 segments, 8 + 8 videos a
batch, at most 20 epochs (`mil_ranking`: 150). Seconds of one core are for five folds and one last model.
Single frames show no motion: `view=changes` gives networks how much each entry of a vector changed since
the row before in place of the vector, `view=amount` only how much they changed on average. That number by
itself, its mean over a clip, without any learning, is the first row; that it and the whole picture help
was seen on these very clips. `motion`: the features of that backbone with their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.datasets.labels import read_labels as read_label_set
from anomaly.fanout import process_pool
from anomaly.features import recipe
from anomaly.features.store import FeatureStore
from anomaly.runs import processor_seconds
from anomaly.storage import open_root
from anomaly.verbs.extract import extract
from anomaly.verbs.folds import Judged, _figures
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
COMMAND = "python -m tests.benchmarks weak_labels"
FOLDS = 5
SMALL = {"segments": 8, "snippet_rows": 4}
CHANGES, AMOUNT = {"view": "changes"}, {"view": "amount"}
NETWORK, MOTION = "timm_frames", "motion"
METHODS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("mil_ranking", NETWORK, SMALL),
    ("mil_ranking", NETWORK, {**SMALL, **CHANGES, "scale": "standard"}),
    ("mil_ranking", NETWORK, {**SMALL, **AMOUNT, "scale": "standard"}),
    ("rtfm", NETWORK, {**SMALL, **CHANGES}),
    ("rtfm", NETWORK, {**SMALL, **AMOUNT}),
    ("bn_wvad", NETWORK, {**SMALL, **CHANGES}),
    ("bn_wvad", NETWORK, {**SMALL, **AMOUNT}),
    ("bd_lstm", NETWORK, {"hidden": 128, **CHANGES}),
    ("bd_lstm", NETWORK, {"hidden": 16, **AMOUNT}),
    ("mil_ranking", MOTION, {**SMALL, "scale": "standard"}),
    ("rtfm", MOTION, SMALL),
    ("bn_wvad", MOTION, SMALL),
    ("bd_lstm", MOTION, {"hidden": 16}),
)


def measure(root: Path | None = None) -> list[Figure]:
    """Cross-validate each method; features found in `root` are taken as they are."""
    archive = shared("fight")
    with workplace() as folder:
        labels = folder / "labels.csv"
        write_labels(labels, with_sources(read_labels(archive / "labels.csv")))
        place = root or folder / "root"
        taught = [_figure(*method, archive, labels, place) for method in METHODS]
        return [_untaught(archive, labels, place), *taught]


def _untaught(archive: Path, labels: Path, root: Path) -> Figure:
    """Return how well the mean amount of change over a clip tells fights."""
    features = recipe("timm_frames", backbone())
    spec = ArchiveSpec(root=str(archive))
    done = extract(str(root), spec, [features], fan_out=process_pool(cores()))
    store, known = FeatureStore(open_root(str(root))), read_label_set(labels)
    judged = []
    for video, content in done.contents.items():
        group = store.open(features, content)
        vectors_TD = group.read(0, group.n_rows).values_ND
        amount = float(np.abs(np.diff(vectors_TD, axis=0)).mean())
        abnormal = bool(known.video_class(video))
        judged.append(Judged(fold=0, group=known.group(video), abnormal=abnormal, score=amount))
    found = _in_words(_figures(judged, 0), "video_auc")
    return Figure("mean amount of change, nothing learnt", found, "", COMMAND)


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
    name: str,
    features: str,
    options: dict[str, object],
    archive: Path,
    labels: Path,
    root: Path,
) -> Figure:
    begun = processor_seconds()
    request = TrainRequest(
        detector=name,
        detector_parameters={**options, "training": training(name)},
        backbones=(features,),
        backbone_parameters=backbone() if features == NETWORK else {},
        labels=str(labels),
        folds=FOLDS,
    )
    found = train(
        str(root), ArchiveSpec(root=str(archive)), request, fan_out=process_pool(cores())
    ).folds
    each = ", ".join(f"{100 * value:.1f}" for value in found["video_auc_of_folds"])
    measured = (
        f"{_in_words(found, 'video_auc')}; folds {each}; "
        f"by their mean {_in_words(found, 'video_auc_by_mean')}; "
        f"{found['videos']} clips of {found['groups']} sources; "
        f"{processor_seconds() - begun:.0f} s of one core"
    )
    command = f"anomaly train fight --detector {name} --folds {FOLDS}"
    seen = MOTION if features == MOTION else options.get("view", "vectors")
    return Figure(f"{name}, {seen}", measured, GOAL, command)


def _in_words(found: Mapping[str, Any], name: str) -> str:
    """Return a figure in percent with its interval."""
    low, high = found[f"{name}_interval"]
    return f"{100 * found[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def backbone() -> dict[str, object]:
    """Return the parameters of `timm_frames`: the network as its weights want it, on the whole picture."""
    grey = [0.5, 0.5, 0.5]
    overlay = {"mean": grey, "std": grey, "crop_mode": "squash", "crop_pct": 1.0}
    return {
        "model": "mobilenetv2_100",
        "weights": str(shared("weights") / "mobilenetv2_100.safetensors"),
        "model_args": {"pad_type": "same", "pretrained_cfg_overlay": overlay},
        "stride": 2,
    }


def training(name: str) -> dict[str, object]:
    """Return the published training with a batch that two cores can take."""
    from anomaly.detectors import detectors
    from anomaly.spec import to_dict

    published = to_dict(detectors().get(name).Parameters().training)
    if name == "bd_lstm":
        return {**published, "patience": 3}
    epochs = 150 if name == "mil_ranking" else 20
    return {**published, "batch": 16, "epochs": epochs, "patience": epochs // 3}
