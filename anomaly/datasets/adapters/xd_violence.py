"""XD-Violence: Wu et al., "Not only look, but also listen" (ECCV 2020).

A video's name ends with what happens in it (`label_B2-G-0`; `label_A`: nothing); test videos
also have intervals of frames. The authors do not say how these count; they are taken to count from
0 with the end left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from typing_extensions import override

from anomaly.datasets import Dataset, Published, clipped
from anomaly.datasets.labels import Interval, Truth
from anomaly.errors import SpecError

_TEST_FOLDERS = ("test_videos", "videos", "test")
_CATEGORIES = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}


class XdViolence(Dataset):
    """Scenes of films and of the web, of six kinds of violence and of none."""

    about = "XD-Violence (Wu et al., ECCV 2020)"
    layout = (
        "the archives of the authors' page, unpacked side by side: training videos in 1-1004/, "
        "1005-2004/, 2005-2804/, 2805-3319/ and 3320-3954/, test videos in videos/ (or test_videos/), "
        "and annotations.txt."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {
            "train": Published(videos=3954),
            "test": Published(videos=800, abnormal_videos=500),
        }

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        tests = [folder for folder in _TEST_FOLDERS if (self.root / folder).is_dir()]
        if split == "test":
            return self.files(tests[0] if tests else _TEST_FOLDERS[0])
        folders = sorted(path.name for path in self.root.glob("[!.]*") if path.is_dir())
        return tuple(
            video for folder in folders if folder not in tests for video in self.files(folder)
        )

    @override
    def truth(self, video: str) -> Truth:
        category = _category(video)
        if not video.startswith(_TEST_FOLDERS):
            return Truth(None, category=category)
        intervals = self._intervals.get(_stem(video), []) if category else []
        if category and not intervals:
            raise self.missing(f"intervals of {video!r} in annotations.txt")
        named = [Interval(start, stop, category) for start, stop in intervals]
        return clipped(self.n_frames(video), named)

    @cached_property
    def _intervals(self) -> dict[str, list[tuple[int, int]]]:
        return dict(map(_annotated, self.lines("annotations.txt")))


def _annotated(line: str) -> tuple[str, list[tuple[int, int]]]:
    name, *numbers = line.split()
    if len(numbers) % 2 or not all(number.isdecimal() for number in numbers):
        raise SpecError(
            f"annotations.txt of XD-Violence, line {line!r}: expected name and pairs."
        )
    frames = list(map(int, numbers))
    return _stem(name), list(zip(frames[::2], frames[1::2], strict=True))


def _stem(video: str) -> str:
    """Return the name without folder and suffix; names hold dots of their own."""
    return video.rsplit("/", 1)[-1].removesuffix(".mp4")


def _category(video: str) -> str:
    """Return what happens first in the video, by its name; empty for nothing."""
    codes = _stem(video).rsplit("label_", 1)[-1].split("-")
    return _CATEGORIES.get(codes[0], "" if codes[0] == "A" else codes[0])
