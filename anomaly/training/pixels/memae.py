"""MemAE: a 3D autoencoder with a memory of normal codes (Gong et al., ICCV 2019).

Layers, memory (2000 items of length 256) and weights are those of the authors' code. The network works on
[-1, 1]; clips come and go in [0, 1].
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.layers import Memory, make_memory

_EVERY, _SPACE = (2, 2, 2), (1, 2, 2)


class MemAe(PixelNetwork):
    """As many pictures as are read."""

    lengths: ClassVar[str] = "a multiple of 8 frames"
    memories: ClassVar[tuple[str, ...]] = ("none", "memae", "prototypes")

    def __init__(self, shape: ClipShape, *, memory: Memory = "memae") -> None:
        super().__init__(shape)
        first, second, code = (shape.wide(channels) for channels in (96, 128, 256))
        self.encoder = nn.Sequential(
            *_down(shape.channels, first, _SPACE), *_down(first, second, _EVERY),
            *_down(second, code, _EVERY), *_down(code, code, _EVERY),
        )  # fmt: skip
        self.memory = make_memory(memory, code, shape.share)
        self.decoder = nn.Sequential(
            *_up(code * self.memory.widening, code, _EVERY), *_up(code, second, _EVERY),
            *_up(second, first, _EVERY), _grow(first, shape.channels, _SPACE),
        )  # fmt: skip

    @classmethod
    @override
    def reads(cls, length: int) -> bool:
        return length >= 8 and length % 8 == 0

    @override
    def pictures(self, clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        codes, penalty = self.memory(self.encoder(2 * clip_BCTHW - 1))
        return (self.decoder(codes) + 1) / 2, penalty


def _down(reads: int, gives: int, stride: tuple[int, int, int]) -> list[nn.Module]:
    conv = nn.Conv3d(reads, gives, 3, stride, padding=1)
    return [conv, nn.BatchNorm3d(gives), nn.LeakyReLU(0.2)]


def _grow(reads: int, gives: int, stride: tuple[int, int, int]) -> nn.Module:
    odd = tuple(step - 1 for step in stride)
    return nn.ConvTranspose3d(reads, gives, 3, stride, 1, odd)  # type: ignore[arg-type]


def _up(reads: int, gives: int, stride: tuple[int, int, int]) -> list[nn.Module]:
    return [_grow(reads, gives, stride), nn.BatchNorm3d(gives), nn.LeakyReLU(0.2)]
