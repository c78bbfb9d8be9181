"""Masks that say which pixels of a video are abnormal, one a frame, as data sets hand them out.

Below one folder, for the video `test/01.mp4`: `test/01.npy` or `01.npy`, an array (frames, lines,
columns); or a folder of numbered pictures `test/01/`, `test/01_gt/`, `01/` or `01_gt/`. Black is normal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from anomaly.datasets import images
from anomaly.errors import SpecError

Mask = NDArray[np.bool_]


class Masks:
    """The masks of one video, read one at a time."""

    def __init__(self, path: Path) -> None:
        """Take the masks at `path`, as `masks_of` finds them."""
        self.path = path
        self._stored_THW = _array(path) if path.suffix == ".npy" else None
        self._files = images(path) if path.is_dir() else []

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._files) if self._stored_THW is None else len(self._stored_THW)

    def __iter__(self) -> Iterator[Mask]:
        """Yield the mask of each frame, (H, W)."""
        if self._stored_THW is not None:
            yield from (np.asarray(mask_HW) > 0 for mask_HW in self._stored_THW)
            return
        for file in self._files:
            yield _picture(file)


def masks_of(folder: Path, video: str) -> Masks | None:
    """Return the masks of a video, None where there are none.

    Raises:
        SpecError: the folder is missing, or what is there cannot be read.
    """
    if not folder.is_dir():
        raise SpecError(f"No folder of masks {str(folder)!r}.")
    whole = PurePosixPath(video).with_suffix("")
    for name in dict.fromkeys((str(whole), whole.name)):
        for ending in (".npy", "", "_gt"):
            path = folder / f"{name}{ending}"
            if path.is_file() if ending == ".npy" else path.is_dir() and images(path):
                return Masks(path)
    return None


def _array(path: Path) -> NDArray[np.generic]:
    try:
        stored: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SpecError(f"Cannot read masks {str(path)!r}: {error}.") from error
    if stored.ndim != 3:
        raise SpecError(
            f"Masks {str(path)!r} have the shape {stored.shape}, expected (frames, lines, columns)."
        )
    return stored


def _picture(path: Path) -> Mask:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise SpecError(f"Cannot read the mask {str(path)!r}: it is no picture.")
    channels_HWC = picture.reshape(*picture.shape[:2], -1)[
        ..., :3
    ]  # a fourth one says what is opaque
    return np.asarray(channels_HWC.any(axis=2), dtype=np.bool_)
