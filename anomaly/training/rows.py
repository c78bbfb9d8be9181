"""One vector for each row of a video, whatever its backbone gives: what sequence models read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.features import FeatureBlock
from anomaly.training.sampling import checked
from anomaly.windows.bags import Bag


def row_vectors(
    bag: Bag, block: FeatureBlock, dimension: int | None = None
) -> NDArray[np.float32]:
    """Return one vector a row, shape (T, D); a plain vector stays as it is.

    A grid is described by the mean and the maximum over its cells and the share of active cells;
    a row without any is all zeros.

    Raises:
        StoreError: rows are not of length `dimension`, or hold numbers that are not finite.
    """
    cells = checked(block, bag)
    vectors_TD = cells.pooled_TD()
    if cells.grid is not None:
        highest_TD = np.full_like(vectors_TD, -np.inf)
        np.maximum.at(highest_TD, cells.row_N, cells.values_ND)
        active_T = np.diff(cells.offsets_S)
        highest_TD[active_T == 0] = 0.0
        share_T = (active_T / np.prod(cells.grid)).astype(np.float32)
        vectors_TD = np.concatenate([vectors_TD, highest_TD, share_T[:, None]], axis=1)
    if dimension is not None and vectors_TD.shape[1] != dimension:
        raise StoreError(
            f"Rows of {bag.video!r} have {vectors_TD.shape[1]} dimensions, expected {dimension} "
            "as in the videos that the detector learnt from. Use features of one recipe."
        )
    return vectors_TD
