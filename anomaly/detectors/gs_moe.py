"""One expert for each kind of anomaly, soft targets around peaks of score, and a gate.

D'Amicantonio et al., "Mixture of experts guided by Gaussian splatters matters" (GS-MoE, 2025). There is no
public code, so this is our reading of its idea. Assumed, where we know no better:

- the encoder is that of UR-DMU, without its memories;
- an expert is a dense layer of 128 and a logit; category k of the label file (in order of name) goes to
  expert k modulo the number of experts; labels without categories teach one expert;
- experts learn from bags: the mean of the highest T // 16 + 1 segments is 1 in videos of their own
  category, 0 in normal ones; videos of other categories say nothing to them;
- the gate sees the encoder's vector and all experts' logits and weighs experts by a softmax at each
  segment; the weighted logit is the score, and learns from bags too;
- temporal splatting: in an abnormal video, as its expert scores it, a segment not below its neighbours is
  a peak; the highest T // 16 + 1 peaks each place a Gaussian as high as their score, with a deviation of
  `width` segments; the target is the highest of them at each segment, scaled so that its top is 1, and no
  gradient runs through it. In a normal video the target is 0.
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
from anomaly.training.mil import MilNetwork, bag_cross_entropy, expect, top_mean

_SHARE = 16  # one in so many, and one more, stands for the whole


@spec
class GsMoeParameters(MilParameters):
    """What `gs_moe` looks at and how it is trained."""

    segments: Annotated[int, Field(ge=2)] = 200
    """segments that a training video is averaged into, and snippets that are scored together"""
    experts: Annotated[int, Field(ge=1)] = 13
    """experts; 13 are the categories of UCF-Crime"""
    width: Annotated[float, Field(gt=0)] = 3.0
    """deviation of the Gaussian around a peak, in segments"""
    splat: Annotated[float, Field(ge=0)] = 1.0
    """weight of the soft targets"""
    training: TrainingSpec = TrainingSpec(
        epochs=100,
        patience=15,
        batch=128,
        optimiser="adam",
        learning_rate=1e-4,
        weight_decay=5e-5,
    )
    """as for UR-DMU"""


class GsMoe(MilDetector["GsMoeNetwork"]):
    """Scores snippets by what the gate makes of the experts; see `MilDetector`."""

    Parameters = GsMoeParameters
    parameters: GsMoeParameters
    paper = (
        "Mixture of experts guided by Gaussian splatters matters (GS-MoE), 2025; no public code"
    )
    published = (
        Published(
            "UCF-Crime",
            "frame AUC 91.58 %",
            "official split; the paper's own figure, which we could not verify",
        ),
        Published(
            "XD-Violence",
            "AP 82.9 %",
            "official split; the paper's own figure, which we could not verify",
        ),
    )

    @override
    def make_network(self, dimension: int) -> GsMoeNetwork:
        return GsMoeNetwork(dimension, self.parameters.experts)

    @override
    def loss(self, network: GsMoeNetwork, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        experts_BTE, logits_BT = network(segments_BTD)
        count = segments_BTD.shape[1] // _SHARE + 1
        own_B = (classes_B - 1).clamp_min(0) % self.parameters.experts
        return (
            bag_cross_entropy(top_mean(logits_BT.sigmoid(), count))
            + expert_loss(experts_BTE.sigmoid(), own_B, count)
            + self.parameters.splat * self._splatted(experts_BTE, logits_BT, own_B, count)
        )

    def _splatted(
        self, experts_BTE: Tensor, logits_BT: Tensor, own_B: Tensor, count: int
    ) -> Tensor:
        half = len(own_B) // 2
        own_BT = of_expert(experts_BTE.sigmoid(), own_B)[half:].detach()
        targets_BT = torch.zeros_like(logits_BT)
        targets_BT[half:] = splat(own_BT, count, self.parameters.width)
        return nn.functional.binary_cross_entropy_with_logits(logits_BT, targets_BT)


def of_expert(experts_BTE: Tensor, own_B: Tensor) -> Tensor:
    """Return what the expert of each video says, (B, T)."""
    return experts_BTE[torch.arange(len(own_B), device=own_B.device), :, own_B]


def expert_loss(experts_BTE: Tensor, own_B: Tensor, count: int) -> Tensor:
    """Return how wrongly experts call normal videos and those of their own category."""
    half = len(own_B) // 2
    best_BE = experts_BTE.topk(count, dim=1).values.mean(dim=1)
    own_B = best_BE[half:].gather(1, own_B[half:, None])[:, 0]
    return expect(best_BE[:half], 0.0) + expect(own_B, 1.0)


def splat(scores_BT: Tensor, peaks: int, width: float) -> Tensor:
    """Return soft targets (B, T) in [0, 1]: Gaussians at the highest peaks, the top of each video at 1."""
    length = scores_BT.shape[1]
    padded_BT = nn.functional.pad(scores_BT, (1, 1), value=-torch.inf)
    is_peak_BT = (scores_BT >= padded_BT[:, :-2]) & (scores_BT >= padded_BT[:, 2:])
    peak_BT = torch.where(is_peak_BT, scores_BT, torch.zeros_like(scores_BT))
    height_BK, place_BK = peak_BT.topk(min(peaks, length), dim=1)
    time_T = torch.arange(length, dtype=scores_BT.dtype, device=scores_BT.device)
    far_BKT = (time_T - place_BK[..., None]) / width
    bumps_BKT = height_BK[..., None] * torch.exp(-0.5 * far_BKT.square())
    target_BT = bumps_BKT.amax(dim=1)
    return target_BT / target_BT.amax(dim=1, keepdim=True).clamp_min(1e-12)


class GsMoeNetwork(MilNetwork):
    """A transformer over segments, experts over its vectors, and a gate over both."""

    def __init__(self, dimension: int, experts: int) -> None:
        super().__init__()
        self.encoder = TemporalEncoder(dimension, dropout=0.5)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, 1))
            for _ in range(experts)
        )
        self.gate = nn.Sequential(
            nn.Linear(WIDTH + experts, 128), nn.ReLU(), nn.Linear(128, experts)
        )

    @override
    def forward(self, segments_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of all experts (B, T, E), and what the gate makes of them (B, T)."""
        rows_BTH = self.encoder(segments_BTD)
        experts_BTE = torch.cat([expert(rows_BTH) for expert in self.experts], dim=2)
        weights_BTE = self.gate(torch.cat([rows_BTH, experts_BTE], dim=2)).softmax(dim=2)
        return experts_BTE, (weights_BTE * experts_BTE).sum(dim=2)

    @override
    def score(self, segments_BTD: Tensor) -> Tensor:
        logits_BT: Tensor = self(segments_BTD)[1]
        return logits_BT
