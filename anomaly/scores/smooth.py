"""Smoothing in time: a Gaussian over actual seconds, whatever the frame rate does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 3.0
"""standard deviations after which the Gaussian is cut"""
_MOST_ROWS_A_SECOND = 240
"""bounds the work on a video whose time stamps stand still"""


def smooth(
    values_R: NDArray[np.float64], seconds_R: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Return the weighted mean of each row's neighbourhood, shape (R,); `sigma` is in seconds.

    Weights are exp(-dt^2 / 2 sigma^2) up to `REACH` standard deviations, normalised over the
    rows that are there. A NaN counts as not there and stays NaN. A row depends on nothing
    beyond the reach, to the bit, so a part of a video gives the same numbers as the whole away
    from its cut ends.
    """
    present_R = ~np.isnan(values_R)
    if sigma <= 0:
        return values_R.copy()
    weight_R = present_R.astype(np.float64)
    filled_R = np.where(present_R, values_R, 0.0)
    total_R, sum_R = weight_R.copy(), filled_R.copy()
    most = min(len(values_R) - 1, int(np.ceil(REACH * sigma * _MOST_ROWS_A_SECOND)))
    for offset in range(1, most + 1):
        gap = seconds_R[offset:] - seconds_R[:-offset]
        if gap.min() > REACH * sigma:
            break
        kernel = np.where(gap <= REACH * sigma, np.exp(-0.5 * (gap / sigma) ** 2), 0.0)
        sum_R[offset:] += kernel * filled_R[:-offset]
        total_R[offset:] += kernel * weight_R[:-offset]
        sum_R[:-offset] += kernel * filled_R[offset:]
        total_R[:-offset] += kernel * weight_R[offset:]
    return np.divide(sum_R, total_R, out=np.full(len(values_R), np.nan), where=present_R)


def weights_around(
    row: int, seconds_R: NDArray[np.float64], sigma: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows that `smooth` looks at for one row, and how much each weighs; weights sum up to 1."""
    gap_R = np.abs(seconds_R - seconds_R[row])
    row_K = np.flatnonzero(gap_R <= REACH * sigma) if sigma > 0 else np.array([row])
    weight_K = np.exp(-0.5 * (gap_R[row_K] / sigma) ** 2) if sigma > 0 else np.ones(1)
    return row_K, weight_K / weight_K.sum()
