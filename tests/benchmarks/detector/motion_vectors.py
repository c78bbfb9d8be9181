"""Dense flow against the codec's own motion vectors: `python -m tests.benchmarks.detector.motion_vectors`.

The vectors come nearly free with decoding, as they lie in the file. Here they take the place of the flow in
`motion`, all else equal, and both are judged on Ped2 and the coffee room, and timed with their decoding.
A vector is divided by the frames between its picture and the one it points to; pictures coded by
themselves have none, and neither have blocks: there nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from typing_extensions import override

from anomaly.features import FeatureBlock
from anomaly.features.backbones.motion import CellMeter, Motion, MotionParameters
from anomaly.video import FrameBatch

_BLOCK = 8
"""pixels: the smallest block that has a vector of its own"""
_REFERENCES = {"I", "P"}


class VectorMeter(CellMeter):
    """Measures cells with a flow that somebody laid out for it."""

    flow_HW2: np.ndarray

    @override
    def _optical_flow(self, before: Any, now: Any) -> np.ndarray:
        return cv2.resize(self.flow_HW2, self._half_wh, interpolation=cv2.INTER_AREA)


class VectorMotion(Motion):
    """`motion` with the vectors of a file instead of optical flow."""

    def __init__(self, parameters: MotionParameters, path: Path) -> None:
        super().__init__(parameters)
        self._path = path

    @override
    def _meter(self, size_hw: tuple[int, int]) -> VectorMeter:
        self._made = VectorMeter(size_hw, self.parameters.moving_pixels)
        return self._made

    def of_file(self) -> Iterator[FeatureBlock]:
        """Yield the features of the whole file."""
        return self.extract(self._batches())

    def _batches(self) -> Iterator[FrameBatch]:
        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"flags2": "+export_mvs"}
            stream.thread_type = "NONE"
            since_reference = 1
            for number, frame in enumerate(container.decode(stream)):
                gray = frame.to_ndarray(format="gray")
                if number:
                    self._made.flow_HW2 = _flow(frame, gray.shape, since_reference)
                since_reference = (
                    1 if frame.pict_type.name in _REFERENCES else since_reference + 1
                )
                yield FrameBatch(
                    gray[None, :, :, None], np.array([number]), np.array([float(frame.time)])
                )


def _flow(frame: Any, size_hw: tuple[int, int], frames_back: int) -> np.ndarray:
    """Return how far each block of 8 pixels has come since the frame before, (rows, columns, 2)."""
    rows, columns = (-(-side // _BLOCK) for side in size_hw)
    flow_HW2 = np.zeros((rows, columns, 2), dtype=np.float32)
    found = frame.side_data.get("MOTION_VECTORS")
    if found is None:
        return flow_HW2
    vectors = found.to_ndarray()
    vectors = vectors[vectors["source"] < 0]
    come_M2 = np.stack(
        [
            -vectors[f"motion_{axis}"] / vectors["motion_scale"] / frames_back
            for axis in ("x", "y")
        ],
        axis=1,
    )
    # dst is the middle of the block; blocks are 8 or 16 pixels long and high.
    for across in (0, 1):
        for down in (0, 1):
            wide, high = vectors["w"] > _BLOCK * across, vectors["h"] > _BLOCK * down
            left = vectors["dst_x"] - vectors["w"] // 2 + _BLOCK * across
            top = vectors["dst_y"] - vectors["h"] // 2 + _BLOCK * down
            row, column = top // _BLOCK, left // _BLOCK
            inside = (
                wide & high & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            )
            flow_HW2[row[inside], column[inside]] = come_M2[inside]
    return flow_HW2
