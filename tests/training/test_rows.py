"""Rows of a grid become vectors of one length."""

from __future__ import annotations

import numpy as np

from anomaly.features import FeatureBlock
from anomaly.training.rows import row_vectors
from anomaly.windows.bags import Bag, MemorySource


def test_a_grid_is_described_by_mean_maximum_and_share_of_active_cells():
    index = np.arange(3)
    values = np.array([[1, -5], [3, -7], [-2, -2]], np.float16)
    block = FeatureBlock(
        index, index / 10, values, np.array([0, 2, 2, 3]), np.zeros((3, 2), np.int16), (2, 4)
    )
    described = row_vectors(Bag("v", "c", {"features": MemorySource(block)}), block)
    assert described.tolist() == [
        [2, -6, 3, -5, 0.25],
        [0, 0, 0, 0, 0],
        [-2, -2, -2, -2, 0.125],
    ]
