"""Where in a frame a score comes from, by whatever the detector and its features have to tell.

A pixel model tells where it errs, a detector of cells what it says of each. For the others Grad-CAM++ asks
the network that described the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Detector
from anomaly.explain import HeatMethod
from anomaly.explain.places import cell_scores
from anomaly.features import Backbone, FeatureSpec
from anomaly.features.backbones.timm_frames import Square, TimmFrames
from anomaly.windows.bags import Bag

MOST_PLACES = 64
"""rows, and columns, of a map that is kept; finer ones are averaged"""
_LOWEST_OF_MAPS = 0.5
"""quantile of a map from which on it is drawn: it has some warmth everywhere"""
_LOWEST_OF_CELLS = 0.3
"""share of the highest cell from which on cells are drawn"""

Area = tuple[float, float, float, float]
WHOLE: Area = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class HeatMap:
    """A map over a part of one frame."""

    method: HeatMethod
    raw_GG: NDArray[np.float64]
    """NaN where nothing is known"""
    area: Area = WHOLE
    """top, left, bottom, right of that part, as shares of the frame's sides"""

    def kept(self) -> HeatMap:
        """Return the map with at most `MOST_PLACES` rows and columns."""
        import cv2

        rows, columns = (min(side, MOST_PLACES) for side in self.raw_GG.shape)
        if (rows, columns) == self.raw_GG.shape:
            return self
        smaller: Any = cv2.resize(self.raw_GG, (columns, rows), interpolation=cv2.INTER_AREA)
        return replace(self, raw_GG=smaller)

    def to_rows(self) -> tuple[tuple[float | None, ...], ...]:
        """Return the raw values, four digits of each, None where nothing is known."""
        return tuple(
            tuple(float(f"{value:.4g}") if np.isfinite(value) else None for value in row)
            for row in self.raw_GG.tolist()
        )


@dataclass(frozen=True)
class Asked:
    """One row of a video, and the detector that judges it."""

    detector: Detector
    """of one input"""
    bag: Bag
    row: int


def method_of(asked: Asked, backbone: Backbone) -> tuple[HeatMethod | None, str]:
    """Return how a map of the frame can be made; or None, and why it cannot."""
    detector, bag = asked.detector, asked.bag
    name = type(detector).__module__.rsplit(".", 1)[-1]
    if detector.reads == "pixels":
        return "errors", ""
    of_network = isinstance(backbone, TimmFrames)
    is_placed = not of_network or backbone.parameters.grid > 0
    tells_cells = detector.cell_grid(bag, detector.input) is not None and is_placed
    if tells_cells and detector.support_rows == 0:
        return "cells", ""
    if not of_network:
        return (
            None,
            f"The features of {name!r} have no places, and no network made them: no map.",
        )
    if detector.formula(bag) is None:
        return (
            None,
            f"Detector {name!r} has no slope, so Grad-CAM++ has nothing to go by: no map.",
        )
    return "grad-cam++", ""


def stored_map(asked: Asked, method: HeatMethod, area: Area) -> HeatMap | None:
    """Return a map that follows from stored features alone; None where there is none."""
    if method == "errors":
        raw_GG = asked.detector.error_map(asked.bag, asked.row)
    else:
        maps_TGG = cell_scores(asked.detector, asked.bag, asked.row, asked.row + 1)
        raw_GG = None if maps_TGG is None else maps_TGG[0]
    return None if raw_GG is None else HeatMap(method, raw_GG, area).kept()


def network_map(
    asked: Asked, backbone: TimmFrames, pixels_HWC: NDArray[np.uint8]
) -> HeatMap | None:
    """Return Grad-CAM++ of a frame as the backbone gets it; None where the row has no score.

    Several crops of a frame make one map, each place the highest of the crops that show it.
    """
    from anomaly.explain.gradcam import map_slopes
    from anomaly.explain.slopes import slopes

    owed = slopes(asked.detector, asked.bag, [asked.row], [1.0])
    if owed is None:
        return None
    crops_KHWC = backbone.crops(pixels_HWC[None])
    slope_KD = owed.of_row(asked.row)
    heat_KGG = map_slopes(backbone.describer, crops_KHWC, slope_KD).heat_BGG()
    height, width = pixels_HWC.shape[:2]
    squares = backbone.squares(height, width)
    if len(squares) == 1:
        return HeatMap("grad-cam++", heat_KGG[0], area_of(squares[0], height, width))
    return HeatMap("grad-cam++", _merged(heat_KGG, squares, height, width))


def seen_area(backbone: Backbone, recipe: FeatureSpec, size: tuple[int, int]) -> Area:
    """Return the part of frames of a size (height, width) that the features of a recipe tell of."""
    if not isinstance(backbone, TimmFrames):
        return WHOLE
    scaled = recipe.pixels.output_size(*size)
    return area_of(backbone.squares(*scaled)[0], *scaled)


def area_of(square: Square, height: int, width: int) -> Area:
    """Return a square of a frame as shares of the frame's sides."""
    bottom, right = square.top + square.side, square.left + square.side
    return square.top / height, square.left / width, bottom / height, right / width


def shown_range(maps: Sequence[HeatMap]) -> tuple[float, float]:
    """Return which raw values are drawn as nothing and at full strength: one scale for all the maps."""
    values = np.concatenate([one.raw_GG.ravel() for one in maps])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    high = float(values.max())
    of_cells = maps[0].method == "cells"
    low = _LOWEST_OF_CELLS * high if of_cells else float(np.quantile(values, _LOWEST_OF_MAPS))
    return low, high if high > low else low + 1.0


def shown_GG(heat: HeatMap, low: float, high: float) -> NDArray[np.float64]:
    """Return the map on a scale of 0 (nothing) to 1 (full strength), 0 where nothing is known."""
    return np.nan_to_num(np.clip((heat.raw_GG - low) / (high - low), 0.0, 1.0), nan=0.0)


def _merged(
    heat_KGG: NDArray[np.float64], squares: Sequence[Square], height: int, width: int
) -> NDArray[np.float64]:
    """Return one map of a whole frame, with places as large as those of the crops; NaN where none looks."""
    import cv2

    merged_HW = np.full((height, width), -np.inf)
    for heat_GG, square in zip(heat_KGG, squares, strict=True):
        plain_GG = heat_GG[:, ::-1] if square.mirrored else heat_GG
        large: Any = cv2.resize(plain_GG, (square.side, square.side))
        lines = slice(square.top, square.top + square.side)
        columns = slice(square.left, square.left + square.side)
        part_HW = merged_HW[lines, columns]
        np.maximum(part_HW, large, out=part_HW)
    merged_HW[np.isinf(merged_HW)] = np.nan
    rows, columns_n = (
        math.ceil(size * heat_KGG.shape[1] / squares[0].side) for size in (height, width)
    )
    smaller: Any = cv2.resize(merged_HW, (columns_n, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.float64)
