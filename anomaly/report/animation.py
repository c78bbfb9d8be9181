"""Moving pictures of what a detector says: boxes on each frame, the course of the score beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError, StoreError
from anomaly.report.media import with_boxes
from anomaly.scores.events import Box
from anomaly.video.encode import write_video

Picture = NDArray[np.uint8]
Numbers = NDArray[np.float64]

_LEAST_PIXELS = 96
"""width of the plot beside a small picture; beside others it is half of the picture's"""
_PADDING_PIXELS = 6
_DARK, _DIM, _BRIGHT, _AMBER = (24, 26, 30), (92, 98, 108), (120, 200, 255), (255, 176, 32)


@dataclass(frozen=True)
class Course:
    """A number that changes along a video."""

    seconds_T: NDArray[np.float64]
    value_T: NDArray[np.float64]
    """NaN where it is not known"""
    limit: float | None = None
    """drawn as a line across"""

    def plot(self, now_seconds: float, height: int, width: int) -> Picture:
        """Return the course as a picture (`height`, `width`, 3): bright up to now, dim beyond."""
        plot: Picture = np.full((height, width, 3), _DARK, np.uint8)
        known_T = ~np.isnan(self.value_T)
        if not known_T.any():
            return plot
        seconds_T, value_T = self.seconds_T[known_T], self.value_T[known_T]
        limits = [] if self.limit is None else [self.limit]
        low, high = min(value_T.min(), *limits, np.inf), max(value_T.max(), *limits, -np.inf)
        first, length = seconds_T[0], max(float(np.ptp(seconds_T)), 1e-9)

        def column(seconds: Numbers) -> Numbers:
            return (seconds - first) / length * (width - 1)

        def line(value: Numbers) -> Numbers:
            room = height - 1 - 2 * _PADDING_PIXELS
            return _PADDING_PIXELS + (high - value) / max(high - low, 1e-9) * room

        points_T2 = (
            np.stack([column(seconds_T), line(value_T)], axis=1).round().astype(np.int32)
        )
        cv2.polylines(plot, [points_T2], False, _DIM, 1, cv2.LINE_AA)  # noqa: FBT003 - OpenCV's own
        past_P2 = points_T2[seconds_T <= now_seconds]
        cv2.polylines(plot, [past_P2], False, _BRIGHT, 1, cv2.LINE_AA)  # noqa: FBT003
        if self.limit is not None:
            level = round(float(line(np.array(self.limit))))
            cv2.line(plot, (0, level), (width - 1, level), _AMBER, 1)
        here = int(np.clip(column(np.array(now_seconds)), 0, width - 1))
        cv2.line(plot, (here, 0), (here, height - 1), _AMBER, 1)
        return plot


def composed(
    picture_HWC: Picture, boxes: Sequence[Box], source_size: tuple[int, int], course: Course,
    now_seconds: float,
) -> Picture:  # fmt: skip
    """Return the picture with its boxes, which are in pixels of `source_size`, the course at its right."""
    corners = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    shown = with_boxes(picture_HWC, corners, source_size)
    height, width, _ = shown.shape
    plot = course.plot(now_seconds, height, max(_LEAST_PIXELS, width // 2))
    return np.concatenate([shown, plot], axis=1)


def write_animation(path: Path, pictures: Iterable[Picture], rate: Fraction | float) -> int:
    """Write an .mp4 or a .gif, as the name says; return how many pictures there were.

    Raises:
        SpecError: the name ends otherwise, or there is no picture.
        StoreError: the file cannot be written.
    """
    if path.suffix == ".mp4":
        return write_video(path, pictures, rate)
    if path.suffix != ".gif":
        raise SpecError(f"{path} is to be written: expected a name that ends in .mp4 or .gif.")
    return _write_gif(path, pictures, rate)


def _write_gif(path: Path, pictures: Iterable[Picture], rate: Fraction | float) -> int:
    from PIL import Image

    frames = [
        Image.fromarray(picture).quantize(64, dither=Image.Dither.NONE) for picture in pictures
    ]
    if not frames:
        raise SpecError(f"No frame to write to {path}; expected at least one.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=round(1000 / float(rate)),
            loop=0,
        )  # fmt: skip
    except OSError as error:
        raise StoreError(f"Cannot write {path}: {error.strerror or error}.") from error
    return len(frames)
