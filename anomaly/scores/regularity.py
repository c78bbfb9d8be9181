"""Regularity: one minus the error, stretched over the video, as reconstruction papers draw it.

For looking at a video alone: it uses the future, and every video has its least and most regular moment, so
it can neither be compared between videos nor be given a threshold that means something.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Variant = Literal["range", "max"]


def regularity(error_T: NDArray[np.float64], variant: Variant = "range") -> NDArray[np.float64]:
    """Return r(t), shape (T,), at most 1; NaN stays NaN, and a video of equal errors is all 1.

    Args:
        error_T: the detector's own scores of all frames of one video.
        variant: "range", 1 - (e - min) / (max - min), in [0, 1] (Hasan et al., CVPR 2016); or "max",
            1 - (e - min) / max, as in the UCSD notebooks, for errors that are not below 0.
    """
    if np.isnan(error_T).all():
        return error_T
    low, high = np.nanmin(error_T), np.nanmax(error_T)
    scale = high - low if variant == "range" else high
    return 1 - (error_T - low) / (scale if scale > 0 else 1.0)
