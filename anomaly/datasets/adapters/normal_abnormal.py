"""Two folders, `normal` and `abnormal`, as published notebooks have them.

Either holds videos (files or folders of images), which are labelled as a whole, or images
directly: then the folder is one video, all of whose frames are normal, or abnormal. Frames torn
out of their order and their videos allow no honest split: use them to repeat a published
figure, not to judge a detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from anomaly.datasets import Dataset, Published, clipped, images
from anomaly.datasets.labels import Interval, Truth

_NORMAL = frozenset({"normal", "nonviolence", "nofight"})
_ABNORMAL = frozenset({"abnormal", "anomaly", "anomalous", "violence", "fight"})


class NormalAbnormal(Dataset):
    """Videos sorted by hand."""

    about = "two folders, normal/ and abnormal/"
    layout = (
        "normal/ and abnormal/ (or anomaly/, anomalous/), with videos or with images in them."
    )

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {"all": Published()}

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        found: list[str] = []
        for folder in self._folders():
            inside = (*self.files(folder.name), *self.folders(folder.name))
            found += inside or [folder.name]
        return tuple(found)

    @override
    def truth(self, video: str) -> Truth:
        category = "" if Path(video).parts[0].lower() in _NORMAL else "abnormal"
        if "/" in video:
            return Truth(None, category=category)
        n_frames = self.n_frames(video)
        return clipped(n_frames, [Interval(0, n_frames, category)] if category else [])

    def _folders(self) -> list[Path]:
        kinds = []
        for kind, names in (("normal", _NORMAL), ("abnormal", _ABNORMAL)):
            found = [
                path
                for path in sorted(self.root.iterdir())
                if path.is_dir() and path.name.lower() in names
            ]
            if not found:
                raise self.missing(f"a folder {kind!r}")
            kinds += found
        return [path for path in kinds if images(path) or any(path.iterdir())]
