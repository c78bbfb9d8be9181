"""ROOM 1: from an archive to frames.

`archive` finds the videos, `probe` reads their facts, `decode` yields their frames from a child process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.shapes import expect
from anomaly.spec import spec

DEFAULT_EXCLUDES = ("masks/", "*_gt")


@spec
class ArchiveSpec:
    """Where videos come from and how their names are read."""

    root: str
    """folder, glob, list file (.txt, .csv, .parquet; of paths, s3:// and https:// urls), tar file or glob
    of them, or s3:// prefix"""
    name: str = ""
    """name in tables; empty: the last part of the root"""
    pattern: str = ""
    """regular expression on the relative path with named groups `camera` and `time` (or year, month,
    day, hour, minute, second); empty: the camera is the parent folder, the start time is unknown"""
    time_format: str = "%Y%m%d_%H%M%S"
    """strptime format of the group `time`"""
    time_zone: str = "UTC"
    """IANA name of the cameras' clock"""
    repeated_hour: Literal["first", "second"] = "first"
    """which one is meant when clocks are set back"""
    exclude: tuple[str, ...] = DEFAULT_EXCLUDES
    """globs of paths to leave out; a trailing slash means a folder; hidden files and the root of our
    own stores are always left out"""


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """One video as a look at the archive shows it; nothing of it has been read."""

    archive: str
    uri: str
    """path relative to the archive's root, with forward slashes"""
    location: str
    """where to open it: an absolute local path, an s3:// or https:// url, or a place in a tar file"""
    bytes: int
    modified: str
    """mtime in nanoseconds, or an etag; with `uri` and `bytes` it decides what is new"""
    camera: str
    start_time: datetime | None
    """aware, in the cameras' time zone; None when the name does not tell"""
    kind: Literal["file", "frames"] = "file"
    """a video file, or a folder of numbered images"""

    @property
    def date(self) -> str | None:
        """Camera-local date of the start of the video, `YYYY-MM-DD`."""
        return None if self.start_time is None else self.start_time.date().isoformat()


@dataclass(frozen=True, kw_only=True)
class Video:
    """Facts of one video, read from its container; `n_frames` of a header may lie."""

    n_frames: int | None
    rate: Fraction | None
    height: int
    width: int
    """of the stored picture"""
    codec: str
    rotation: int
    """degrees clockwise that a player turns the picture: 0, 90, 180 or 270"""

    @property
    def shown_size(self) -> tuple[int, int]:
        """Height and width of the picture that a player shows."""
        stored = self.height, self.width
        return stored[::-1] if self.rotation % 180 else stored


@spec
class PixelSpec:
    """What a consumer asks of the decoder; resizing happens inside the decoder's scaler."""

    color: Literal["rgb", "gray"] = "rgb"
    resize: Literal["none", "short_side", "limit_height", "exact"] = "none"
    """short_side: the shorter side becomes `height`; limit_height: larger pictures are scaled down to
    `height`, aspect kept, smaller ones stay; exact: `height` x `width`"""
    height: int = 0
    width: int = 0
    filter: Literal["area", "bilinear", "bicubic", "lanczos"] = "area"
    stride: int = 1
    """keep frames whose index is a multiple of it"""
    frames: Literal["all", "key"] = "all"
    """key: only frames that are stored whole, which takes a fraction of the time"""
    bad_frames: Literal["skip", "repeat", "fail"] = "skip"
    """what becomes of a frame that cannot be decoded: a hole in the numbers, the picture before it once
    more, or the end of the video, which is then bad as a whole"""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) in pixels of what is handed out for a picture of the given size."""
        if self.resize == "exact":
            return self.height, self.width
        if self.resize == "short_side":
            scale = self.height / min(height, width)
        elif self.resize == "limit_height" and height > self.height:
            scale = self.height / height
        else:
            return height, width
        return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True)
class FrameBatch:
    """Some consecutive decoded frames.

    `index_B` is the rank of the frame's presentation time among all packets of the file, so a packet
    that cannot be decoded leaves a hole in the numbers, not a shift. `seconds_B` is presentation time
    from the first frame of the video.
    """

    pixels_BHWC: NDArray[np.uint8]
    index_B: NDArray[np.int64]
    seconds_B: NDArray[np.float64]

    def __post_init__(self) -> None:
        expect("pixels", self.pixels_BHWC, "B H W C")
        expect("index", self.index_B, "B", B=len(self.pixels_BHWC))
        expect("seconds", self.seconds_B, "B", B=len(self.pixels_BHWC))
        if np.any(np.diff(self.index_B) <= 0):
            raise StoreError(f"frame index must grow, found {self.index_B.tolist()}.")

    def __len__(self) -> int:
        return len(self.index_B)


@dataclass(frozen=True, kw_only=True)
class DecodeReport:
    """What decoding one video came to; complete once the stream has ended."""

    video: Video
    n_frames: int
    """length of the video in frames, holes counted: highest index + 1"""
    n_decoded: int
    n_damaged: int
    """frames inside the length that no picture came out of"""
    duration_seconds: float
    decoder: str
    """the decoder that delivered, which is the fallback after a restart"""
    restarts: int = 0


__all__ = [
    "DEFAULT_EXCLUDES",
    "ArchiveSpec",
    "DecodeReport",
    "FrameBatch",
    "PixelSpec",
    "Video",
    "VideoFile",
]
