"""The U-Net of future-frame prediction (Liu et al., CVPR 2018), with MNAD's memory as an option.

Frames are stacked as channels; 64-128-256-512 channels, two convolutions each, joins at every size. What
the paper adds to the loss on intensity and gradients is left out: optical flow needs a network of its own,
the patch discriminator a second optimiser.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.layers import Memory, make_memory


class UnetPredict(PixelNetwork):
    """As many pictures as are asked for."""

    multiple: ClassVar[int] = 8
    memories: ClassVar[tuple[str, ...]] = ("none", "memae", "prototypes")

    def __init__(
        self, shape: ClipShape, *, memory: Memory = "none", skips: bool = True
    ) -> None:
        super().__init__(shape)
        widths = [shape.wide(channels) for channels in (64, 128, 256, 512)]
        reads = [shape.channels * shape.length, *widths[:-1]]
        self.skips = skips
        self.downs = nn.ModuleList(_twice(*pair) for pair in zip(reads, widths, strict=True))
        self.memory = make_memory(memory, widths[-1], shape.share)
        self.widen = _twice(widths[-1] * self.memory.widening, widths[-1])
        steps = list(pairwise(reversed(widths)))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 3, 2, 1, 1) for below, above in steps
        )
        self.joins = nn.ModuleList(_twice((1 + skips) * above, above) for _, above in steps)
        self.out = nn.Conv2d(widths[0], shape.channels * shape.pictures, 3, padding=1)

    @override
    def pictures(self, clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        maps = 2 * clip_BCTHW.flatten(1, 2) - 1
        seen: list[Tensor] = []
        for down in self.downs:
            if seen:
                maps = nn.functional.max_pool2d(maps, 2)
            maps = down(maps)
            seen.append(maps)
        codes, penalty = self.memory(maps)
        maps = self.widen(codes)
        for up, join, beside in zip(self.ups, self.joins, reversed(seen[:-1]), strict=True):
            maps = up(maps)
            maps = join(torch.cat([maps, beside], dim=1) if self.skips else maps)
        made = torch.tanh(self.out(maps))
        made = made.reshape(len(made), self.shape.channels, -1, *made.shape[2:])
        return (made + 1) / 2, penalty


def _twice(reads: int, gives: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(reads, gives, 3, padding=1), nn.BatchNorm2d(gives), nn.ReLU(),
        nn.Conv2d(gives, gives, 3, padding=1), nn.BatchNorm2d(gives), nn.ReLU(),
    )  # fmt: skip
