"""Samples are uniform, bounded, and do not depend on how the stream was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.errors import StoreError
from anomaly.features import FeatureBlock, vector_block
from anomaly.training.sampling import Reservoir, locations, sample_cells
from anomaly.windows.bags import Bag, MemorySource


def sampled(pieces, capacity, seed=0):
    reservoir = Reservoir(capacity, np.random.default_rng(seed))
    for piece in pieces:
        reservoir.add(piece)
    return reservoir.sample()


@given(
    cuts=st.lists(st.integers(0, 500), max_size=20),
    capacity=st.integers(1, 600),
    seed=st.integers(0, 5),
)
def test_a_sample_does_not_depend_on_how_the_stream_was_cut(cuts, capacity, seed):
    items = np.arange(500)
    pieces = np.split(items, sorted(cuts))
    sample = sampled(pieces, capacity, seed)
    assert np.array_equal(sample, sampled([items], capacity, seed))
    assert len(sample) == min(capacity, 500)
    assert (np.diff(sample) > 0).all()


def test_every_item_is_as_likely_as_any_other():
    counts = np.zeros(100)
    for seed in range(2000):
        counts[sampled(np.split(np.arange(100), 10), 20, seed)] += 1
    assert np.abs(counts / 2000 - 0.2).max() < 0.05


def test_a_reservoir_holds_little_more_than_its_capacity():
    reservoir = Reservoir(100, np.random.default_rng(0))
    for _ in range(1000):
        reservoir.add(np.zeros(50))
        assert sum(map(len, reservoir._items)) <= 200
    assert reservoir.n_seen == 50_000


def test_an_empty_reservoir_says_so():
    with pytest.raises(StoreError, match="nothing to take a sample of"):
        Reservoir(3, np.random.default_rng(0)).sample()


def test_cells_are_sampled_from_usable_rows_with_their_places_made_comparable():
    index = np.arange(4)
    block = FeatureBlock(
        index,
        index / 10,
        np.arange(8, dtype=np.float16).reshape(4, 2),
        np.array([0, 1, 3, 3, 4]),
        np.array([[0, 0], [1, 7], [3, 0], [2, 2]], np.int16),
        (4, 8),
    )
    bag = Bag("v", "c", {"features": MemorySource(block)}, ((1, 4),))
    vectors, places = sample_cells([bag], "features", 100, np.random.default_rng(0))
    assert vectors.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert places.tolist() == [[1 / 8, 7 / 8], [3 / 8, 0], [2 / 8, 2 / 8]]


def test_plain_vectors_have_no_place():
    block = vector_block(np.arange(3), np.arange(3) / 10, np.zeros((3, 2)))
    assert locations(block).shape == (3, 0)
