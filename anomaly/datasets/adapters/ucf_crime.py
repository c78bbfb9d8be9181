"""UCF-Crime: Sultani, Chen, Shah, "Real-world anomaly detection in surveillance videos" (CVPR 2018).

Training videos are labelled as a whole, test videos by at most two intervals, from 1 and
inclusive; some end a frame or two beyond the video and are clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from typing_extensions import override

from anomaly.datasets import Published, clipped
from anomaly.datasets.adapters._ucf import UcfVideos
from anomaly.datasets.labels import Interval, Truth
from anomaly.errors import SpecError

_SPLITS = "Anomaly_Detection_splits"
_ANNOTATION = "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"


class UcfCrime(UcfVideos):
    """Untrimmed surveillance video of thirteen kinds of crime and accident."""

    about = "UCF-Crime (Sultani, Chen, Shah, CVPR 2018)"
    layout = (
        "the archives of the Center for Research in Computer Vision, UCF, unpacked side by side: "
        "Abuse/Abuse001_x264.mp4 (at any depth), Anomaly_Detection_splits/Anomaly_Train.txt and "
        f"Anomaly_Test.txt, {_ANNOTATION} (or Temporal_Anomaly_Annotation.txt)."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {
            "train": Published(videos=1610, abnormal_videos=810),
            "test": Published(
                videos=290, abnormal_videos=140, frames=1_111_808, abnormal_frames=84_338
            ),
        }

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        name = f"Anomaly_{split.capitalize()}.txt"
        return tuple(map(self.video_named, self.lines(f"{_SPLITS}/{name}", name)))

    @override
    def truth(self, video: str) -> Truth:
        found = self._intervals.get(_stem(video))
        if found is None:
            return Truth(None, category=_category(video))
        return clipped(self.n_frames(video), found)

    @cached_property
    def _intervals(self) -> dict[str, list[Interval]]:
        """The intervals of each test video, by its name without suffix."""
        lines = self.lines(
            _ANNOTATION, f"{_SPLITS}/{_ANNOTATION}", "Temporal_Anomaly_Annotation.txt"
        )
        return dict(map(_annotated, lines))


def _annotated(line: str) -> tuple[str, list[Interval]]:
    """Read `name category start stop start stop`; -1 stands for no interval."""
    words = line.split()
    if len(words) != 6 or not all(word.lstrip("-").isdecimal() for word in words[2:]):
        raise SpecError(
            f"Temporal annotation of UCF-Crime, line {line!r}: expected name, category and four numbers."
        )
    name, category, *numbers = words
    starts, stops = map(int, numbers[::2]), map(int, numbers[1::2])
    pairs = zip(starts, stops, strict=True)
    return _stem(name), [Interval(a - 1, b, category) for a, b in pairs if a >= 0]


def _stem(video: str) -> str:
    return Path(video).stem.removesuffix("_x264")


def _category(video: str) -> str:
    """Return the kind of crime from the name, empty for a normal video."""
    kind = _stem(video).rstrip("0123456789").rstrip("_")
    return "" if kind.startswith("Normal") else kind
