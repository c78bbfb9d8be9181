"""Axis letters, and the check that each room makes at its door.

Arrays are named with their axes: `features_TD` has shape (T, D).

    B  batch          T  time (rows of one video, in order)     N  windows, or cells
    L  position in a window     D  feature     H W C  image     G  grid cell
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]


def expect(name: str, array: NDArray[Any], axes: str, **sizes: int) -> None:
    """Check that `array` has the axes written in `axes`, one letter each, with the given sizes.

    `expect("features", x, "T D", D=768)` raises unless `x` has two axes and 768 columns.

    Raises:
        StoreError: the number of axes or a named size differs; the message shows both shapes.
    """
    letters = axes.split()
    wanted = tuple(sizes.get(letter, letter) for letter in letters)
    fits = array.ndim == len(letters) and all(
        isinstance(want, str) or want == size
        for want, size in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        shown = ", ".join(str(want) for want in wanted)
        raise StoreError(f"{name} has shape {array.shape}, expected ({shown}).")
