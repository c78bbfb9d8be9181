"""The same model on the same windows, split at random and split by video.

The 7 labelled test clips of Ped2, mobilenetv2_100 features (ImageNet weights) of every frame,
windows of 10 consecutive frames with the label of the last one, an LSTM of 32 units, five
folds; every window is scored by the fold that did not learn from it, and one ROC is taken over
all. Only the unit that is dealt to the folds differs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from anomaly.datasets.labels import read_labels
from anomaly.features import concatenate
from anomaly.features.backbones import backbones
from anomaly.training.inputs import Standard
from anomaly.training.loop import Run, TrainingSpec, train
from anomaly.training.networks import in_batches
from anomaly.training.seeding import seeded
from anomaly.video.decoders import decoders
from tests.benchmarks.harness import Figure, shared

LENGTH, FOLDS, SEEDS = 10, 5, 3
COMMAND = "python -m tests.benchmarks honest_split"
Score = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], int], NDArray]
"""Learns from windows and labels, and scores other windows"""


def measure() -> list[Figure]:
    """Return the AUC of either split for the network, and for a look-up without any learning."""
    windows_NLD, labels_N, video_N = _windows()
    rows = []
    for name, score in {
        "LSTM-32": _lstm,
        "nearest labelled window, no training": _nearest,
    }.items():
        for unit, folds in {"windows": _by_window, "videos": _by_video}.items():
            found = []
            for seed in range(SEEDS):
                fold_N = folds(video_N, seed)
                scores_N = _out_of_fold(score, windows_NLD, labels_N, fold_N, seed)
                found.append(roc_auc_score(labels_N, scores_N))
            rows.append(
                Figure(
                    f"{name}, folds of {unit}",
                    f"{100 * np.mean(found):.1f} ± {100 * np.std(found):.1f}",
                    "",
                    COMMAND,
                )
            )
    return rows


def _windows() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return windows (N, L, D), the label of each window's last frame, and the number of its video."""
    ped2 = shared("ped2")
    windows, labels, videos = [], [], []
    for number, (name, truth) in enumerate(
        sorted(read_labels(ped2 / "labels.csv").videos.items())
    ):
        vectors_TD = _features(ped2 / name)
        ends = np.arange(LENGTH - 1, len(vectors_TD))
        windows.append(vectors_TD[ends[:, None] + np.arange(1 - LENGTH, 1)])
        labels.append(truth.labels_T[ends].astype(np.int64))
        videos.append(np.full(len(ends), number))
    return np.concatenate(windows), np.concatenate(labels), np.concatenate(videos)


def _features(path: Path) -> NDArray[np.float32]:
    weights = shared("weights") / "mobilenetv2_100.safetensors"
    overlay = {"mean": [0.5] * 3, "std": [0.5] * 3}
    parameters = {
        "weights": str(weights),
        "model_args": {"pad_type": "same", "pretrained_cfg_overlay": overlay},
    }
    backbone = backbones().get("timm_frames").build(parameters)
    batches = decoders().get("pyav")().frames(path, backbone.pixels, 32)
    return concatenate(list(backbone.extract(batches))).pooled_TD()


def _by_window(video_N: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed).permutation(len(video_N))
    return order % FOLDS


def _by_video(video_N: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed).permutation(int(video_N.max()) + 1)
    return np.argsort(order)[video_N] % FOLDS


def _out_of_fold(
    score: Score,
    windows_NLD: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    fold_N: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float64]:
    found_N = np.empty(len(labels_N))
    for fold in range(FOLDS):
        held_N = fold_N == fold
        standard = Standard.of(windows_NLD[~held_N])
        learnt, judged = standard(windows_NLD[~held_N]), standard(windows_NLD[held_N])
        found_N[held_N] = score(learnt, labels_N[~held_N], judged, seed)
    return found_N


class _Lstm(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dimension, 32, batch_first=True)
        self.logit = nn.Linear(32, 1)

    def forward(self, windows_BLD: Tensor) -> Tensor:
        hidden_BLH, _ = self.lstm(windows_BLD)
        return self.logit(hidden_BLH[:, -1])[:, 0]


def _loss(network: nn.Module, windows_BLD: Tensor, labels_B: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(network(windows_BLD), labels_B)


def _lstm(
    learnt_NLD: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    judged_MLD: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float64]:
    with seeded(seed):
        network = _Lstm(learnt_NLD.shape[2])
    items = (learnt_NLD, labels_N.astype(np.float32))
    nothing = (learnt_NLD[:0], items[1][:0])
    train(
        network, _loss, items, nothing, TrainingSpec(epochs=15, learning_rate=1e-3), Run(seed)
    )
    network.eval()
    return in_batches(network, judged_MLD)


def _nearest(
    learnt_NLD: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    judged_MLD: NDArray[np.float32],
    _seed: int,
) -> NDArray[np.float64]:
    """Score a window by the share of abnormal ones among the 5 nearest that are known."""
    from sklearn.neighbors import KNeighborsClassifier

    known = KNeighborsClassifier(5).fit(learnt_NLD.reshape(len(learnt_NLD), -1), labels_N)
    return known.predict_proba(judged_MLD.reshape(len(judged_MLD), -1))[:, 1]
