"""Decoders, one file each: from a path to pictures.

They read untrusted files with native code, so nothing but the child process of `anomaly.video.decode`
runs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import VideoError
from anomaly.registry import Registry
from anomaly.video import DecodeReport, FrameBatch, PixelSpec, Video
from anomaly.video.remote import Source


@dataclass(frozen=True)
class Picture:
    """One frame as handed out; `pixels_HWC` has three channels or one."""

    pixels_HWC: NDArray[np.uint8]
    index: int
    seconds: float


class Decoder(ABC):
    """Reads one video from its first frame to its last, in a stream of constant memory.

    A subclass is one file in `video/decoders/`. Its `pictures` sets `video` before the first picture
    and keeps `n_frames`, `n_decoded`, `n_left_out` and `duration_seconds` true at the end.
    """

    name: str
    reads_key_frames: ClassVar[bool] = False
    """whether `pictures` can leave out all but key frames"""
    rival: ClassVar[str] = ""
    """a decoder that reads a video instead, where it is faster or this one cannot"""

    def __init__(self, beat: Callable[[], None] = lambda: None) -> None:
        """Make a decoder for one video; `beat` is called whenever there is progress of any kind."""
        self.beat = beat
        self.only: frozenset[int] = frozenset()
        """the frames that are wanted; empty: all"""
        self.video: Video | None = None
        self.n_frames = 0
        self.n_decoded = 0
        self.n_left_out = 0
        """frames that were not decoded because nobody wants them"""
        self.duration_seconds = 0.0

    @abstractmethod
    def pictures(self, path: Source, pixels: PixelSpec) -> Iterator[Picture]:
        """Yield every picture that `pixels` asks for, index growing, all of one size.

        Raises:
            VideoError: the file cannot be opened, or ends without a picture.
        """

    def frames(self, path: Source, pixels: PixelSpec, batch: int) -> Iterator[FrameBatch]:
        """Yield the pictures `batch` at a time; the last batch may be shorter.

        Raises:
            VideoError: the file cannot be opened, or ends without a picture, or has lost frames and
                `pixels` says that it is bad then.
        """
        if pixels.frames == "key" and not self.reads_key_frames:
            raise VideoError(
                "unreadable", f"{self.name} cannot read the key frames of {path} alone."
            )
        pictures = self.pictures(path, pixels)
        if pixels.bad_frames == "repeat":
            pictures = self._repeated(pictures, pixels.stride)
        elif pixels.bad_frames == "fail":
            pictures = self._all_or_none(pictures)
        if self.only:
            pictures = self._wanted(pictures)
        waiting: list[Picture] = []
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) == batch:
                yield _stacked(waiting)
                waiting = []
        if waiting:
            yield _stacked(waiting)

    @property
    def megapixels(self) -> float:
        """All pixels of the video in millions, as far as its length is known."""
        video = self.video
        return 0.0 if video is None else self.n_frames * video.height * video.width / 1e6

    @property
    def n_damaged(self) -> int:
        """Frames inside the length that no picture came out of, so far as the end is reached."""
        return max(0, self.n_frames - self.n_decoded - self.n_left_out)

    def _wanted(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Hand on those of `only`, and read no farther than the last of them."""
        last = max(self.only)
        for picture in pictures:
            if picture.index in self.only:
                yield picture
            if picture.index >= last:
                return

    def _repeated(self, pictures: Iterator[Picture], stride: int) -> Iterator[Picture]:
        """Fill each hole with the picture before it; one at the very start with the first picture."""
        before: Picture | None = None
        for picture in pictures:
            for index in range(
                0 if before is None else before.index + stride, picture.index, stride
            ):
                first = before or replace(picture, index=0, seconds=0.0)
                step = (picture.seconds - first.seconds) / (picture.index - first.index)
                seconds = first.seconds + (index - first.index) * step
                yield replace(first, index=index, seconds=seconds)
            yield picture
            before = picture
        if before is not None:
            step = self.duration_seconds / self.n_frames
            for index in range(before.index + stride, self.n_frames, stride):
                seconds = before.seconds + (index - before.index) * step
                yield replace(before, index=index, seconds=seconds)

    def _all_or_none(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Hand pictures on and end with an error when one was missing."""
        yield from pictures
        if self.n_damaged:
            raise VideoError(
                "frames_lost",
                f"{self.n_damaged} of {self.n_frames} frames cannot be decoded, and bad_frames is 'fail'.",
            )

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
            n_damaged=self.n_damaged,
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
