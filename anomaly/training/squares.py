"""What neighbouring cells say together: something strange is strange in more than one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureBlock


def best_square(block: FeatureBlock, score_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each cell the highest mean of a square of 2 x 2 cells that it is in, shape (N,).

    Scores are 0 or higher, and a place that has no cell counts as 0. Plain vectors come back as they are.
    """
    if block.place_N2 is None or block.grid is None:
        return score_N
    rows, columns = block.grid
    at = block.row_N, block.place_N2[:, 0] + 1, block.place_N2[:, 1] + 1
    framed_TRC = np.zeros((len(block), rows + 2, columns + 2))
    np.maximum.at(framed_TRC, at, score_N)  # what is recalled may stand in the place of another
    pair_TRC = framed_TRC[:, 1:] + framed_TRC[:, :-1]
    square_TRC = (pair_TRC[:, :, 1:] + pair_TRC[:, :, :-1]) / 4
    pair_TRC = np.maximum(square_TRC[:, 1:], square_TRC[:, :-1])
    best_TRC = np.maximum(pair_TRC[:, :, 1:], pair_TRC[:, :, :-1])
    best_N: NDArray[np.float64] = best_TRC[block.row_N, *block.place_N2.T]
    return best_N
