"""ShanghaiTech Campus: Liu, Luo, Lian, Gao, "Future frame prediction for anomaly detection" (CVPR 2018).

Two splits are in use and their figures cannot be compared: `one-class`, the authors' own, and
`weak`, in which Zhong et al., "Graph convolutional label noise cleaner" (CVPR 2019), mixed
training and test clips anew to learn from labels of whole videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from typing_extensions import override

from anomaly.datasets import Dataset, Published, truth_of_flags
from anomaly.datasets.labels import Truth

_MASKS = "testing/test_frame_mask"


class ShanghaiTech(Dataset):
    """Thirteen scenes of a campus; bicycles, cars, fights and running are abnormal."""

    about = "ShanghaiTech Campus (Liu, Luo, Lian, Gao, CVPR 2018)"
    layout = (
        "shanghaitech.tar.gz of ShanghaiTech University's SVIP lab: training/videos/01_001.avi, "
        "testing/frames/01_0014/000.jpg, testing/test_frame_mask/01_0014.npy; for the variant `weak` "
        "also SH_Train.txt and SH_Test.txt, one name of a clip a line, from the code of Zhong et al."
    )
    variants = ("one-class", "weak")

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        if self.variant == "weak":
            return {
                "train": Published(videos=238, abnormal_videos=63),
                "test": Published(videos=199, abnormal_videos=44),
            }
        return {
            "train": Published(videos=330, abnormal_frames=0),
            "test": Published(
                videos=107, abnormal_videos=107, frames=40791, abnormal_frames=17326
            ),
        }

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        if self.variant == "weak":
            return tuple(
                self._place(line) for line in self.lines(f"SH_{split.capitalize()}.txt")
            )
        return (
            self.files("training/videos")
            if split == "train"
            else self.folders("testing/frames")
        )

    @override
    def truth(self, video: str) -> Truth:
        mask = self.root / _MASKS / f"{Path(video).stem}.npy"
        if video.startswith("testing/") or mask.exists():
            flags = np.load(self.find(f"{_MASKS}/{mask.name}"), allow_pickle=False)
            return truth_of_flags(flags)
        return Truth(self.n_frames(video))

    def _place(self, line: str) -> str:
        """Return where the clip lies that a line of a weak list names; a label may follow its name."""
        name = Path(line.replace(",", " ").split()[0]).stem
        training = f"training/videos/{name}.avi"
        return training if (self.root / training).exists() else f"testing/frames/{name}"
