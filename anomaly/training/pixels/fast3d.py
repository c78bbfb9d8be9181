"""FastAno's generator: 3D convolutions over five frames, back to one (Park et al., WACV 2022).

Layer by layer the authors' published network: three halvings in time and space, two joins on the way
back. Batch normalisation; theirs turns to instance normalisation for batches of one.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork


class Fast3d(PixelNetwork):
    """One picture out of five."""

    multiple: ClassVar[int] = 8
    lengths: ClassVar[str] = "5 frames"

    def __init__(self, shape: ClipShape) -> None:
        super().__init__(shape)
        first, second, code = (shape.wide(channels) for channels in (64, 128, 256))
        self.down_1 = nn.Conv3d(shape.channels, first, 3, 2, 1)
        self.down_2 = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv3d(first, second, 3, 2, 1), nn.BatchNorm3d(second)
        )
        self.down_3 = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv3d(second, code, 3, 2, 1), nn.BatchNorm3d(code)
        )
        self.up_3 = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose3d(code, second, 2, 2), nn.BatchNorm3d(second)
        )
        self.up_2 = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose3d(2 * second, first, (3, 4, 4), 2, 1),
            nn.BatchNorm3d(first),
        )
        self.up_1 = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose3d(2 * first, shape.channels, (1, 2, 2), (1, 2, 2), (1, 0, 0)),
            nn.Tanh(),
        )

    @classmethod
    @override
    def reads(cls, length: int) -> bool:
        return length == 5

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        first = self.down_1(2 * clip_BCTHW - 1)
        second = self.down_2(first)
        maps = torch.cat([second, self.up_3(self.down_3(second))], dim=1)
        maps = torch.cat([first, self.up_2(maps)], dim=1)
        return (self.up_1(maps) + 1) / 2
