"""Anomalies lie far from the running mean of batch normalisation.

Zhou, Qu, Xu, Shen, "BatchNorm-based weakly supervised video anomaly detection" (2023): most
segments are normal, so the running mean and variance of a batch normalisation describe normal; the distance
from them chooses the segments that an abnormal video is judged by, weighs in a triplet loss, and multiplies
the score.
Where we depart: vectors are standardised; a video is scored in overlapping windows; variances have the
normalisation's own epsilon added, so that a dead channel divides by no zero. Kept as published: 200
segments, both ways of choosing together, triplet weights 5 and 20.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import Published
from anomaly.detectors._mil import MilDetector, MilParameters
from anomaly.spec import spec
from anomaly.training.attention import WIDTH, TemporalEncoder
from anomaly.training.loop import TrainingSpec
from anomaly.training.mil import MilNetwork, pick

_LEVEL_WEIGHTS = (5.0, 20.0)


@spec
class BnWvadParameters(MilParameters):
    """What `bn_wvad` looks at and how it is trained."""

    segments: Annotated[int, Field(ge=5)] = 200
    """segments that a training video is averaged into, and snippets that are scored together"""
    of_video: Annotated[float, Field(gt=0, le=1)] = 0.2
    """share of the segments of each abnormal video that are taken for abnormal"""
    of_batch: Annotated[float, Field(gt=0, le=1)] = 0.4
    """share of all segments of abnormal videos of a batch that are taken for abnormal"""
    training: TrainingSpec = TrainingSpec(
        epochs=100,
        patience=15,
        batch=128,
        optimiser="adam",
        learning_rate=1e-4,
        weight_decay=5e-5,
        gradient_norm=1.0,
    )
    """as published but for the number of epochs: 64 normal and 64 abnormal videos, Adam, 0.0001"""


class BnWvad(MilDetector["BnWvadNetwork"]):
    """Scores snippets by distance from normal times a classifier's word; see `MilDetector`."""

    Parameters = BnWvadParameters
    parameters: BnWvadParameters
    paper = (
        "Zhou, Qu, Xu, Shen: BatchNorm-based weakly supervised video anomaly detection, 2023"
    )
    published = (
        Published(
            "UCF-Crime", "frame AUC 87.24 %", "official split, I3D; best test result kept"
        ),
        Published("XD-Violence", "AP 84.93 %", "official split, I3D; best test result kept"),
    )

    @override
    def make_network(self, dimension: int) -> BnWvadNetwork:
        return BnWvadNetwork(dimension)

    @override
    def loss(self, network: BnWvadNetwork, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        levels, logits_BT = network(segments_BTD)
        normal_BT = logits_BT.sigmoid().chunk(2)[0]
        total = normal_BT.norm(dim=1).mean()
        for level_BTC, norm, weight in zip(levels, network.norms, _LEVEL_WEIGHTS, strict=True):
            distances_BT = distance(level_BTC, norm)
            positive_MC, negative_MC = self._chosen(level_BTC, distances_BT)
            gap_M = 1.0 + distance(positive_MC, norm) - distance(negative_MC, norm)
            total = total + weight * gap_M.relu().mean()
        return total

    def _chosen(self, level_BTC: Tensor, distances_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return as many hard normal vectors as chosen abnormal ones, (M, C) each."""
        normal_BT, abnormal_BT = distances_BT.chunk(2)
        normal_BTC, abnormal_BTC = level_BTC.chunk(2)
        chosen_BT = farthest(abnormal_BT, self.parameters.of_video, self.parameters.of_batch)
        negative_MC = abnormal_BTC[chosen_BT]
        each = min(len(negative_MC) // len(normal_BT) + 1, normal_BT.shape[1])
        hardest_BKC = pick(normal_BTC, normal_BT.topk(each, dim=1).indices)
        positive_MC = hardest_BKC.transpose(0, 1).flatten(0, 1)[: len(negative_MC)]
        return positive_MC, negative_MC[: len(positive_MC)]


def farthest(distances_BT: Tensor, of_video: float, of_batch: float) -> Tensor:
    """Return shape (B, T), bool: among the farthest of its video, or of all."""
    batch, length = distances_BT.shape
    in_video_BT = torch.zeros_like(distances_BT, dtype=torch.bool)
    in_video_BT.scatter_(
        1, distances_BT.topk(int(length * of_video), dim=1).indices, value=True
    )
    in_batch_N = torch.zeros(batch * length, dtype=torch.bool, device=distances_BT.device)
    in_batch_N[distances_BT.flatten().topk(int(batch * length * of_batch)).indices] = True
    return in_video_BT | in_batch_N.view(batch, length)


def distance(vectors: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Return how far vectors (..., C) are from the running mean, in running deviations."""
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("expected a batch normalisation that keeps running statistics.")
    mean_C, variance_C = norm.running_mean.clone(), norm.running_var + norm.eps
    squared = ((vectors - mean_C).square() / variance_C).sum(dim=-1)
    return squared.clamp_min(1e-12).sqrt()  # the root has no slope at 0


class BnWvadNetwork(MilNetwork):
    """A transformer over segments, and a head with two batch normalisations."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.encoder = TemporalEncoder(dimension, dropout=0.0)
        self.dense = nn.ModuleList([nn.Linear(WIDTH, 32), nn.Linear(32, 16)])
        self.first, self.second = nn.BatchNorm1d(32), nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 1)

    @property
    def norms(self) -> tuple[nn.BatchNorm1d, nn.BatchNorm1d]:
        """The two normalisations whose running statistics describe normal."""
        return self.first, self.second

    @override
    def forward(self, segments_BTD: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what goes into each normalisation (B, T, 32 and 16), and logits (B, T)."""
        rows_BTC = self.encoder(segments_BTD)
        levels = []
        for dense, norm in zip(self.dense, self.norms, strict=True):
            level_BTC = dense(rows_BTC)
            levels.append(level_BTC)
            rows_BTC = norm(level_BTC.flatten(0, 1)).relu().view_as(level_BTC)
        return levels, self.last(rows_BTC)[..., 0]

    @override
    def logits(self, segments_BTD: Tensor) -> Tensor:
        logits_BT: Tensor = self(segments_BTD)[1]
        return logits_BT

    @override
    def score(self, segments_BTD: Tensor) -> Tensor:
        levels, logits_BT = self(segments_BTD)
        distances_BT = sum(
            (distance(level, norm) for level, norm in zip(levels, self.norms, strict=True)),
            start=torch.zeros_like(logits_BT),
        )
        return distances_BT * logits_BT.sigmoid()
