"""UCFCrime2Local: Landi, Snoek, Cucchiara, "Anomaly locality in video surveillance" (2019).

A part of UCF-Crime with a box around what is abnormal in each frame: a frame is abnormal where
a box is in view. Frames of a track count from 0 or from 1, as its first line shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from anomaly.datasets import Published, clipped, truth_of_flags
from anomaly.datasets.adapters._ucf import UcfVideos
from anomaly.datasets.labels import Truth
from anomaly.errors import SpecError

_FRAME, _LOST = 5, 6  # columns of a track


class UcfCrime2Local(UcfVideos):
    """Six human kinds of crime of UCF-Crime, and normal videos."""

    about = "UCFCrime2Local (Landi, Snoek, Cucchiara, 2019)"
    layout = (
        "the UCFCrime2Local archive of AImageLab Modena: annotations/Arrest001.txt, "
        "Train_split_AD.txt, Test_split_AD.txt; beside it the videos of UCF-Crime (at any depth)."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {"train": Published(), "test": Published()}

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        name = f"{split.capitalize()}_split_AD.txt"
        lines = self.lines(name, name.replace("_", " "))
        return tuple(self.video_named(line.split()[0]) for line in lines)

    @override
    def truth(self, video: str) -> Truth:
        stem = Path(video).stem.removesuffix("_x264")
        n_frames = self.n_frames(video)
        if stem.startswith("Normal"):
            return Truth(n_frames)
        seen = _frames_in_view(self.lines(f"annotations/{stem}.txt", f"{stem}.txt"), stem)
        flags = (frame in seen for frame in range(n_frames))
        category = stem.rstrip("0123456789")
        return clipped(n_frames, truth_of_flags(flags, category).intervals)


def _frames_in_view(lines: list[str], name: str) -> set[int]:
    """Return the frames, from 0, in which a track of VATIC's format shows a box."""
    rows = [line.split() for line in lines]
    if any(len(row) <= _LOST or not row[_FRAME].isdecimal() for row in rows):
        raise SpecError(
            f"Tracks of {name!r}: expected lines of track, four corners, frame, lost, occluded, "
            "generated, label."
        )
    first = 0 if rows and int(rows[0][_FRAME]) == 0 else 1
    return {int(row[_FRAME]) - first for row in rows if row[_LOST] == "0"}
