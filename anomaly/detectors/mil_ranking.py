"""Some segment of an abnormal video shall score above every segment of a normal one.

Sultani, Chen, Shah, "Real-world anomaly detection in surveillance videos" (CVPR 2018): 32 segments, vectors
of length 1, three dense layers 512-32-1, hinge loss between the highest segments, sparse and smooth scores
in abnormal videos. As in the public code every normal video of a batch meets every abnormal one.
Where we depart: smoothness never crosses from one video to the next; the penalty on weights also holds
for biases; the score is the logit, which ranks as the published sigmoid does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import Published
from anomaly.detectors._mil import MilDetector, MilParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.mil import MilNetwork, roughness, sparsity


@spec
class MilRankingParameters(MilParameters):
    """What `mil_ranking` looks at and how it is trained."""

    scale: Literal["none", "unit", "standard"] = "unit"
    """of vectors: as they are, to length 1, or to mean 0 and variance 1 in each dimension"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """after the first two layers"""
    sparse: Annotated[float, Field(ge=0)] = 8e-5
    """weight of the sum of scores in abnormal videos"""
    smooth: Annotated[float, Field(ge=0)] = 8e-5
    """weight of the squared steps between neighbouring segments there"""
    training: TrainingSpec = TrainingSpec(
        epochs=500,
        patience=50,
        batch=60,
        optimiser="adagrad",
        learning_rate=1e-2,
        weight_decay=2e-3,
        gradient_norm=None,
    )
    """as published: 30 normal and 30 abnormal videos, Adagrad, 0.01, weights penalised by 0.001"""


class MilRanking(MilDetector["RankingNetwork"]):
    """Scores each snippet by itself; see `MilDetector`."""

    Parameters = MilRankingParameters
    parameters: MilRankingParameters
    paper = (
        "Sultani, Chen, Shah: Real-world anomaly detection in surveillance videos, CVPR 2018"
    )
    published = (
        Published("UCF-Crime", "frame AUC 75.41 %", "official split, C3D features"),
        Published("UCF-Crime", "frame AUC 74.44 %", "the same, neither sparse nor smooth"),
    )

    @override
    def make_network(self, dimension: int) -> RankingNetwork:
        return RankingNetwork(dimension, self.parameters.dropout)

    @override
    def loss(self, network: RankingNetwork, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        normal_BT, abnormal_BT = network.score(segments_BTD).sigmoid().chunk(2)
        return (
            ranking(normal_BT, abnormal_BT)
            + self.parameters.sparse * sparsity(abnormal_BT)
            + self.parameters.smooth * roughness(abnormal_BT)
        )


class RankingNetwork(MilNetwork):
    """Three dense layers at each segment."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimension, 512),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(512, 32),
            nn.Dropout(dropout),
            nn.Linear(32, 1),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    @override
    def score(self, segments_BTD: Tensor) -> Tensor:
        logits_BT: Tensor = self.layers(segments_BTD)[..., 0]
        return logits_BT


def ranking(normal_BT: Tensor, abnormal_BT: Tensor) -> Tensor:
    """Return the hinge loss between highest segments: summed over abnormal, averaged over normal videos."""
    gap_BB = 1.0 - abnormal_BT.amax(dim=1)[None, :] + normal_BT.amax(dim=1)[:, None]
    return gap_BB.relu().sum(dim=1).mean()
