"""What a camera's picture is like, apart from what happens in it: light, noise, sharpness, shake, a view.

Measured while frames pass by on their way to the backbones, so it costs no second decode. It says whether
a camera still sees what it saw when a model learnt from it (`scores.domain`), and keeps of every few
seconds a small view, in which something left behind in one file can be found in the next (`static`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import expect
from anomaly.video import FrameBatch

STATISTICS = ("brightness", "change", "contrast", "sharpness", "noise", "shift")
"""columns of `Picture.statistics_TK`

brightness: mean, 0 to 255. change: mean absolute difference from the row before.
contrast: standard deviation of the small picture over its mean. sharpness: how much of the former lies in
details.
noise: standard deviation of a pixel of the quieter half of the picture, from row to row, light divided out.
shift: how far the whole picture has moved since the row before, in pixels.
"""
VIEW_SECONDS = 5.0
"""time over which a view is averaged"""
VIEW_SHRINK = 4
"""a view has a quarter of the lines and columns that the decoder hands over"""
_SLOT_SECONDS = 0.2
"""all but brightness and change are measured this often, and stay as they are in between"""
_SLACK = 1e-6
"""time stamps are sums of rounded numbers"""
_DETAIL = 3
"""side of the square whose mean is taken off to leave the details"""
_AREA = 8
"""side of the areas, in pixels of the small picture, in which noise is measured"""
_MEAN_OF_NORMAL = 0.7979
"""mean of the absolute value of a standard normal variable"""
_BRIGHTEST = 254
"""the store keeps 255 for lost data"""

Small = NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """What the picture of some consecutive rows is like."""

    statistics_TK: NDArray[np.float32]
    """one row a frame that was looked at, one column for each of `STATISTICS`"""
    views_VHW: NDArray[np.uint8]
    """grey pictures of a quarter of the size, each the mean of `VIEW_SECONDS`; 0 to 254"""
    view_seconds_V: NDArray[np.float64]
    """when each view begins, from the first frame of the video"""

    def __post_init__(self) -> None:
        expect("statistics", self.statistics_TK, "T K", K=len(STATISTICS))
        expect("views", self.views_VHW, "V H W", V=len(self.view_seconds_V))

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return self.statistics_TK.nbytes + self.views_VHW.nbytes

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Return one of `STATISTICS`, shape (T,)."""
        return self.statistics_TK[:, STATISTICS.index(name)]


def join(parts: list[Picture]) -> Picture:
    """Return consecutive parts of one video as one."""
    return Picture(
        np.concatenate([part.statistics_TK for part in parts]),
        np.concatenate([part.views_VHW for part in parts]),
        np.concatenate([part.view_seconds_V for part in parts]),
    )


class _Look(NamedTuple):
    """A picture as it is compared with the next one."""

    brightness: float
    small: Small
    points: Small
    """single pixels, one for each of the small picture: not averaged, so that they keep their noise"""


class PictureMeter:
    """Measures the pictures of one video; what it says does not depend on how they are cut into batches."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._held = np.zeros(len(STATISTICS), dtype=np.float32)
        self._slot = -1
        self._size_wh: tuple[int, int] = (0, 0)
        self._view_number = -1
        self._view_sum: Small = np.zeros((0, 0), dtype=np.float32)
        self._view_count = 0
        self._view_begin = 0.0

    def measure(self, batch: FrameBatch) -> Picture:
        """Return the statistics of the frames, and the views that they completed."""
        statistics_TK = np.empty((len(batch), len(STATISTICS)), dtype=np.float32)
        views: list[tuple[NDArray[np.uint8], float]] = []
        for row, (pixels_HWC, seconds) in enumerate(
            zip(batch.pixels_BHWC, batch.seconds_B, strict=True)
        ):
            statistics_TK[row] = self._statistics(pixels_HWC, float(seconds), views)
        return self._picture(statistics_TK, views)

    def finish(self) -> Picture:
        """Return the last view, which is shorter than the others, and no rows."""
        last = [self._view()] if self._view_count else []
        self._view_count = 0
        return self._picture(np.zeros((0, len(STATISTICS)), dtype=np.float32), last)

    def _picture(
        self, statistics_TK: NDArray[np.float32], views: list[tuple[NDArray[np.uint8], float]]
    ) -> Picture:
        views_VHW = np.zeros((len(views), *self._size_wh[::-1]), dtype=np.uint8)
        for out, (view, _) in zip(views_VHW, views, strict=True):
            out[:] = view
        return Picture(statistics_TK, views_VHW, np.array([begin for _, begin in views]))

    def _statistics(
        self,
        pixels_HWC: NDArray[np.uint8],
        seconds: float,
        views: list[tuple[NDArray[np.uint8], float]],
    ) -> NDArray[np.float32]:
        import cv2

        before, self._before = self._before, pixels_HWC
        change = 0.0 if before is None else cv2.norm(pixels_HWC, before, cv2.NORM_L1)
        self._held[:2] = (
            cv2.norm(pixels_HWC, cv2.NORM_L1) / pixels_HWC.size,
            (change / pixels_HWC.size),
        )
        slot = int(seconds / _SLOT_SECONDS + _SLACK)
        if slot != self._slot:
            self._slot = slot
            now = self._look(pixels_HWC)
            self._held[2:4] = _contrast_and_sharpness(now.small)
            if before is not None:
                self._held[4:] = _noise_and_shift(self._look(before), now)
            self._add_to_view(now.small, seconds, views)
        return self._held

    def _look(self, pixels_HWC: NDArray[np.uint8]) -> _Look:
        import cv2

        height, width, channels = pixels_HWC.shape
        if self._size_wh == (0, 0):
            self._size_wh = max(1, width // VIEW_SHRINK), max(1, height // VIEW_SHRINK)
        green = channels // 2
        shrunk: Any = cv2.resize(pixels_HWC, self._size_wh, interpolation=cv2.INTER_AREA)
        small = shrunk.reshape(*self._size_wh[::-1], channels)[..., green].astype(np.float32)
        points = pixels_HWC[::VIEW_SHRINK, ::VIEW_SHRINK, green].astype(np.float32)
        return _Look(float(small.mean()), small, points)

    def _add_to_view(
        self, small: Small, seconds: float, views: list[tuple[NDArray[np.uint8], float]]
    ) -> None:
        number = int(seconds / VIEW_SECONDS + _SLACK)
        if self._view_count and number != self._view_number:
            views.append(self._view())
            self._view_count = 0
        if not self._view_count:
            self._view_sum = np.zeros_like(small)
            self._view_number, self._view_begin = number, seconds
        self._view_sum += small
        self._view_count += 1

    def _view(self) -> tuple[NDArray[np.uint8], float]:
        mean = np.round(self._view_sum / self._view_count).clip(0, _BRIGHTEST)
        return mean.astype(np.uint8), self._view_begin


def _contrast_and_sharpness(small: Small) -> tuple[float, float]:
    import cv2

    spread = float(small.std())
    detail = float(np.abs(small - cv2.blur(small, (_DETAIL, _DETAIL))).mean())
    return spread / (float(small.mean()) + 1.0), detail / max(spread, 1.0)


def _noise_and_shift(before: _Look, now: _Look) -> tuple[float, float]:
    """Return the noise of a pixel in levels, and the shift of the picture in pixels of its full size.

    Noise is what half of all areas exceed: people move in some of them, noise and rain are everywhere.
    The shift is Lucas and Kanade's (1981) for the picture as a whole, right for less than two pixels of
    the small picture; beyond it is too low, and still large.
    """
    import cv2

    gain = np.float32((now.brightness + 1) / (before.brightness + 1))
    apart = np.abs(now.points - gain * before.points)
    areas_wh = max(1, apart.shape[1] // _AREA), max(1, apart.shape[0] // _AREA)
    areas: Any = cv2.resize(apart, areas_wh, interpolation=cv2.INTER_AREA)
    noise = float(np.median(areas)) / _MEAN_OF_NORMAL / np.sqrt(2.0)
    lit = gain * before.small
    gx, gy = (cv2.Sobel(lit, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    slopes_2N = np.stack([gx.ravel(), gy.ravel()])
    change_N = (now.small - lit).ravel()
    texture_22 = slopes_2N @ slopes_2N.T + np.eye(2, dtype=np.float32)
    moved_2 = np.linalg.solve(texture_22, slopes_2N @ -change_N)
    return noise, VIEW_SHRINK * float(np.hypot(*moved_2))
