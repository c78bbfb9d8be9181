"""Two memories, one of normal and one of abnormal, and a margin between what they recall.

Zhou, Yu, Yang, "Dual memory units with uncertainty regulation for weakly supervised video anomaly
detection" (UR-DMU, AAAI 2023): a transformer over 200 segments, memories of 60 vectors each,
addressed by sigmoids; what the normal memory recalls passes through a Gaussian latent variable in training.
Where we depart: the divergence is summed over dimensions, not over time as in the public code; vectors are
standardised; a video is scored in overlapping windows; the score is the logit, which ranks as the
published sigmoid does.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from anomaly.training.mil import MilNetwork, bag_cross_entropy, expect, pick, top_mean

_SHARE = 16  # one in so many, and one more, stands for the whole


@spec
class UrDmuParameters(MilParameters):
    """What `ur_dmu` looks at and how it is trained."""

    segments: Annotated[int, Field(ge=2)] = 200
    """segments that a training video is averaged into, and snippets that are scored together"""
    memory: Annotated[int, Field(ge=2)] = 60
    """vectors in each of the two memories"""
    training: TrainingSpec = TrainingSpec(
        epochs=100,
        patience=15,
        batch=128,
        optimiser="adam",
        learning_rate=1e-4,
        weight_decay=5e-5,
        gradient_norm=None,
    )
    """as published but for the number of epochs: 64 normal and 64 abnormal videos, Adam, 0.0001"""


class UrDmu(MilDetector["UrDmuNetwork"]):
    """Scores snippets by what two memories recall of them; see `MilDetector`."""

    Parameters = UrDmuParameters
    parameters: UrDmuParameters
    paper = (
        "Zhou, Yu, Yang: Dual memory units with uncertainty regulation for weakly supervised video "
        "anomaly detection, AAAI 2023"
    )
    published = (
        Published(
            "UCF-Crime", "frame AUC 86.97 %", "official split, I3D; best test result kept"
        ),
        Published("XD-Violence", "AP 81.66 %", "official split, I3D; best test result kept"),
    )

    @override
    def make_network(self, dimension: int) -> UrDmuNetwork:
        return UrDmuNetwork(dimension, self.parameters.memory)

    @override
    def loss(self, network: UrDmuNetwork, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        seen = network.recall(segments_BTD)
        logits_BT, means_BTH, divergence = network.relive(seen)
        count = segments_BTD.shape[1] // _SHARE + 1
        return (
            bag_cross_entropy(top_mean(logits_BT.sigmoid(), count))
            + 0.1 * memory_loss(seen, count)
            + 0.1 * triplet(seen, count)
            + 1e-3 * divergence
            + 1e-4 * margin(seen, means_BTH, count)
        )


@dataclass(frozen=True)
class Recall:
    """What both memories say of a batch: how well they know each segment, and what they recall."""

    rows_BTH: Tensor
    known_normal_BT: Tensor
    known_abnormal_BT: Tensor
    normal_BTH: Tensor
    abnormal_BTH: Tensor


def memory_loss(seen: Recall, count: int) -> Tensor:
    """Return how wrongly memories know: each shall know its own videos, the abnormal one no normal segment.

    Of an abnormal video only the `count` segments that stand out need be abnormal.
    """
    normal_own_BT, abnormal_as_normal_BT = seen.known_normal_BT.chunk(2)
    normal_as_abnormal_BT, abnormal_own_BT = seen.known_abnormal_BT.chunk(2)
    return (
        expect(top_mean(abnormal_own_BT, count), 1.0)
        + expect(top_mean(1.0 - abnormal_as_normal_BT, count), 1.0)
        + expect(normal_own_BT, 1.0)
        + expect(normal_as_abnormal_BT, 0.0)
    )


def triplet(seen: Recall, count: int) -> Tensor:
    """Return the triplet loss (margin 1) of directions: normal parts alike, abnormal ones apart."""
    normal_BTH, abnormal_BTH = seen.rows_BTH.chunk(2)
    known_BT, mistaken_BT = seen.known_normal_BT.chunk(2)
    odd_BT = seen.known_abnormal_BT.chunk(2)[1]
    anchor, positive, negative = (
        nn.functional.normalize(_mean_of_top(rows_BTH, by_BT, count), dim=1)
        for rows_BTH, by_BT in (
            (normal_BTH, known_BT),
            (abnormal_BTH, mistaken_BT),
            (abnormal_BTH, odd_BT),
        )
    )
    return nn.functional.triplet_margin_loss(anchor, positive, negative, margin=1.0)


def margin(seen: Recall, recalled_BTH: Tensor, count: int) -> Tensor:
    """Return by how much abnormal recollections fail to be longer by 100 than normal ones.

    `recalled_BTH` is what each half recalls from its own memory.
    """
    normal_BTH, abnormal_BTH = recalled_BTH.chunk(2)
    normal_BH = _mean_of_top(normal_BTH, seen.known_normal_BT.chunk(2)[0], count)
    abnormal_BH = _mean_of_top(abnormal_BTH, seen.known_abnormal_BT.chunk(2)[1], count)
    return (100.0 - abnormal_BH.norm(dim=1) + normal_BH.norm(dim=1)).relu().mean()


def _mean_of_top(rows_BTH: Tensor, by_BT: Tensor, count: int) -> Tensor:
    return pick(rows_BTH, by_BT.topk(count, dim=1).indices).mean(dim=1)


class Memory(nn.Module):
    """Vectors that a segment is compared with, each by itself."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.vectors_MH = nn.Parameter(torch.empty(size, WIDTH))
        nn.init.uniform_(self.vectors_MH, -(WIDTH**-0.5), WIDTH**-0.5)

    @override
    def forward(self, rows_BTH: Tensor) -> tuple[Tensor, Tensor]:
        """Return how well each segment is known (B, T), in [0, 1], and what is recalled (B, T, H)."""
        address_BTM = torch.sigmoid(rows_BTH @ self.vectors_MH.T / WIDTH**0.5)
        best = address_BTM.topk(len(self.vectors_MH) // _SHARE + 1, dim=2).values
        return best.mean(dim=2), address_BTM @ self.vectors_MH


class UrDmuNetwork(MilNetwork):
    """A transformer over segments, two memories and a classifier."""

    def __init__(self, dimension: int, memory: int) -> None:
        super().__init__()
        self.encoder = TemporalEncoder(dimension, dropout=0.5)
        self.normal, self.abnormal = Memory(memory), Memory(memory)
        self.mean, self.log_variance = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.classify = nn.Sequential(nn.Linear(2 * WIDTH, 128), nn.ReLU(), nn.Linear(128, 1))

    def recall(self, segments_BTD: Tensor) -> Recall:
        """Return what both memories say of all segments."""
        rows_BTH = self.encoder(segments_BTD)
        known_normal_BT, normal_BTH = self.normal(rows_BTH)
        known_abnormal_BT, abnormal_BTH = self.abnormal(rows_BTH)
        return Recall(rows_BTH, known_normal_BT, known_abnormal_BT, normal_BTH, abnormal_BTH)

    def relive(self, seen: Recall) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (B, T), what each half recalls from its own memory (B, T, H), and the divergence.

        In training, what normal videos recall from the normal memory is drawn from a Gaussian; the
        divergence is its distance from the standard one.
        """
        own_BTH, normal_in_abnormal_BTH = seen.normal_BTH.chunk(2)
        mean_BTH, log_variance_BTH = self.mean(own_BTH), self.log_variance(own_BTH)
        drawn_BTH = mean_BTH
        if self.training:
            drawn_BTH = mean_BTH + torch.randn_like(mean_BTH) * (0.5 * log_variance_BTH).exp()
        recalled_BTH = self.mean(seen.abnormal_BTH)
        abnormal_in_normal_BTH, abnormal_own_BTH = recalled_BTH.chunk(2)
        added_BTH = torch.cat(
            [
                drawn_BTH + abnormal_in_normal_BTH,
                abnormal_own_BTH + self.mean(normal_in_abnormal_BTH),
            ]
        )
        logits_BT = self._logits(seen.rows_BTH, added_BTH)
        own = torch.cat([drawn_BTH, abnormal_own_BTH])
        return logits_BT, own, divergence(mean_BTH, log_variance_BTH)

    @override
    def score(self, segments_BTD: Tensor) -> Tensor:
        seen = self.recall(segments_BTD)
        added_BTH = self.mean(seen.abnormal_BTH) + self.mean(seen.normal_BTH)
        return self._logits(seen.rows_BTH, added_BTH)

    def _logits(self, rows_BTH: Tensor, added_BTH: Tensor) -> Tensor:
        logits_BT: Tensor = self.classify(torch.cat([rows_BTH, added_BTH], dim=2))[..., 0]
        return logits_BT


def divergence(mean_BTH: Tensor, log_variance_BTH: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of Gaussians from the standard one."""
    terms = 1 + log_variance_BTH - mean_BTH.square() - log_variance_BTH.exp()
    return -0.5 * terms.sum(dim=2).mean()
