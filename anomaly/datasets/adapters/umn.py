"""UMN Unusual Crowd Activity: University of Minnesota, "Unusual crowd activity dataset" (2006).

One video of 11 clips in three scenes; each clip ends in panic. The authors publish neither a
split nor a label file (the words "Abnormal Crowd Activity" appear in the picture), so frames
are labelled in the generic label file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from typing_extensions import override

from anomaly.datasets import Dataset, Published
from anomaly.datasets.labels import LabelSet, Truth, read_labels


class Umn(Dataset):
    """Crowds that walk, and then flee."""

    about = "UMN unusual crowd activity (University of Minnesota, 2006)"
    layout = (
        "Crowd-Activity-All.avi of the University of Minnesota (or its clips as .avi files), and a "
        "labels.csv of your own: video,n_frames,start_frame,stop_frame,category."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {"all": Published(frames=7739)}

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        return self.files("")

    @override
    def truth(self, video: str) -> Truth:
        if video not in self._labels.videos:
            raise self.missing(f"labels of {video!r} in labels.csv")
        return self._labels.videos[video]

    @cached_property
    def _labels(self) -> LabelSet:
        return read_labels(self.find("labels.csv"))
