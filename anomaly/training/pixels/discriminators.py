"""Two discriminators that a network of pictures plays against: one of pictures, one of clips.

After CT-D2GAN (Feng et al., ACM MM 2021), of which no code is public. Assumed, and kept small: both tell
patches apart (Isola et al., CVPR 2017) by least squares (Mao et al., ICCV 2017), have three halvings of 32,
64 and 128 channels without normalisation, and count alike; the one of clips sees the frames read and the
one foreseen. They learn in the same step and by the same optimiser as the network, each side against the
other as it was before the step, so a run is killed and resumed like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from anomaly.training.pixels import ClipShape

_CHANNELS = (32, 64, 128)


class Discriminators(nn.Module):
    """Learns which pictures are real, and says how little the network deceives it."""

    def __init__(self, shape: ClipShape, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.of_pictures = _Patches(shape, frames=1)
        self.of_clips = _Patches(shape, frames=3)

    @override
    def forward(self, seen_BCTHW: Tensor, made_BCTHW: Tensor, real_BCTHW: Tensor) -> Tensor:
        """Return what both lose on their own, and `weight` times what the network loses to them.

        The first moves the discriminators alone, the second the network alone.
        """
        in_clip, in_fake = (
            torch.cat([seen_BCTHW, end], dim=2) for end in (real_BCTHW, made_BCTHW)
        )
        loss = torch.zeros((), device=made_BCTHW.device)
        for judge, real, made in (
            (self.of_pictures, real_BCTHW, made_BCTHW),
            (self.of_clips, in_clip, in_fake),
        ):
            told_apart = (judge(real) - 1).square().mean() + judge(
                made.detach()
            ).square().mean()
            still = {name: value.detach() for name, value in judge.named_parameters()}
            deceived = (functional_call(judge, still, (made,)) - 1).square().mean()
            loss = loss + told_apart / 2 + self.weight * deceived
        return loss


class _Patches(nn.Module):
    """One number for each patch of clips: near 1 for real ones."""

    def __init__(self, shape: ClipShape, frames: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        reads, around = shape.channels, (frames // 2, 1, 1)
        for gives in map(shape.wide, _CHANNELS):
            layers += [nn.Conv3d(reads, gives, (frames, 4, 4), (1, 2, 2), around)]
            layers += [nn.LeakyReLU(0.2)]
            reads = gives
        self.layers = nn.Sequential(*layers, nn.Conv3d(reads, 1, (frames, 3, 3), 1, around))

    @override
    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        told: Tensor = self.layers(clips_BCTHW)
        return told
