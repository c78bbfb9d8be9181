"""Motion cells: how fast, which way, how much change and how textured, in small windows of the picture.

A weight-free description for fixed cameras: dense optical flow (Kroeger et al., "Fast Optical Flow using
Dense Inverse Search", ECCV 2016) summed up in overlapping windows of 32 x 32 pixels that lie 16 apart, and
smoothed in time. Only cells in which something moves are kept; the outermost ring never is, because flow
is unreliable at the border of the picture.

Made to last on real cameras: the contrast of each picture is made the same, so that light matters
little; a common motion below two pixels is taken for a shake of the camera and undone; flow counts only
where the picture changes by more than its own noise, which is measured in every picture.

Departures from plain smoothing with repeated edges: the kernel uses the frames' real seconds and is
normalised over the frames that exist, so that variable frame rates and cut files behave; flow over a short
hole in the numbering is divided by the frames it spans; a hole longer than the kernel starts time anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.features import FeatureBlock
from anomaly.features.backbones._cells import (
    CellBackbone,
    CellParameters,
    CellRow,
    Gray,
    blocks_of,
    gray_frames,
)
from anomaly.features.backbones._pictures import evenly_lit, in_bytes, noise, shake
from anomaly.spec import spec
from anomaly.video import FrameBatch

_BLOCK = 8
"""side of a block in pixels of the half-size picture; a cell is 2 x 2 blocks, cells lie a block apart"""
_SUMS = 8
"""what is averaged over a cell: moving, d, gx, gy, |u|, u, |v|, v"""
_REACH_SIGMAS = 3.0
_REACH_FRAMES = 64
"""never smooth over more frames to either side, so that a stuck clock cannot fill the memory"""
_PATCH_STRIDE = 5
"""pixels from one patch of 8 x 8, whose flow is sought, to the next; 4 takes half as long again and finds
no more"""
_LEAST_SIDE_OF_FLOW = 8
"""pixels of the half-size picture below which the flow has nothing to match"""
_SMOOTH = 5
"""side of the square over which a change is averaged before it is compared with the noise"""
_EVIDENT_NOISES = 3.0
"""standard deviations of the averaged noise above which a change is evident"""
_NEAR = 7
"""side of the square around an evident change in which flow counts: a plain coat changes at its seams"""
_MEAN_OF_NOISE = 0.8
"""mean of that value: what noise alone would add to a mean absolute change"""

Cells = NDArray[np.float32]
"""shape (sums, grid rows - 2, grid columns - 2): the outermost ring is not even computed"""


@spec
class MotionParameters(CellParameters):
    """Parameters of the `motion` backbone; the numbers are set for pictures of about 240 lines."""

    moving_pixels: float = 0.25
    """a pixel moves when its flow is longer than this, in pixels a frame"""
    active_fraction: float = 0.1
    """a cell is kept when more than this share of it moves"""
    smoothing_seconds: float = 0.1
    """standard deviation of the Gaussian in time; 0 for none"""
    quantum: float = 1 / 64
    """values are rounded to its multiples, far below their noise: stored bytes shrink by two fifths"""


@dataclass(frozen=True)
class _Frame:
    index: int
    seconds: float
    run: int
    """index of the first frame after the last long hole"""
    cells: Cells


class Motion(CellBackbone):
    """Yields (d, gx, gy, right, left, down, up) of each active cell: raw, not centred, not scaled.

    d is the mean absolute change of brightness since the frame before, gx and gy the mean absolute slope
    of brightness per pixel of the half-size picture, all three in levels of a picture of standard
    contrast, the four directions the mean rectified flow in full-size pixels a frame. A cell's place is
    its (row, column) in a grid of 16 pixels.
    """

    Parameters = MotionParameters
    version = 3
    parameters: MotionParameters

    @property
    @override
    def dimension(self) -> int:
        return 7

    @classmethod
    @override
    def support_seconds(cls, parameters: MotionParameters) -> float:
        frame_before_seconds = (
            0.1  # at ten frames a second, the slowest that flow is of use for
        )
        return _REACH_SIGMAS * parameters.smoothing_seconds + frame_before_seconds

    @override
    def restart_row(self, row: int) -> int:
        # What is smoothed over, and the frame before that.
        return max(0, row - _REACH_FRAMES - 2)

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        return blocks_of(map(self._row, self._smoothed(self._measured(batches))))

    def _measured(self, batches: Iterable[FrameBatch]) -> Iterator[_Frame]:
        """Yield each frame with its cells; the first frame of a run takes those of the second."""
        meter: CellMeter | None = None
        before: _Frame | None = None
        opening: _Frame | None = None
        for index, seconds, gray in gray_frames(batches):
            if meter is None:
                meter = self._meter(gray.shape)
            gap = 0.0 if before is None else (index - before.index) / self.parameters.stride
            parted = (
                before is not None
                and gap > 1
                and seconds - before.seconds > self._reach_seconds
            )
            if before is None or parted:
                if opening is not None:
                    yield opening
                before = opening = _Frame(index, seconds, index, meter.begin(gray))
                continue
            before = _Frame(index, seconds, before.run, meter.measure(gray, gap))
            if opening is not None:
                yield replace(opening, cells=before.cells)
                opening = None
            yield before
        if opening is not None:
            yield opening

    def _meter(self, size_hw: tuple[int, ...]) -> CellMeter:
        return CellMeter(size_hw, self.parameters.moving_pixels)

    def _smoothed(self, frames: Iterable[_Frame]) -> Iterator[_Frame]:
        """Yield each frame smoothed over its neighbours in time, as soon as all of them are known."""
        held: deque[_Frame] = deque()
        at = 0  # position in `held` of the next frame to yield
        for frame in frames:
            held.append(frame)
            while not self._reaches(held, at, len(held) - 1):
                yield self._smooth(held, at)
                at += 1
                while not self._reaches(held, at, 0):
                    held.popleft()
                    at -= 1
        for last in range(at, len(held)):
            yield self._smooth(held, last)

    @property
    def _reach_seconds(self) -> float:
        return _REACH_SIGMAS * self.parameters.smoothing_seconds

    def _reaches(self, held: deque[_Frame], at: int, other: int) -> bool:
        """Say whether two frames are near enough in time to be smoothed together."""
        here, there = held[at], held[other]
        return (
            here.run == there.run
            and abs(at - other) <= _REACH_FRAMES
            and abs(here.seconds - there.seconds) <= self._reach_seconds
        )

    def _smooth(self, held: deque[_Frame], at: int) -> _Frame:
        if self.parameters.smoothing_seconds <= 0:
            return held[at]
        near = [held[other] for other in range(len(held)) if self._reaches(held, at, other)]
        distance_K = np.array([frame.seconds for frame in near]) - held[at].seconds
        weight_K = np.exp(-0.5 * (distance_K / self.parameters.smoothing_seconds) ** 2)
        weight_K = (weight_K / weight_K.sum()).astype(np.float32)
        # Multiply, then add frame by frame: the same bits wherever the stream was cut.
        weighted = np.stack([frame.cells for frame in near]) * weight_K[:, None, None, None]
        return replace(held[at], cells=weighted.sum(axis=0))

    def _row(self, frame: _Frame) -> CellRow:
        moving_RC, d, gx, gy, abs_u, u, abs_v, v = frame.cells
        active_RC = moving_RC > self.parameters.active_fraction
        vectors = (
            d,
            gx,
            gy,
            (abs_u + u) / 2,
            (abs_u - u) / 2,
            (abs_v + v) / 2,
            (abs_v - v) / 2,
        )
        quantum = np.float32(self.parameters.quantum)
        values_ND: Cells = np.stack([channel[active_RC] for channel in vectors], axis=1)
        return CellRow(
            frame.index,
            frame.seconds,
            np.round(values_ND / quantum) * quantum,
            np.argwhere(active_RC).astype(np.int16) + np.int16(1),
            (active_RC.shape[0] + 2, active_RC.shape[1] + 2),
        )


class _View(NamedTuple):
    """A picture as the meter compares it."""

    half: NDArray[np.float32]
    """half size, its contrast made the same for every light"""
    coarse: NDArray[np.uint8]
    """the same in bytes, for the flow"""


class CellMeter:
    """Measures the cells between each picture and the one before; reuses its buffers."""

    def __init__(self, size_hw: tuple[int, ...], moving_pixels: float) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._cv2: Any = cv2  # its stubs do not know the types that its functions return
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # Of the half-size picture: what the preset means for the whole.
        self._flow.setFinestScale(1)
        self._flow.setPatchStride(_PATCH_STRIDE)
        self._moving_squared = moving_pixels**2
        self._half_wh = max(1, size_hw[1] // 2), max(1, size_hw[0] // 2)
        # A grid of cells centred on 8 x 8 blocks, less its outermost ring, needs the blocks from half
        # a block inside the border on: as many rows of them as there are blocks in the picture, less one.
        self._block_rows, self._block_columns = (
            max(1, (side + _BLOCK) // _BLOCK - 2) for side in self._half_wh[::-1]
        )
        rows, columns = self._block_rows * _BLOCK, self._block_columns * _BLOCK
        self._inside = (
            slice(_BLOCK // 2, _BLOCK // 2 + rows),
            slice(_BLOCK // 2, _BLOCK // 2 + columns),
        )
        self._planes_SRC = np.empty((_SUMS, rows, columns), dtype=np.float32)
        self._view: _View

    def begin(self, gray: Gray) -> Cells:
        """Take a picture that has none before it; return cells in which nothing moves."""
        self._view = self._look(gray)
        return np.zeros(
            (_SUMS, self._block_rows - 1, self._block_columns - 1), dtype=np.float32
        )

    def measure(self, gray: Gray, gap_frames: float) -> Cells:
        """Return the cells from the picture before, `gap_frames` ago, to this one."""
        before = self._view
        empty = self.begin(gray)
        if empty.size == 0:
            return empty
        flow_HW2 = self._optical_flow(before, self._view)
        slopes = [
            self._cv2.Sobel(self._view.half, self._cv2.CV_32F, *order, scale=1 / 8)
            for order in ((1, 0), (0, 1))
        ]
        half_before = before.half
        shake_2 = shake(flow_HW2, *slopes)
        if shake_2.any():
            half_before = self._shifted(half_before, shake_2 / np.float32(2))
        change = self._view.half[self._inside] - half_before[self._inside]
        # Axis by axis: NumPy is slow where the last axis is as short as two.
        u, v = (
            (plane - common) / np.float32(gap_frames)
            for plane, common in zip(
                self._cv2.split(flow_HW2[self._inside]), shake_2, strict=True
            )
        )
        self._fill(u, v, change, slopes)
        return self._cells()

    def _look(self, gray: Gray) -> _View:
        half = self._cv2.resize(gray, self._half_wh, interpolation=self._cv2.INTER_AREA)
        lit = evenly_lit(half.astype(np.float32))
        return _View(lit, in_bytes(lit))

    def _optical_flow(self, before: _View, now: _View) -> NDArray[np.float32]:
        """Return the flow at half size, in pixels of the full size."""
        if min(self._half_wh) < _LEAST_SIDE_OF_FLOW:
            return np.zeros((*now.half.shape, 2), dtype=np.float32)
        flow_HW2: NDArray[np.float32] = self._flow.calc(before.coarse, now.coarse, None)
        flow_HW2 *= 2
        return flow_HW2

    def _shifted(
        self, picture: NDArray[np.float32], shift_2: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        matrix = np.array([[1, 0, shift_2[0]], [0, 1, shift_2[1]]])
        moved: NDArray[np.float32] = self._cv2.warpAffine(
            picture, matrix, self._half_wh, borderMode=self._cv2.BORDER_REPLICATE
        )
        return moved

    def _fill(
        self,
        u: NDArray[np.float32],
        v: NDArray[np.float32],
        change: NDArray[np.float32],
        slopes: list[NDArray[np.float32]],
    ) -> None:
        moving, d, gx, gy, abs_u, plain_u, abs_v, plain_v = self._planes_SRC
        smooth = self._cv2.blur(change, (_SMOOTH, _SMOOTH))
        noise_levels = noise(change - smooth)
        # Where the picture does not change beyond its noise, flow is the flow of noise.
        evident = (np.abs(smooth) > _EVIDENT_NOISES / _SMOOTH * noise_levels).astype(np.uint8)
        evident = self._cv2.dilate(evident, np.ones((_NEAR, _NEAR), np.uint8))
        np.greater(u * u + v * v, self._moving_squared, out=moving)
        moving *= evident
        np.maximum(np.abs(change) - np.float32(_MEAN_OF_NOISE * noise_levels), 0, out=d)
        for out, slope in zip((gx, gy), slopes, strict=True):
            np.abs(slope[self._inside], out=out)
        np.multiply(u, moving, out=plain_u)
        np.multiply(v, moving, out=plain_v)
        np.abs(plain_u, out=abs_u)
        np.abs(plain_v, out=abs_v)

    def _cells(self) -> Cells:
        # All planes as one tall picture: a single area-resize averages every block of every plane.
        tall = self._planes_SRC.reshape(-1, self._planes_SRC.shape[2])
        blocks = self._cv2.resize(
            tall,
            (self._block_columns, _SUMS * self._block_rows),
            interpolation=self._cv2.INTER_AREA,
        ).reshape(_SUMS, self._block_rows, self._block_columns)
        pairs = blocks[:, 1:] + blocks[:, :-1]
        cells: Cells = (pairs[:, :, 1:] + pairs[:, :, :-1]) * np.float32(0.25)
        return cells
