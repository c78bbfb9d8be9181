"""Networks that rebuild or foresee pictures, one file each; what they share is here and in `layers`.

A clip is (B, C, T, H, W) with values in [0, 1]. A network gives pictures of the same size: all T of them,
or fewer (the next one, the one in the middle).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.errors import SpecError


@dataclass(frozen=True)
class ClipShape:
    """What a network reads and how wide it is built."""

    channels: int
    """1 for grey, 3 for colour"""
    length: int
    """frames that the network reads"""
    height: int
    width: int
    pictures: int
    """how many pictures are asked for: `length`, or 1"""
    share: float = 1.0
    """share of the published channels of each layer"""

    def wide(self, channels: int) -> int:
        """Return how many channels a layer of so many published ones has."""
        return max(2, round(channels * self.share))


class Rebuilt(NamedTuple):
    """What a network made of a clip."""

    pictures_BCTHW: Tensor
    penalty: Tensor
    """what the loss adds, 0 for most networks"""


class PixelNetwork(nn.Module):
    """A network for clips of one shape."""

    multiple: ClassVar[int] = 16
    """height and width must be multiples of it"""
    lengths: ClassVar[str] = "at least 1 frame"
    """which lengths it can read, in words"""
    memories: ClassVar[tuple[str, ...]] = ("none",)
    """kinds of memory that it can be built with"""
    together: ClassVar[int] = 4
    """how many small clips are quickest scored at once; PyTorch's convolutions of a single one are slow"""

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        if shape.height % self.multiple or shape.width % self.multiple:
            raise SpecError(
                f"{type(self).__name__} reads frames of {shape.height}x{shape.width}, expected "
                f"multiples of {self.multiple}: choose height and width of the backbone 'frames'."
            )
        if not self.reads(shape.length):
            raise SpecError(
                f"{type(self).__name__} cannot read {shape.length} frames: expected {self.lengths}. "
                "Choose the detector's `length`."
            )
        self.shape = shape

    @classmethod
    def reads(cls, length: int) -> bool:
        """Say whether it can read so many frames."""
        return length >= 1

    @abstractmethod
    def pictures(self, clip_BCTHW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the pictures, with a penalty where there is one."""

    def opposed(self, seen_BCTHW: Tensor, made_BCTHW: Tensor, real_BCTHW: Tensor) -> Tensor:
        """Return what the loss adds in training where the network plays against others; mostly 0."""
        del seen_BCTHW, real_BCTHW
        return torch.zeros((), device=made_BCTHW.device)

    @override
    def forward(self, clip_BCTHW: Tensor) -> Rebuilt:
        """Return what becomes of clips."""
        made = self.pictures(clip_BCTHW)
        if isinstance(made, tuple):
            return Rebuilt(*made)
        return Rebuilt(made, torch.zeros((), device=made.device))
