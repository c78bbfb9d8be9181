"""Trails: from how far, and from where, what is seen in a place has come, also once it lies still.

What moves is carried along by optical flow as particles are in Ali, Shah, "A Lagrangian particle dynamics
approach for crowd flow segmentation and stability analysis" (CVPR 2007), and keeps count of the way it has
come. Somebody who lies on the floor came from above, somebody who stands there did not: that is so in
any room, and needs no picture of the empty room. Where we depart: matter is born where the picture
changes beyond its noise, is forgotten after `memory_seconds` without motion, and its trail fades while it
moves; it is carried in a picture of a quarter of the size, at most sixteen times a second.

Everything looks back in time only, a few `memory_seconds`, and never over a long hole in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.features import FeatureBlock
from anomaly.features.backbones._cells import (
    CellBackbone,
    CellParameters,
    CellRow,
    Gray,
    Plane,
    blocks_in,
    blocks_of,
    cell_means,
    gray_frames,
)
from anomaly.features.backbones._pictures import evenly_lit, in_bytes, noise, shake
from anomaly.spec import spec
from anomaly.video import FrameBatch

_SHRINK = 4
_PATCH_STRIDE = 5
"""pixels from one patch of 8 x 8, whose flow is sought, to the next"""
_BLOCK = 4
"""side of a block in pixels of the quarter-size picture; a cell is 2 x 2 blocks, cells lie a block apart"""
_STEP_SECONDS = 1 / 16
"""matter is carried on after this much time: from frame to frame slow things hardly move"""
_SLACK_SECONDS = 1e-3
_LONGEST_STEP_SECONDS = 1.0
"""over a longer hole nothing can be followed: time starts anew"""
_MOVING_PIXELS = 0.5
"""full-size pixels that something must have moved in a step"""
_EVIDENT_NOISES = 3.0
"""standard deviations of the averaged noise above which a change is evident"""
_LEAST_CHANGE = 1.0
"""nor is a change of fewer levels, in a picture of even light"""
_SMOOTH = 3
"""side of the square over which a change is averaged before it is compared with the noise"""
_NEAR = 5
"""side of the square around an evident change in which flow counts"""
_KNOWN_SHARE = 0.5
"""what moves where less matter was known has come from nowhere yet"""
_LEAST_SIDE_OF_FLOW = 12
_ACROSS_4, _BELOW_4 = np.array([[0, 1, 0, 1], [0, 0, 1, 1]], dtype=np.float32)[..., None]
"""the four pixels that a moved one comes to lie on, from the upper left"""
_QUANTUM = np.float32(1 / 4)
"""pixels to which trails are rounded, far below what they are good to: stored bytes shrink"""


@spec
class TrailParameters(CellParameters):
    """Parameters of the `trail` backbone."""

    memory_seconds: Annotated[float, Field(gt=0)] = 10.0
    """what has not moved for somewhat longer is forgotten; what moves forgets where it was that long ago"""
    active_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """a cell is kept when matter fills more than this share of it"""


class Trail(CellBackbone):
    """Yields (right, down) of each cell in which something is that moved: its way here, in pixels.

    Pixels of the picture scaled to `height`, net of ways back: somebody who sat down and got up again has
    come from nowhere. A cell's place is its (row, column) in a grid of 16 pixels.
    """

    Parameters = TrailParameters
    version = 3
    parameters: TrailParameters

    @property
    @override
    def dimension(self) -> int:
        return 2

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        return blocks_of(self._rows(batches))

    def _rows(self, batches: Iterable[FrameBatch]) -> Iterator[CellRow]:
        matter: _Matter | None = None
        for index, seconds, gray in gray_frames(batches):
            matter = matter or _Matter(gray.shape, self.parameters)
            yield CellRow(index, seconds, *matter.look(gray, seconds), matter.grid)


class _Matter:
    """What has moved, pixel by pixel of the quarter-size picture, and the way it has come.

    Three planes: how much of the pixel is matter (0 to 1), and that times its way to the right and down
    in full-size pixels.
    """

    def __init__(self, size_hw: tuple[int, ...], parameters: TrailParameters) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._cv2: Any = cv2  # its stubs do not know the types that its functions return
        self._own = parameters
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setFinestScale(0)
        self._flow.setPatchStride(_PATCH_STRIDE)
        self._size_hw = max(1, size_hw[0] // _SHRINK), max(1, size_hw[1] // _SHRINK)
        rows, columns = blocks_in(self._size_hw, _BLOCK)
        self.grid = rows + 1, columns + 1
        self._planes_3HW = np.zeros((3, *self._size_hw), dtype=np.float32)
        self._row_HW, self._column_HW = np.indices(self._size_hw, dtype=np.float32)
        self._lit: Plane | None = None
        self._seconds = 0.0
        self._cells = _nothing()

    def look(self, gray: Gray, seconds: float) -> tuple[Plane, NDArray[np.int16]]:
        """Take the next picture; return the vectors and places of the cells with matter in them."""
        step = seconds - self._seconds
        if self._lit is not None and step < _STEP_SECONDS - _SLACK_SECONDS:
            return self._cells
        before, self._lit, self._seconds = self._lit, self._look(gray), seconds
        if before is None or step > _LONGEST_STEP_SECONDS:
            self._planes_3HW[:] = 0
            self._cells = _nothing()
        elif min(self._size_hw) >= _LEAST_SIDE_OF_FLOW:
            flow_HW2, moving_HW = self._moving(before, self._lit)
            self._age(moving_HW, np.float32(np.exp(-step / self._own.memory_seconds)))
            self._carry(flow_HW2, *np.nonzero(moving_HW))
            self._cells = self._measured()
        return self._cells

    def _look(self, gray: Gray) -> Plane:
        small = self._cv2.resize(gray, self._size_hw[::-1], interpolation=self._cv2.INTER_AREA)
        return evenly_lit(small.astype(np.float32))

    def _moving(self, before: Plane, now: Plane) -> tuple[Plane, NDArray[np.bool_]]:
        """Return the flow in full-size pixels, and which pixels move by it."""
        flow_HW2 = self._flow.calc(in_bytes(before), in_bytes(now), None) * np.float32(_SHRINK)
        slopes = (
            self._cv2.Sobel(now, self._cv2.CV_32F, *order, scale=1 / 8)
            for order in ((1, 0), (0, 1))
        )
        flow_HW2 -= shake(flow_HW2, *slopes)
        change = now - before
        smooth = self._blurred(change)
        least = _EVIDENT_NOISES / _SMOOTH * noise(change - smooth) + _LEAST_CHANGE
        evident = (np.abs(smooth) > least).astype(np.uint8)
        near = self._cv2.dilate(evident, np.ones((_NEAR, _NEAR), np.uint8)).astype(bool)
        # Axis by axis: NumPy is slow where the last axis is as short as two.
        u_HW, v_HW = self._cv2.split(flow_HW2)
        far = u_HW * u_HW + v_HW * v_HW > _MOVING_PIXELS**2
        # What uncovers ground leaves it where it was, though flow is smooth across its edge.
        to_x_HW, to_y_HW = self._column_HW + u_HW / _SHRINK, self._row_HW + v_HW / _SHRINK
        there = self._cv2.remap(now, to_x_HW, to_y_HW, self._cv2.INTER_LINEAR)
        gone = self._blurred(np.abs(there - before)) < self._blurred(np.abs(change))
        return flow_HW2, near & far & gone

    def _blurred(self, plane: Plane) -> Plane:
        blurred: Plane = self._cv2.blur(plane, (_SMOOTH, _SMOOTH))
        return blurred

    def _age(self, moving_HW: NDArray[np.bool_], fading: np.float32) -> None:
        """Let still matter go and keep its trail, moving matter stay and lose its trail."""
        share_HW = self._planes_3HW[0]
        known_HW = np.where(
            share_HW < _KNOWN_SHARE, 0, fading / np.maximum(share_HW, _KNOWN_SHARE)
        )
        self._planes_3HW *= np.where(moving_HW, known_HW, fading)
        share_HW[moving_HW] = 1

    def _carry(
        self, flow_HW2: Plane, row_M: NDArray[np.intp], column_M: NDArray[np.intp]
    ) -> None:
        """Move what moves, each pixel dealt out to the four that it comes to lie on."""
        moved_2M = flow_HW2[row_M, column_M].T
        amount_3M = self._planes_3HW[:, row_M, column_M]
        self._planes_3HW[:, row_M, column_M] = 0
        amount_3M[1:] += moved_2M
        height, width = self._size_hw
        to_x_M, to_y_M = column_M + moved_2M[0] / _SHRINK, row_M + moved_2M[1] / _SHRINK
        x_4M, y_4M = np.floor(to_x_M) + _ACROSS_4, np.floor(to_y_M) + _BELOW_4
        part_4M = (1 - np.abs(to_x_M - x_4M)) * (1 - np.abs(to_y_M - y_4M))
        inside_4M = (x_4M >= 0) & (x_4M < width) & (y_4M >= 0) & (y_4M < height)
        target_N = (y_4M * width + x_4M)[inside_4M].astype(np.intp)
        for number, amount_M in enumerate(amount_3M):
            dealt_N = (part_4M * amount_M)[inside_4M]
            gathered = np.bincount(target_N, dealt_N, height * width)
            self._planes_3HW[number] += gathered.reshape(height, width)
        # Where more has gathered than a pixel holds, what lies there is the mean of it.
        self._planes_3HW /= np.maximum(self._planes_3HW[0], 1)

    def _measured(self) -> tuple[Plane, NDArray[np.int16]]:
        share, right, down = cell_means(self._planes_3HW, _BLOCK)
        active = share > self._own.active_fraction
        trail_ND = np.stack([right[active], down[active]], axis=1) / share[active][:, None]
        return (
            np.round(trail_ND / _QUANTUM) * _QUANTUM,
            np.argwhere(active).astype(np.int16) + np.int16(1),
        )


def _nothing() -> tuple[Plane, NDArray[np.int16]]:
    return np.zeros((0, 2), dtype=np.float32), np.zeros((0, 2), dtype=np.int16)
