"""The CNN-LSTM autoencoder of the UCSD notebooks (supriyo97), after Chong and Tay (2017).

Each frame is described by convolutions, three ConvLSTMs follow the descriptions in time, transposed
convolutions draw them again. Filters and sizes are the notebooks'; the ConvLSTMs are Keras's.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.layers import ConvLstm, per_frame, same


class ConvLstmAutoencoder(PixelNetwork):
    """As many pictures as are read."""

    together: ClassVar[int] = 1  # its frames are a batch already

    def __init__(self, shape: ClipShape) -> None:
        super().__init__(shape)
        coarse, middle, fine = (shape.wide(channels) for channels in (256, 128, 64))
        half = shape.wide(32)
        self.encoder = nn.Sequential(
            *_conv(shape.channels, coarse, 11, 4), *_conv(coarse, middle, 5, 2),
            *_conv(middle, fine, 3, 1),
        )  # fmt: skip
        self.recurrent = nn.Sequential(
            *_recurrent(fine, fine), *_recurrent(fine, half), *_recurrent(half, fine)
        )
        self.decoder = nn.Sequential(
            *_grow(fine, fine, 3, 1), *_grow(fine, middle, 5, 2), *_grow(middle, coarse, 11, 4),
            nn.Conv2d(coarse, shape.channels, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        return per_frame(self.decoder, self.recurrent(per_frame(self.encoder, clip_BCTHW)))


class _Same(nn.Module):
    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    @override
    def forward(self, maps_BCHW: Tensor) -> Tensor:
        return same(maps_BCHW, self.kernel, self.stride)


def _conv(reads: int, gives: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(reads, gives, kernel, stride)
    return [_Same(kernel, stride), conv, nn.BatchNorm2d(gives), nn.ReLU()]


def _grow(reads: int, gives: int, kernel: int, stride: int) -> list[nn.Module]:
    around, odd = (kernel - stride + 1) // 2, (kernel - stride) % 2
    conv = nn.ConvTranspose2d(reads, gives, kernel, stride, around, odd)
    return [conv, nn.BatchNorm2d(gives), nn.ReLU()]


def _recurrent(reads: int, gives: int) -> list[nn.Module]:
    return [ConvLstm(reads, gives), nn.BatchNorm3d(gives), nn.ReLU()]
