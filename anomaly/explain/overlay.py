"""A map drawn over a frame, as a small JPEG."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.explain.heat import Area

HEIGHT_PIXELS = 240
"""of pictures that are kept; smaller frames stay as they are"""
_JPEG_QUALITY = 76
_STRONGEST = 0.62
"""how much of the frame the strongest heat covers"""
_COLOURS = np.array([[0, 255, 255], [0, 140, 255], [0, 0, 235]], dtype=np.float64)
"""yellow, orange, red (BGR): told apart in lightness too, so by everybody, and unlike most footage"""

Picture = NDArray[np.uint8]


def overlaid(
    picture_HWC: Picture, shown_GG: NDArray[np.float64], area: Area, size: tuple[int, int]
) -> bytes:
    """Return a JPEG of a frame with a map of 0 to 1 over a part of it.

    Args:
        picture_HWC: the frame, RGB or grey, of any size.
        shown_GG: the map.
        area: top, left, bottom, right of the part that it covers, as shares.
        size: height and width of the video in pixels, for the picture's shape.
    """
    frame = _resized(_bgr(picture_HWC), _fitting(size)).astype(np.float64)
    height, width = frame.shape[:2]
    top, bottom = round(area[0] * height), round(area[2] * height)
    left, right = round(area[1] * width), round(area[3] * width)
    smooth: Any = cv2.resize(
        shown_GG, (max(1, right - left), max(1, bottom - top)), interpolation=cv2.INTER_LINEAR
    )
    heat_HW = np.zeros((height, width))
    heat_HW[top:bottom, left:right] = smooth[: bottom - top, : right - left]
    weight_HW1 = _STRONGEST * np.sqrt(heat_HW)[:, :, None]
    mixed = (1 - weight_HW1) * frame + weight_HW1 * _coloured(heat_HW)
    return encoded(np.rint(mixed).astype(np.uint8))


def plain(picture_HWC: Picture) -> bytes:
    """Return a JPEG of a frame as it is, RGB or grey."""
    height, width = picture_HWC.shape[:2]
    return encoded(_resized(_bgr(picture_HWC), _fitting((height, width))))


def decoded(jpeg: bytes) -> Picture:
    """Return a JPEG as RGB, (H, W, 3)."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)  # type: ignore[arg-type]


def encoded(bgr_HWC: Picture) -> bytes:
    """Return a picture (BGR) as JPEG."""
    _, data = cv2.imencode(".jpg", bgr_HWC, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()


def _bgr(picture_HWC: Picture) -> Picture:
    code = cv2.COLOR_GRAY2BGR if picture_HWC.shape[2] == 1 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(picture_HWC, code), dtype=np.uint8)


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    scale = min(1.0, HEIGHT_PIXELS / max(height, 1))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(picture_HWC: Picture, size: tuple[int, int]) -> Picture:
    if picture_HWC.shape[:2] == size:
        return picture_HWC
    return np.asarray(
        cv2.resize(picture_HWC, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _coloured(heat_HW: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat_HW, steps, one) for one in _COLOURS.T], axis=2)
