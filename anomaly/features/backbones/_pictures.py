"""What the backbones of moving things share: pictures under an even light, shake and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.features.backbones._cells import Plane

_CONTRAST = 128.0
"""levels between the darkest and the brightest tenth of every picture, once its light is divided out"""
_MOST_GAIN = 4.0
"""a picture of less contrast stays dull: nothing would be left but magnified noise"""
_LEAST_SHAKE, _MOST_SHAKE = 0.05, 1.9
"""full-size pixels a frame between which a common motion is taken for a shake of the camera"""
_QUARTER_OF_NORMAL = 0.3186
"""lower quarter of the absolute value of a standard normal variable"""


def evenly_lit(picture: Plane) -> Plane:
    """Return a picture around 0, its contrast made the same for every light."""
    low, middle, high = np.percentile(picture[::4, ::4], (10, 50, 90))
    gain = min(_MOST_GAIN, _CONTRAST / max(high - low, 1.0))
    return (picture - np.float32(middle)) * np.float32(gain)


def in_bytes(lit: Plane) -> NDArray[np.uint8]:
    """Return an evenly lit picture as optical flow wants it."""
    return np.clip(lit + 128, 0, 255).astype(np.uint8)


def shake(flow_HW2: Plane, gx: Plane, gy: Plane) -> Plane:
    """Return how far the camera itself seems to have moved, in full-size pixels: zeros if not.

    The median flow (in full-size pixels) where there is texture. More than a shake is left alone: a
    camera that turns, or a picture full of people who walk one way.
    """
    sparse = np.s_[2::4, 2::4]
    texture = np.abs(gx[sparse]) + np.abs(gy[sparse])
    textured = texture >= np.median(texture)
    if not textured.size:
        return np.zeros(2, dtype=np.float32)
    shake_2 = np.median(flow_HW2[sparse][textured], axis=0).astype(np.float32)
    if not _LEAST_SHAKE < float(np.abs(shake_2).max()) < _MOST_SHAKE:
        return np.zeros(2, dtype=np.float32)
    return shake_2


def noise(rough: Plane) -> float:
    """Return the standard deviation of the noise in a difference of pictures, given its rough part.

    From the lowest quarter: noise is everywhere, what moves is rough at its edges only.
    """
    return float(np.percentile(np.abs(rough[1::3, 1::3]), 25)) / _QUARTER_OF_NORMAL
