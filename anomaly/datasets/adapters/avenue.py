"""CUHK Avenue: Lu, Shi, Jia, "Abnormal event detection at 150 FPS in Matlab" (ICCV 2013).

Several sets of frame labels are in circulation, so a figure must say which it was taken with:
`masks` (the authors' pixel masks: a frame with any marked pixel), `frames-3867` (one array of
all frames, passed round with MNAD) and `frames-3712` (one array a clip, passed round with
AI-VAD and HF2-VAD). The last two differ on 441 frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from typing_extensions import override

from anomaly.datasets import Dataset, Published, truth_of_flags
from anomaly.datasets.labels import Truth
from anomaly.errors import SpecError

_ABNORMAL = {"masks": None, "frames-3867": 3867, "frames-3712": 3712}


class Avenue(Dataset):
    """A campus avenue; running, throwing, loitering and wrong directions are abnormal."""

    about = "CUHK Avenue (Lu, Shi, Jia, ICCV 2013)"
    layout = (
        "Avenue_Dataset.zip of the Chinese University of Hong Kong: training_videos/01.avi, "
        "testing_videos/01.avi; labels `masks`: ground_truth_demo/testing_label_mask/1_label.mat; "
        "`frames-3867`: frame_labels_avenue.npy; `frames-3712`: avenue.mat."
    )
    variants = ("masks", "frames-3867", "frames-3712")

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {
            "train": Published(videos=16, frames=15328, abnormal_frames=0),
            "test": Published(videos=21, frames=15324, abnormal_frames=_ABNORMAL[self.variant]),
        }

    @override
    def videos(self, split: str) -> tuple[str, ...]:
        return self.files(f"{split}ing_videos")

    @override
    def truth(self, video: str) -> Truth:
        if video.startswith("training"):
            return Truth(self.n_frames(video))
        read = {
            "masks": self._masks,
            "frames-3867": self._one_array,
            "frames-3712": self._array_a_clip,
        }
        return read[self.variant](video)

    def _masks(self, video: str) -> Truth:
        name = f"{int(Path(video).stem)}_label.mat"
        path = self.find(f"ground_truth_demo/testing_label_mask/{name}", name)
        return truth_of_flags(mask.any() for mask in _matlab(path)["volLabel"].ravel())

    def _one_array(self, video: str) -> Truth:
        flags = np.load(self.find("frame_labels_avenue.npy"), allow_pickle=False).ravel()
        tests = self.videos("test")
        lengths = [self.n_frames(one) for one in tests]
        if sum(lengths) != len(flags):
            raise SpecError(
                f"frame_labels_avenue.npy labels {len(flags)} frames, the {len(tests)} test "
                f"videos have {sum(lengths)}."
            )
        start = sum(lengths[: tests.index(video)])
        return truth_of_flags(flags[start : start + self.n_frames(video)])

    def _array_a_clip(self, video: str) -> Truth:
        return truth_of_flags(_matlab(self.find("avenue.mat"))[Path(video).stem].ravel())


def _matlab(path: Path) -> Mapping[str, np.ndarray]:
    from scipy.io import loadmat

    found: Mapping[str, np.ndarray] = loadmat(path)
    return found
