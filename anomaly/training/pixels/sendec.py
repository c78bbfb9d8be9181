"""sEnDec: a stacked encoder-decoder 3D network with a ConvLSTM (Ul Amin et al.).

Three encoder blocks look twice at each size (down, up again, joined with what went in); a ConvLSTM sits at
the bottom; four steps up join what the encoder saw at each size. Layer by layer as the published Keras
file: 222,977 numbers for grey. Where we depart: of colour the network foresees the mean of the three
channels, since the published one has one output filter for both; running statistics follow ten times as
fast; and `skips` may leave out all joins across the bottom, through which the input can be copied to the
output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.layers import ConvLstm, same


class Sendec(PixelNetwork):
    """Pictures of one channel, as many as are read."""

    def __init__(self, shape: ClipShape, *, skips: bool = True, dropout: float = 0.5) -> None:
        super().__init__(shape)
        thin, broad = shape.wide(16), shape.wide(32)
        self.skips = skips
        join = broad if skips else 0
        self.first = _Conv(shape.channels, thin)
        self.blocks = nn.ModuleList(
            _Block(reads, thin, broad) for reads in (thin, broad, broad)
        )
        self.shrinks = nn.ModuleList(_Conv(thin, broad, stride=2) for _ in range(3))
        self.bottom = ConvLstm(broad, thin, stride=2, activation="relu")
        below = [thin, broad + join, broad + join]
        self.ups = nn.ModuleList(_Up(reads, thin, join, broad) for reads in below)
        self.last_up = _Up(broad + join, thin, thin if skips else 0, broad)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv3d(broad, 1, (2, 3, 3))

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        first = maps = self.first(clip_BCTHW).relu()
        downs, shrunk = [], []
        for block, shrink in zip(self.blocks, self.shrinks, strict=True):
            down, refined = block(maps)
            maps = shrink(refined).relu()
            downs.append(down)
            shrunk.append(maps)
        maps = self.bottom(maps)
        for up, down, beside in zip(self.ups, reversed(downs), reversed(shrunk), strict=True):
            maps = up(maps, beside if self.skips else None)
            maps = torch.cat([maps, down], dim=1) if self.skips else maps
        maps = self.dropout(self.last_up(maps, first if self.skips else None))
        later = nn.functional.pad(maps, (1, 1, 1, 1, 0, 1))
        return torch.sigmoid(self.out(later))


class _Conv(nn.Module):
    """A 3x3 convolution of each frame, padded as Keras does."""

    def __init__(self, reads: int, gives: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv3d(reads, gives, (1, 3, 3), (1, stride, stride))

    @override
    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        made: Tensor = self.conv(same(maps_BCTHW, 3, self.stride))
        return made


class _Grow(nn.Module):
    """Twice the height and width; each frame sees itself and the one before."""

    def __init__(self, reads: int, gives: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(reads, gives, (2, 3, 3), (1, 2, 2))

    @override
    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        grown: Tensor = self.conv(maps_BCTHW)
        return grown[:, :, :-1, :-1, :-1]


class _Block(nn.Module):
    """Down and up again, joined with what went in; gives both sizes."""

    def __init__(self, reads: int, thin: int, broad: int) -> None:
        super().__init__()
        self.down = _Conv(reads, broad, stride=2)
        self.up = _Grow(broad, thin)
        self.norm = _norm(reads + thin)
        self.refine = _Conv(reads + thin, thin)

    @override
    def forward(self, maps_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        down = self.down(maps_BCTHW).relu()
        both = torch.cat([maps_BCTHW, self.up(down)], dim=1)
        return down, self.refine(self.norm(both)).relu()


class _Up(nn.Module):
    """Up by two, joined with the encoder's maps of that size."""

    def __init__(self, reads: int, thin: int, join: int, gives: int) -> None:
        super().__init__()
        self.up = _Grow(reads, thin)
        self.conv = _Conv(thin + join, gives)
        self.norm = _norm(gives)

    @override
    def forward(self, maps_BCTHW: Tensor, beside_BCTHW: Tensor | None) -> Tensor:
        maps = self.up(maps_BCTHW)
        if beside_BCTHW is not None:
            maps = torch.cat([maps, beside_BCTHW], dim=1)
        return self.norm(self.conv(maps)).relu()


def _norm(channels: int) -> nn.BatchNorm3d:
    # Keras's pace of 0.01 leaves first guesses in the running statistics for hundreds of steps.
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.1)
