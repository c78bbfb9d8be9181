"""What moving things look like: their edges, place by place, around each cell in which something changes.

Dalal, Triggs, "Histograms of oriented gradients for human detection" (CVPR 2005), much simplified: slopes
of brightness to the right, left, down and up, averaged over blocks of 16 pixels around the cell. Where we
depart, each measured in docs/detector.md: which side of an edge is dark is kept; there are four
directions; and nothing is normalised but the light of the whole picture, because how strong edges are
tells much. Noise is taken off.

It needs no flow and knows nothing of speed, so a bicycle at walking pace is as unlike a walker as a fast
one. The ground behind a thing is part of what is seen: the detector learns it with the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from typing_extensions import override

from anomaly.features import FeatureBlock
from anomaly.features.backbones._cells import CellBackbone, CellParameters, Plane, blocks_in
from anomaly.features.backbones._changes import BLOCK, Changed, described
from anomaly.spec import spec
from anomaly.video import FrameBatch

_BLOCKS_UP, _BLOCKS_ASIDE = 2, 1
"""blocks above (and below) and left (and right) of the middle of a cell: about a person who stands there"""
_SIDES = 4
_NOISE_OF_SLOPE = np.float32(0.31)
"""standard deviation of a slope where the difference of two pictures has noise 1"""
_QUANTUM = np.float32(1 / 16)
"""values are rounded to its multiples, far below their noise: stored bytes shrink"""


@spec
class AppearanceParameters(CellParameters):
    """Parameters of the `appearance` backbone."""

    active_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """a cell is kept when more than this share of it changes"""


class Appearance(CellBackbone):
    """Yields for each cell that changes the slopes of brightness in the blocks around it.

    For each block, row after row, the mean slope to the right, left, down and up where it is positive, in
    levels of a picture of standard contrast per pixel of the half-size picture. A cell's place is its
    (row, column) in a grid of 16 pixels.
    """

    Parameters = AppearanceParameters
    version = 2
    parameters: AppearanceParameters

    @property
    @override
    def dimension(self) -> int:
        return _SIDES * 2 * _BLOCKS_UP * 2 * _BLOCKS_ASIDE

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        share = self.parameters.active_fraction
        yield from described(batches, share, _look, self.dimension)


def _look(changed: Changed) -> Plane:
    """Return the slopes of the blocks around each cell that changed, (N, D)."""
    blocks_SRC = _slopes(changed.lit, _NOISE_OF_SLOPE * np.float32(changed.noise))
    # Cell (r, c) lies around the corner that blocks r - 1 and r, c - 1 and c share.
    padded_SRC = np.pad(blocks_SRC, ((0, 0), (_BLOCKS_UP,) * 2, (_BLOCKS_ASIDE,) * 2))
    row_N, column_N = changed.place_N2.T
    around = [
        padded_SRC[:, row_N + down, column_N + right]
        for down in range(2 * _BLOCKS_UP)
        for right in range(2 * _BLOCKS_ASIDE)
    ]
    values: Plane = np.round(np.concatenate(around).T / _QUANTUM) * _QUANTUM
    return values


def _slopes(lit: Plane, least: np.float32) -> Plane:
    """Return the mean slopes beyond noise of each block to the four sides, (4, rows, columns)."""
    import cv2

    rows, columns = blocks_in(lit.shape, BLOCK)
    inside = np.s_[: rows * BLOCK, : columns * BLOCK]
    slopes: list[Any] = [
        cv2.Sobel(lit, cv2.CV_32F, *order, scale=1 / 8)[inside] for order in ((1, 0), (0, 1))
    ]
    blocks: list[Any] = [
        cv2.resize(np.maximum(side - least, 0), (columns, rows), interpolation=cv2.INTER_AREA)
        for slope in slopes
        for side in (slope, -slope)
    ]
    return np.stack(blocks)
