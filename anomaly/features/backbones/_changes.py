"""What the backbones of looks share: in which cells the picture changes beyond its noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureBlock
from anomaly.features.backbones._cells import (
    CellRow,
    Gray,
    Plane,
    blocks_in,
    blocks_of,
    cell_means,
    gray_frames,
)
from anomaly.features.backbones._pictures import evenly_lit, noise
from anomaly.video import FrameBatch

BLOCK = 8
"""side of a block in pixels of the half-size picture; a cell is 2 x 2 blocks, cells lie a block apart"""
_STEP_SECONDS = 1 / 16
"""things are looked at again after this much time; in between they look as they did"""
_SLACK_SECONDS = 1e-3
_SMOOTH = 5
"""side of the square over which a change is averaged before it is compared with the noise"""
_EVIDENT_NOISES = 3.0
"""standard deviations of the averaged noise above which a change is evident"""
_LEAST_CHANGE = 1.0
"""nor is a change of fewer levels, in a picture of even light"""
_ROWS = 64
"""of a block that is handed on: vectors of looks are long"""


class Changed(NamedTuple):
    """A picture, and the cells of it that differ from the one before."""

    gray: Gray
    lit: Plane
    """half size, evenly lit"""
    noise: float
    """standard deviation of the noise in the difference of two such pictures"""
    place_N2: NDArray[np.int16]
    """(row, column) of each cell, none of them in the outermost ring"""


def described(
    batches: Iterable[FrameBatch],
    active_fraction: float,
    describe: Callable[[Changed], Plane],
    dimension: int,
) -> Iterator[FeatureBlock]:
    """Yield one row a frame, with a vector of `describe` for each cell that changes.

    `describe` returns shape (N, dimension) for the N places that it is given.
    """

    def rows() -> Iterator[CellRow]:
        eye: _Eye | None = None
        nothing = np.zeros((0, dimension), np.float32), np.zeros((0, 2), np.int16)
        cells = nothing
        for index, seconds, gray in gray_frames(batches):
            eye = eye or _Eye(gray.shape, active_fraction)
            changed = eye.look(gray, seconds)
            if changed is not None:
                some = len(changed.place_N2) > 0
                cells = (describe(changed), changed.place_N2) if some else nothing
            yield CellRow(index, seconds, *cells, eye.grid)

    return blocks_of(rows(), _ROWS)


class _Eye:
    """Sees what changes between a picture and the one before."""

    def __init__(self, size_hw: tuple[int, ...], active_fraction: float) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._cv2: Any = cv2  # its stubs do not know the types that its functions return
        self._active_fraction = active_fraction
        self._half_wh = max(1, size_hw[1] // 2), max(1, size_hw[0] // 2)
        rows, columns = blocks_in(self._half_wh[::-1], BLOCK)
        self.grid = rows + 1, columns + 1
        self._lit: Plane | None = None
        self._seconds = 0.0

    def look(self, gray: Gray, seconds: float) -> Changed | None:
        """Return what changed since the picture before; None if that is not long enough ago."""
        before = self._lit
        if before is not None and seconds - self._seconds < _STEP_SECONDS - _SLACK_SECONDS:
            return None
        half = self._cv2.resize(gray, self._half_wh, interpolation=self._cv2.INTER_AREA)
        self._lit, self._seconds = evenly_lit(half.astype(np.float32)), seconds
        if before is None:
            return None
        change = self._lit - before
        smooth = self._cv2.blur(change, (_SMOOTH, _SMOOTH))
        levels = noise(change - smooth)
        evident = np.abs(smooth) > _EVIDENT_NOISES / _SMOOTH * levels + _LEAST_CHANGE
        inner_N2 = np.argwhere(cell_means(evident, BLOCK) > self._active_fraction)
        return Changed(gray, self._lit, levels, inner_N2.astype(np.int16) + np.int16(1))
