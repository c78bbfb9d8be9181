"""What the backbones of moving things share: pictures under an even light, shake and noise."""

from __future__ import annotations

from typing import Any

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
    low, middle, high = quantiles(picture[::4, ::4], 0.1, 0.5, 0.9)
    gain = min(_MOST_GAIN, _CONTRAST / max(high - low, 1.0))
    return (picture - np.float32(middle)) * np.float32(gain)


def quantiles(some: NDArray[np.floating[Any]], *shares: float) -> list[float]:
    """Return the values below which these shares of some numbers lie, no value between two of them.

    NumPy's own, which interpolates, takes ten times as long for a few hundred numbers.
    """
    sorted_N = np.sort(some, axis=None)
    return [float(sorted_N[int(share * (len(sorted_N) - 1))]) for share in shares]


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
    if not texture.size:
        return np.zeros(2, dtype=np.float32)
    flow_N2 = flow_HW2[sparse][texture >= quantiles(texture, 0.5)[0]]
    shake_2 = np.array([quantiles(axis_N, 0.5)[0] for axis_N in flow_N2.T], dtype=np.float32)
    if not _LEAST_SHAKE < float(np.abs(shake_2).max()) < _MOST_SHAKE:
        return np.zeros(2, dtype=np.float32)
    return shake_2


def noise(rough: Plane) -> float:
    """Return the standard deviation of the noise in a difference of pictures, given its rough part.

    From the lowest quarter: noise is everywhere, what moves is rough at its edges only.
    """
    return quantiles(np.abs(rough[1::3, 1::3]), 0.25)[0] / _QUARTER_OF_NORMAL
