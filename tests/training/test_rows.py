"""Rows of a grid become vectors of one length."""

from __future__ import annotations

import numpy as np

from anomaly.features import FeatureBlock, vector_block
from anomaly.training.rows import row_vectors, seen_as
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


def test_changes_are_since_the_row_before_however_the_rows_are_read():
    values = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    index = np.arange(30) * 2
    bag = Bag("v", "c", {"x": MemorySource(vector_block(index, index / 25, values))}, ((4, 9),))
    expected = np.abs(np.diff(values, axis=0, prepend=values[:1]))
    changes, both, amount = (seen_as(view, bag) for view in ("changes", "both", "amount"))
    for start, stop in ((0, 30), (0, 1), (7, 8), (11, 30), (5, 5)):
        block = changes.read("x", start, stop)
        assert block.index_T.tolist() == index[start:stop].tolist()
        assert np.array_equal(block.values_ND, expected[start:stop])
        together = np.concatenate([values, expected], axis=1)[start:stop]
        assert np.array_equal(both.read("x", start, stop).values_ND, together)
        mean = expected[start:stop].mean(axis=1, keepdims=True)
        assert np.array_equal(amount.read("x", start, stop).values_ND, mean)
    seen = (changes, both, amount)
    assert [one.sources["x"].dimension for one in seen] == [2, 4, 1]
    assert changes.usable_ranges == bag.usable_ranges
    assert seen_as("vectors", bag) is bag
