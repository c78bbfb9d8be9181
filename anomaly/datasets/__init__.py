"""What is true of videos: label files, and the public data sets in their official layouts.

`labels` reads the generic label file, `writing` writes it, `adapters/` holds one file per data
set; `Dataset` is the promise.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from anomaly.datasets.labels import Interval, Truth
from anomaly.errors import SpecError
from anomaly.registry import unknown_name

CountFrames = Callable[[Path], int]
"""Gives the number of frames of a video file or of a folder of images."""

_IMAGE = re.compile(r"\d+\.(tiff?|jpe?g|png|bmp)", re.IGNORECASE)
_VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mkv", ".mov"})


@dataclass(frozen=True)
class Published:
    """What the authors say of one split; None: they do not."""

    videos: int | None = None
    abnormal_videos: int | None = None
    frames: int | None = None
    abnormal_frames: int | None = None


class Dataset(ABC):
    """A data set in the folder `root`, as its authors hand it out; paths are relative to that.

    Frames count from 0 and intervals are half-open, whatever the official files do; intervals
    are clipped to the video.
    """

    about: ClassVar[str]
    """title, authors, year"""
    layout: ClassVar[str]
    """what must lie where, and who hands it out"""
    variants: ClassVar[tuple[str, ...]] = ("",)
    """names of label sets or splits in circulation, the default first"""

    def __init__(self, root: Path, count_frames: CountFrames, variant: str = "") -> None:
        if variant and variant not in self.variants:
            raise unknown_name("variant", variant, list(self.variants))
        self.root = root
        self.variant = variant or self.variants[0]
        self._count_frames = count_frames

    @property
    @abstractmethod
    def published(self) -> Mapping[str, Published]:
        """Counts by name of split, as published."""

    @abstractmethod
    def videos(self, split: str) -> tuple[str, ...]:
        """Return the videos of a split by path, those on official lists even where missing.

        Raises:
            SpecError: an official list is missing or cannot be read.
        """

    @abstractmethod
    def truth(self, video: str) -> Truth:
        """Return what is known of a video.

        Raises:
            SpecError: the official labels are missing or do not fit the video.
        """

    def n_frames(self, video: str) -> int:
        """Return the length of a video.

        Raises:
            SpecError: there is no such video.
        """
        path = self.root / video
        if not path.exists():
            raise self.missing(f"the video {video!r}")
        return len(images(path)) if path.is_dir() else self._count_frames(path)

    def find(self, *paths: str) -> Path:
        """Return the first of some paths that exists.

        Raises:
            SpecError: none does.
        """
        for path in paths:
            if (self.root / path).exists():
                return self.root / path
        raise self.missing(" or ".join(repr(path) for path in paths))

    def lines(self, *paths: str) -> list[str]:
        """Return the lines of the first of some text files that exists, empty ones left out."""
        text = self.find(*paths).read_text(encoding="utf-8-sig")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def files(self, folder: str, suffixes: Iterable[str] = _VIDEO_SUFFIXES) -> tuple[str, ...]:
        """Return the video files of one folder, sorted; hidden ones are no videos."""
        wanted = frozenset(suffixes)
        found = (self.root / folder).glob("[!.]*")
        return tuple(sorted(self.uri(path) for path in found if path.suffix.lower() in wanted))

    def folders(self, folder: str) -> tuple[str, ...]:
        """Return the folders of numbered images below one folder, sorted; masks are no videos."""
        found = (path for path in (self.root / folder).glob("[!.]*") if path.is_dir())
        return tuple(
            sorted(self.uri(path) for path in found if path.name[-3:] != "_gt" and images(path))
        )

    def uri(self, path: Path) -> str:
        """Return a path below the root as the archive names it."""
        return path.relative_to(self.root).as_posix()

    def missing(self, what: str) -> SpecError:
        """Return the error for something that is not where the authors put it."""
        return SpecError(f"{str(self.root)!r} lacks {what}. Expected layout: {self.layout}")


def images(folder: Path) -> list[Path]:
    """Return the numbered images of a folder, in the order of their numbers."""
    found = [path for path in folder.iterdir() if _IMAGE.fullmatch(path.name)]
    return sorted(found, key=lambda path: (int(path.stem), path.name))


def clipped(n_frames: int, intervals: Iterable[Interval]) -> Truth:
    """Return the truth of a video of `n_frames`, what lies beyond its ends cut off."""
    cut = (
        Interval(max(0, one.start), min(n_frames, one.stop), one.category) for one in intervals
    )
    return Truth(n_frames, tuple(one for one in cut if one.start < one.stop))


def truth_of_flags(flags_T: Iterable[object], category: str = "abnormal") -> Truth:
    """Return the truth of a video with one flag a frame, true where it is abnormal."""
    flags = [bool(flag) for flag in flags_T]
    edges = [
        frame
        for frame in range(len(flags) + 1)
        if (frame > 0 and flags[frame - 1]) != (frame < len(flags) and flags[frame])
    ]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return Truth(len(flags), tuple(Interval(start, stop, category) for start, stop in pairs))
