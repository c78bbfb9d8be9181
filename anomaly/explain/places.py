"""Where in the picture: the cells of a detector as maps, and strange cells that hang together as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Detector
from anomaly.scores.events import Box, Event
from anomaly.windows.bags import Bag

SHARE = 0.7
"""of the best cell that a place must reach where cells have no limit of their own"""


def cell_scores(
    detector: Detector, bag: Bag, first: int, last: int
) -> NDArray[np.float64] | None:
    """Return what a detector says of the cells of rows `first` to `last`, half-open.

    Only a stretch of the video is scored, as long as the rows' scores depend on.

    Returns:
        Shape (T, grid rows, grid columns): the highest score that a window gave the cell, NaN where none
        spoke of it. None for a detector of several inputs or one that does not localise.
    """
    if len(detector.inputs) != 1:
        return None
    grid = detector.cell_grid(bag, detector.input)
    if grid is None:
        return None
    reach = 2 * detector.support_rows
    begin, end = max(0, first - reach), min(bag.n_rows, last + reach)
    found_TGG = np.full((end - begin, *grid), -np.inf)
    for block in detector.score(bag.stretch(begin, end)):
        if block.cells is None:
            return None
        row_M, place_M2, score_M = block.cells
        np.maximum.at(found_TGG, (row_M, place_M2[:, 0], place_M2[:, 1]), score_M)
    found_TGG[np.isinf(found_TGG)] = np.nan
    return found_TGG[first - begin : last - begin]


def boxes(
    cells_GG: NDArray[np.float64], limit: float | None, height: int, width: int
) -> tuple[Box, ...]:
    """Return strange places as boxes in pixels of a picture of the given size, the worst first.

    Cells that reach `limit` and touch, corners included, make one box, as high as its highest cell. The
    highest cell of all always counts. Without a limit it is a share of the highest. Cells reach half a
    cell into their neighbours, and so do boxes.
    """
    import cv2

    known_GG = np.nan_to_num(cells_GG, nan=-np.inf)
    best = float(known_GG.max())
    if not np.isfinite(best):
        return ()
    least = min(best, best * SHARE if limit is None else limit)
    strange_GG = (known_GG >= least).astype(np.uint8)
    _, part_GG, areas, _ = cv2.connectedComponentsWithStats(strange_GG, connectivity=8)
    scale = np.array([height, width]) / cells_GG.shape
    found = []
    for number, (column, line, columns, lines, _) in enumerate(areas[1:].tolist(), start=1):
        low = (np.array([line, column]) - 0.5) * scale
        high = (np.array([line + lines, column + columns]) + 0.5) * scale
        top, left = np.maximum(np.rint(low), 0).astype(int).tolist()
        bottom, right = np.minimum(np.rint(high), [height, width]).astype(int).tolist()
        score = float(known_GG[part_GG == number].max())
        found.append(Box(left=left, top=top, right=right, bottom=bottom, score=score))
    return tuple(sorted(found, key=lambda box: -box.score))


def nearest_row(index_T: NDArray[np.int64], frame: int) -> int:
    """Return the row whose source frame is nearest to a frame."""
    return int(nearest_rows(index_T, np.array([frame]))[0])


def nearest_rows(index_T: NDArray[np.int64], frame_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row whose source frame is nearest to each frame, shape (F,); of two the earlier one."""
    middle_T = (index_T[1:] + index_T[:-1]) / 2
    return np.searchsorted(middle_T, frame_F)


def located(
    detector: Detector,
    bag: Bag,
    index_T: NDArray[np.int64],
    events: Sequence[Event],
    size: tuple[int, int],
) -> list[Event]:
    """Return the events with the boxes of their peaks, in pixels of frames of `size` (height, width).

    `index_T` are the source frames of the bag's rows. Of several inputs the one that spoke at the peak
    tells. Events of a detector that tells of no cells stay
    as they are.
    """
    found = []
    for event in events:
        row = nearest_row(index_T, event.peak_frame)
        part = event.part or next(iter(detector.inputs))
        judge = detector.judge_of(part)
        maps = cell_scores(judge, bag.only(part), row, row + 1) if event.place else None
        if maps is not None:
            event = replace(event, boxes=boxes(maps[0], judge.strange_cell, *size))  # noqa: PLW2901
        found.append(event)
    return found
