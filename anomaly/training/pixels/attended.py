"""Three networks that let frames attend to each other between a drawing-in and a drawing-out.

`state`: STATE's appearance stream (Wang et al., "Video anomaly detection by the reconstruction great
again"): encoder 32-64-128, three layers of attention with four heads. Where we depart: whole small frames
instead of patches of detected objects, no flow stream.

`ct_predict`: CT-D2GAN's generator (Feng et al., ACM MM 2021): encoder, attention over the frames' maps,
decoder of the next frame from the last frame's map; the paper's two discriminators are an option.

`bidirectional`: the hybrid that foresees the middle frame from both sides: attention within either side,
a ConvLSTM that walks from each end to the gap, and a decoder of both last states.

No code of the three is public: channels, heads and depth are ours where no figure is given.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.discriminators import Discriminators
from anomaly.training.pixels.layers import ConvLstm, FrameAttention, per_frame

_HEADS = 4


class _Attended(PixelNetwork):
    """Encoder, attention, decoder."""

    multiple: ClassVar[int] = 4
    depth: ClassVar[int] = 3

    def __init__(self, shape: ClipShape) -> None:
        super().__init__(shape)
        widths = [shape.wide(channels) for channels in (32, 64)]
        self.code = code = -(-shape.wide(128) // _HEADS) * _HEADS
        self.encoder = nn.Sequential(
            _twice(shape.channels, widths[0]), nn.MaxPool2d(2),
            _twice(widths[0], widths[1]), nn.MaxPool2d(2), _twice(widths[1], code),
        )  # fmt: skip
        self.attention = nn.Sequential(
            *(FrameAttention(code, _HEADS, self.attended) for _ in range(self.depth))
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(self.drawn, widths[1], 2, 2), _twice(widths[1], widths[1]),
            nn.ConvTranspose2d(widths[1], widths[0], 2, 2), _twice(widths[0], widths[0]),
            nn.Conv2d(widths[0], shape.channels, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    @property
    def attended(self) -> int:
        """How many frames attend to each other."""
        return self.shape.length

    @property
    def drawn(self) -> int:
        """How many channels the decoder reads."""
        return self.code


class State(_Attended):
    """As many pictures as are read."""

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        return per_frame(self.decoder, self.attention(per_frame(self.encoder, clip_BCTHW)))


class CtPredict(_Attended):
    """The next picture; with `adversarial` above 0 it learns against two discriminators too."""

    def __init__(self, shape: ClipShape, *, adversarial: float = 0.0) -> None:
        super().__init__(shape)
        self.judges = Discriminators(shape, adversarial) if adversarial else None

    @override
    def opposed(self, seen_BCTHW: Tensor, made_BCTHW: Tensor, real_BCTHW: Tensor) -> Tensor:
        if self.judges is None:
            return super().opposed(seen_BCTHW, made_BCTHW, real_BCTHW)
        against: Tensor = self.judges(seen_BCTHW, made_BCTHW, real_BCTHW)
        return against

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        maps = self.attention(per_frame(self.encoder, clip_BCTHW))
        return per_frame(self.decoder, maps[:, :, -1:])


class Bidirectional(_Attended):
    """The picture between the first and the second half."""

    lengths: ClassVar[str] = "an even number of frames"
    depth: ClassVar[int] = 1

    def __init__(self, shape: ClipShape) -> None:
        super().__init__(shape)
        self.bridge = ConvLstm(self.code, self.code)

    @classmethod
    @override
    def reads(cls, length: int) -> bool:
        return length >= 2 and length % 2 == 0

    @property
    @override
    def attended(self) -> int:
        return self.shape.length // 2

    @property
    @override
    def drawn(self) -> int:
        return 2 * self.code

    @override
    def pictures(self, clip_BCTHW: Tensor) -> Tensor:
        maps = per_frame(self.encoder, clip_BCTHW)
        before, after = maps[:, :, : self.attended], maps[:, :, self.attended :].flip(2)
        ends = [self.bridge(self.attention(side))[:, :, -1:] for side in (before, after)]
        return per_frame(self.decoder, torch.cat(ends, dim=1))


def _twice(reads: int, gives: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(reads, gives, 3, padding=1), nn.BatchNorm2d(gives), nn.ReLU(),
        nn.Conv2d(gives, gives, 3, padding=1), nn.BatchNorm2d(gives), nn.ReLU(),
    )  # fmt: skip
