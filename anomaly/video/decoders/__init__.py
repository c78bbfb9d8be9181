"""Decoders, one file each: from a path to pictures.

They read untrusted files with native code, so nothing but the child process of `anomaly.video.decode`
runs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import VideoError
from anomaly.registry import Registry
from anomaly.video import DecodeReport, FrameBatch, PixelSpec, Video


@dataclass(frozen=True)
class Picture:
    """One frame as handed out; `pixels_HWC` has three channels or one."""

    pixels_HWC: NDArray[np.uint8]
    index: int
    seconds: float


class Decoder(ABC):
    """Reads one video from its first frame to its last, in a stream of constant memory.

    A subclass is one file in `video/decoders/`. Its `pictures` sets `video` before the first picture
    and keeps `n_frames`, `n_decoded` and `duration_seconds` true at the end.
    """

    name: str

    def __init__(self, beat: Callable[[], None] = lambda: None) -> None:
        """Make a decoder for one video; `beat` is called whenever there is progress of any kind."""
        self.beat = beat
        self.video: Video | None = None
        self.n_frames = 0
        self.n_decoded = 0
        self.duration_seconds = 0.0

    @abstractmethod
    def pictures(self, path: Path, pixels: PixelSpec) -> Iterator[Picture]:
        """Yield every picture that `pixels` asks for, index growing, all of one size.

        Raises:
            VideoError: the file cannot be opened, or ends without a picture.
        """

    def frames(self, path: Path, pixels: PixelSpec, batch: int) -> Iterator[FrameBatch]:
        """Yield the pictures `batch` at a time; the last batch may be shorter.

        Raises:
            VideoError: the file cannot be opened, or ends without a picture.
        """
        waiting: list[Picture] = []
        for picture in self.pictures(path, pixels):
            waiting.append(picture)
            if len(waiting) == batch:
                yield _stacked(waiting)
                waiting = []
        if waiting:
            yield _stacked(waiting)

    def report(self) -> DecodeReport:
        """Return what decoding came to, once `frames` has ended.

        Raises:
            VideoError: nothing was decoded.
        """
        if self.video is None:
            raise VideoError("no_frame", "no picture was decoded.")
        return DecodeReport(
            video=self.video,
            n_frames=self.n_frames,
            n_decoded=self.n_decoded,
            n_damaged=self.n_frames - self.n_decoded,
            duration_seconds=self.duration_seconds,
            decoder=self.name,
        )


def decoders() -> Registry[Decoder]:
    """The registry of decoders."""
    return Registry("anomaly.video.decoders", Decoder, "decoder")


def scaled(
    rgb_HWC: NDArray[Any], pixels: PixelSpec, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return an RGB picture in the colour that `pixels` asks for, at `size` (height, width).

    For decoders without a scaler of their own.
    """
    import cv2

    if pixels.color == "gray":
        rgb_HWC = cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2GRAY)
    if rgb_HWC.shape[:2] != size:
        flag = {
            "area": cv2.INTER_AREA,
            "bilinear": cv2.INTER_LINEAR,
            "bicubic": cv2.INTER_CUBIC,
            "lanczos": cv2.INTER_LANCZOS4,
        }[pixels.filter]
        rgb_HWC = cv2.resize(rgb_HWC, (size[1], size[0]), interpolation=flag)
    return np.asarray(rgb_HWC, dtype=np.uint8).reshape(*size, -1)


def _stacked(pictures: list[Picture]) -> FrameBatch:
    return FrameBatch(
        np.stack([picture.pixels_HWC for picture in pictures]),
        np.array([picture.index for picture in pictures], dtype=np.int64),
        np.array([picture.seconds for picture in pictures], dtype=np.float64),
    )
