"""What UCSD Ped1 and Ped2 have in common."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from anomaly.datasets import Dataset, clipped, images
from anomaly.datasets.labels import Interval, Truth
from anomaly.errors import SpecError

_CLIP = re.compile(r"gt_frame\s*=\s*\[([^\]]*)\]")
_RANGE = re.compile(r"(\d+)\s*:\s*(\d+)")


class UcsdDataset(Dataset):
    """Folders of TIFF frames; intervals, from 1 and inclusive, in a file of Matlab code."""

    script: ClassVar[str]

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        return self.folders(split.capitalize())

    @override
    def truth(self, video: str) -> Truth:
        n_frames = self.n_frames(video)
        if video.startswith("Train/"):
            return Truth(n_frames)
        number = int(re.sub(r"\D", "", Path(video).name))
        if not 1 <= number <= len(self._intervals):
            raise SpecError(
                f"{self.script} tells of {len(self._intervals)} clips, so {video!r} has no labels."
            )
        return clipped(n_frames, self._intervals[number - 1])

    def masks(self, video: str) -> list[Path]:
        """Return the pixel masks of a test clip, one a frame; none for a clip without."""
        folder = self.root / f"{video}_gt"
        return images(folder) if folder.is_dir() else []

    @cached_property
    def _intervals(self) -> list[list[Interval]]:
        code = self.find(f"Test/{self.script}", self.script).read_text(encoding="latin-1")
        return [
            [
                Interval(int(start) - 1, int(stop), "abnormal")
                for start, stop in _RANGE.findall(clip)
            ]
            for clip in _CLIP.findall(code)
        ]
