"""What the backbones of cells share: grey pictures in, planes to cells, cells of each frame to blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.features import Backbone, FeatureBlock
from anomaly.spec import spec
from anomaly.video import FrameBatch, PixelSpec

Plane = NDArray[np.float32]
Gray = NDArray[np.uint8]


@spec
class CellParameters:
    """What all backbones of cells are told."""

    height: int = 240
    """larger pictures are scaled down to this many lines"""
    stride: Annotated[int, Field(ge=1)] = 1
    """look at every n-th frame"""


class CellBackbone(Backbone):
    """Describes places of a grey picture, without weights unless it says so."""

    Parameters = CellParameters
    parameters: CellParameters

    @property
    @override
    def pixels(self) -> PixelSpec:
        own = self.parameters
        return PixelSpec(
            color="gray", resize="limit_height", height=own.height, stride=own.stride
        )


def gray_frames(batches: Iterable[FrameBatch]) -> Iterator[tuple[int, float, Gray]]:
    """Yield (index, seconds, picture) of each frame."""
    for batch in batches:
        for index, seconds, pixels_HWC in zip(
            batch.index_B, batch.seconds_B, batch.pixels_BHWC, strict=True
        ):
            yield int(index), float(seconds), np.ascontiguousarray(pixels_HWC[:, :, 0])


@dataclass(frozen=True)
class CellRow:
    """The cells of one frame."""

    index: int
    seconds: float
    values_ND: Plane
    place_N2: NDArray[np.int16]
    """(row, column) of each cell"""
    grid: tuple[int, int]
    """rows and columns of the grid"""


def blocks_of(rows: Iterable[CellRow], at_once: int = 256) -> Iterator[FeatureBlock]:
    """Yield consecutive frames as blocks of `at_once` of them, the last one shorter."""
    source = iter(rows)
    while some := list(islice(source, at_once)):
        yield block_of(some)


def block_of(rows: Sequence[CellRow]) -> FeatureBlock:
    """Return consecutive frames, one at least, as a block."""
    counts = [len(row.values_ND) for row in rows]
    return FeatureBlock(
        np.array([row.index for row in rows], dtype=np.int64),
        np.array([row.seconds for row in rows], dtype=np.float64),
        np.concatenate([row.values_ND for row in rows]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([row.place_N2 for row in rows]),
        rows[0].grid,
    )


def blocks_in(size_hw: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return how many rows and columns of whole blocks a picture has, one at least."""
    return max(1, size_hw[0] // side), max(1, size_hw[1] // side)


def cell_means(planes: NDArray[Any], side: int) -> Plane:
    """Return the means of a plane, or of several, over cells of 2 x 2 blocks, cells a block apart.

    Shape (..., block rows - 1, block columns - 1): of a grid of cells centred on the corners of blocks,
    everything but the outermost ring.
    """
    import cv2

    *several, height, width = planes.shape
    blocks_hw = blocks_in((height, width), side)
    rows, columns = (
        min(n * side, length) for n, length in zip(blocks_hw, (height, width), strict=True)
    )
    # All planes as one tall picture: a single area-resize averages every block of every plane.
    tall = np.ascontiguousarray(planes[..., :rows, :columns], np.float32).reshape(-1, columns)
    tall_wh = blocks_hw[1], blocks_hw[0] * len(tall) // rows
    blocks: Any = cv2.resize(tall, tall_wh, interpolation=cv2.INTER_AREA)
    blocks = blocks.reshape(*several, *blocks_hw)
    pairs = blocks[..., 1:] + blocks[..., :-1]
    cells: Plane = (pairs[..., 1:, :] + pairs[..., :-1, :]) * np.float32(0.25)
    return cells
