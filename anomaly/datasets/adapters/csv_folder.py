"""Any folder of videos with the generic label file `labels.csv` beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from typing_extensions import override

from anomaly.datasets import Dataset, Published
from anomaly.datasets.labels import LabelSet, Truth, read_labels


class CsvFolder(Dataset):
    """A data set of one's own."""

    about = "a folder of videos with labels.csv"
    layout = (
        "videos at any depth and labels.csv: video,n_frames,start_frame,stop_frame,category "
        "(or video,category), paths relative to the folder."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {"all": Published()}

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        return tuple(self._labels.videos)

    @override
    def truth(self, video: str) -> Truth:
        return self._labels.videos[video]

    @cached_property
    def _labels(self) -> LabelSet:
        return read_labels(Path(self.find("labels.csv")))
