"""Abnormal segments shall have long feature vectors, normal ones short.

Tian, Pang, Chen, Singh, Verjans, Carneiro, "Weakly-supervised video anomaly detection with robust temporal
feature magnitude learning" (ICCV 2021): dilated convolutions and a non-local block over 32 segments; the
three longest vectors of a video stand for it, in a margin of lengths and in a classifier.
Where we depart: smoothness never crosses from one video to the next; a video is scored in overlapping
windows instead of as a whole; vectors are standardised, which the published margin of 100 wants of
features other than I3D; the score is the logit, which ranks as the published sigmoid does. Kept as
published: lengths are masked by the same dropout of 0.7 before the longest are chosen.
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
from anomaly.training.loop import TrainingSpec
from anomaly.training.mil import MilNetwork, bag_cross_entropy, pick, roughness

_WIDTH = 512  # channels of each branch
_LONGEST = 10  # one segment in so many stands for its video


@spec
class RtfmParameters(MilParameters):
    """What `rtfm` looks at and how it is trained."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """of vectors, of dense layers and of the lengths that choose"""
    margin: Annotated[float, Field(gt=0)] = 100.0
    """length that abnormal vectors shall have"""
    magnitude: Annotated[float, Field(ge=0)] = 1e-4
    """weight of the margin of lengths"""
    smooth: Annotated[float, Field(ge=0)] = 8e-4
    """weight of the squared steps between neighbouring segments of abnormal videos"""
    sparse: Annotated[float, Field(ge=0)] = 8e-3
    """weight of the norm of all scores of abnormal videos"""
    training: TrainingSpec = TrainingSpec(
        epochs=100,
        patience=15,
        batch=64,
        optimiser="adam",
        learning_rate=1e-3,
        weight_decay=5e-3,
        gradient_norm=None,
    )
    """as published but for the number of epochs: 32 normal and 32 abnormal videos, Adam, 0.001"""


class Rtfm(MilDetector["RtfmNetwork"]):
    """Scores snippets with a convolutional network over a window; see `MilDetector`."""

    Parameters = RtfmParameters
    parameters: RtfmParameters
    paper = (
        "Tian et al.: Weakly-supervised video anomaly detection with robust temporal feature magnitude "
        "learning, ICCV 2021"
    )
    published = (
        Published(
            "UCF-Crime", "frame AUC 84.30 %", "official split, I3D; best test result kept"
        ),
        Published("XD-Violence", "AP 77.81 %", "official split, I3D; best test result kept"),
        Published(
            "ShanghaiTech",
            "frame AUC 97.21 %",
            "weakly supervised split; best test result kept",
        ),
        Published("UCSD Ped2", "frame AUC 98.6 %", "a weakly supervised split of its own"),
    )

    @override
    def make_network(self, dimension: int) -> RtfmNetwork:
        return RtfmNetwork(dimension, self.parameters.dropout)

    @override
    def loss(self, network: RtfmNetwork, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        vectors_BTD, logits_BT = network(segments_BTD)
        scores_BT = logits_BT.sigmoid()
        lengths_BT = network.dropout(torch.ones_like(scores_BT)) * vectors_BTD.norm(dim=2)
        longest_BK = lengths_BT.topk(max(1, scores_BT.shape[1] // _LONGEST), dim=1).indices
        abnormal_BT = scores_BT.chunk(2)[1]
        return (
            bag_cross_entropy(scores_BT.gather(1, longest_BK).mean(dim=1))
            + self.parameters.magnitude
            * magnitude(pick(vectors_BTD, longest_BK), self.parameters.margin)
            + self.parameters.smooth * roughness(abnormal_BT)
            + self.parameters.sparse * abnormal_BT.norm()
        )


def magnitude(longest_BKD: Tensor, margin: float) -> Tensor:
    """Return how far mean vectors are from length `margin` (abnormal) and 0 (normal), squared."""
    normal_B, abnormal_B = longest_BKD.mean(dim=1).norm(dim=1).chunk(2)
    return ((margin - abnormal_B).abs() + normal_B).square().mean()


class RtfmNetwork(MilNetwork):
    """Vectors that know of their neighbours, and a classifier over them."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__()
        self.aggregate = _Aggregate(dimension)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Sequential(
            nn.Linear(dimension, 512),
            nn.ReLU(),
            self.dropout,
            nn.Linear(512, 128),
            nn.ReLU(),
            self.dropout,
            nn.Linear(128, 1),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @override
    def forward(self, segments_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (B, T, D) and logits (B, T)."""
        vectors_BTD = self.dropout(self.aggregate(segments_BTD))
        return vectors_BTD, self.classify(vectors_BTD)[..., 0]

    @override
    def score(self, segments_BTD: Tensor) -> Tensor:
        logits_BT: Tensor = self(segments_BTD)[1]
        return logits_BT


class _Aggregate(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.near = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(dimension, _WIDTH, 3, dilation=reach, padding=reach),
                nn.ReLU(),
                nn.BatchNorm1d(_WIDTH),
            )
            for reach in (1, 2, 4)
        )
        self.far = nn.Sequential(
            nn.Conv1d(dimension, _WIDTH, 1, bias=False), nn.ReLU(), _NonLocal(_WIDTH)
        )
        self.merge = nn.Sequential(
            nn.Conv1d(4 * _WIDTH, dimension, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm1d(dimension),
        )

    @override
    def forward(self, segments_BTD: Tensor) -> Tensor:
        rows_BDT = segments_BTD.transpose(1, 2)
        seen = torch.cat(
            [*(branch(rows_BDT) for branch in self.near), self.far(rows_BDT)], dim=1
        )
        return (self.merge(seen) + rows_BDT).transpose(1, 2)


class _NonLocal(nn.Module):
    """Wang et al., "Non-local neural networks" (CVPR 2018): sums weighted by dot products over T."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv1d(width, width // 2, 1) for _ in range(3))
        norm = nn.BatchNorm1d(width)
        nn.init.zeros_(norm.weight)  # so that the block starts as the identity
        self.merge = nn.Sequential(nn.Conv1d(width // 2, width, 1), norm)

    @override
    def forward(self, rows_BHT: Tensor) -> Tensor:
        alike_BTT = self.query(rows_BHT).transpose(1, 2) @ self.key(rows_BHT)
        summed_BHT = self.value(rows_BHT) @ alike_BTT.transpose(1, 2) / rows_BHT.shape[2]
        return rows_BHT + self.merge(summed_BHT)
