"""What the backbones of cells share: from planes to cells, from cells of each frame to a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureBlock

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class CellRow:
    """The cells of one frame."""

    index: int
    seconds: float
    values_ND: Plane
    place_N2: NDArray[np.int16]


def block_of(rows: Sequence[CellRow], grid: tuple[int, int]) -> FeatureBlock:
    """Return consecutive frames, one at least, as a block."""
    counts = [len(row.values_ND) for row in rows]
    return FeatureBlock(
        np.array([row.index for row in rows], dtype=np.int64),
        np.array([row.seconds for row in rows], dtype=np.float64),
        np.concatenate([row.values_ND for row in rows]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([row.place_N2 for row in rows]),
        grid,
    )


def blocks_in(size_hw: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return how many rows and columns of whole blocks a picture has, one at least."""
    return max(1, size_hw[0] // side), max(1, size_hw[1] // side)


def cell_means(plane: NDArray[Any], side: int) -> Plane:
    """Return the mean of a plane over each cell of 2 x 2 blocks, cells a block apart.

    Shape (block rows - 1, block columns - 1): of a grid of cells centred on the corners of blocks,
    everything but the outermost ring.
    """
    import cv2

    blocks_hw = blocks_in(plane.shape, side)
    rows, columns = (
        min(n * side, length) for n, length in zip(blocks_hw, plane.shape, strict=True)
    )
    inside = np.ascontiguousarray(plane[:rows, :columns], dtype=np.float32)
    blocks: Any = cv2.resize(inside, blocks_hw[::-1], interpolation=cv2.INTER_AREA)
    pairs = blocks[:, 1:] + blocks[:, :-1]
    cells: Plane = (pairs[1:] + pairs[:-1]) * np.float32(0.25)
    return cells
