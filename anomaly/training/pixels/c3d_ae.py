"""The C3D autoencoders of the UCSD notebooks (supriyo97), small and large, after Tran et al. (2015).

Four 3D convolutions, each halved in time and space by pooling; transposed ones back. Filters, sizes and
order (ReLU, normalisation, pooling, dropout) are the notebooks'.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork

_Layer = tuple[int, int, int]
"""channels, kernel, stride of a transposed convolution"""
_DOWN: dict[str, list[tuple[int, int]]] = {
    "small": [(32, 5), (64, 5), (128, 3), (256, 3)],
    "large": [(32, 3), (64, 3), (128, 3), (256, 3)],
}
_UP: dict[str, list[_Layer]] = {
    "small": [(256, 3, 2), (128, 3, 2), (64, 5, 2), (32, 5, 2)],
    "large": [(512, 3, 2), (256, 3, 2), (128, 3, 2), (64, 5, 1), (32, 3, 2)],
}
_BOTTOM = 512


class C3dAutoencoder(PixelNetwork):
    """As many pictures as are read."""

    lengths: ClassVar[str] = "a multiple of 16 frames"

    def __init__(self, shape: ClipShape, *, size: Literal["small", "large"] = "small") -> None:
        super().__init__(shape)
        dropout = 0.25 if size == "small" else 0.2
        layers: list[nn.Module] = []
        reads = shape.channels
        for channels, kernel in _DOWN[size]:
            gives = shape.wide(channels)
            conv = nn.Conv3d(reads, gives, kernel, padding=kernel // 2)
            pool, drop = nn.MaxPool3d(2), nn.Dropout(dropout)
            layers += [conv, nn.ReLU(), nn.BatchNorm3d(gives), pool, drop]
            reads = gives
        if size == "large":
            gives = shape.wide(_BOTTOM)
            conv = nn.Conv3d(reads, gives, 3, padding=1)
            layers += [conv, nn.ReLU(), nn.BatchNorm3d(gives), nn.Dropout(dropout)]
            reads = gives
        for channels, kernel, stride in _UP[size]:
            gives = shape.wide(channels)
            grow = nn.ConvTranspose3d(reads, gives, kernel, stride, kernel // 2, stride - 1)
            layers += [grow, nn.ReLU(), nn.BatchNorm3d(gives), nn.Dropout(dropout)]
            reads = gives
        last = nn.Conv3d(reads, shape.channels, 3, padding=1)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    @classmethod
    @override
    def reads(cls, length: int) -> bool:
        return length >= 16 and length % 16 == 0

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        made: Tensor = self.layers(clip_BCTHW)
        return made
