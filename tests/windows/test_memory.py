"""Cells recalled of earlier videos join the rows they belong to, however the rows are read."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.features import FeatureBlock, concatenate
from anomaly.windows.bags import MemorySource
from anomaly.windows.memory import Recalling

GRID = (5, 7)


def block(seed: int, n_rows: int, seconds: np.ndarray) -> FeatureBlock:
    generator = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(generator.integers(0, 4, n_rows))])
    values = generator.normal(size=(offsets[-1], 3)).astype(np.float32)
    place = generator.integers(0, GRID, (offsets[-1], 2)).astype(np.int16)
    return FeatureBlock(np.arange(n_rows), seconds, values, offsets, place, GRID)


def recalling(seed: int = 0) -> Recalling:
    own = block(seed, 40, np.arange(40) / 2)
    return Recalling(MemorySource(own), block(seed + 1, 3, np.array([5.0, 10.0, 15.0])))


@given(st.integers(0, 9), st.lists(st.integers(0, 40), max_size=6))
def test_rows_are_the_same_wherever_reading_begins_and_ends(seed: int, cuts: list[int]):
    source = recalling(seed)
    edges = sorted({0, 40, *cuts})
    parts = [source.read(a, b) for a, b in itertools.pairwise(edges)]
    whole, joined = source.read(0, 40), concatenate(parts)
    for name in ("index_T", "seconds_T", "values_ND", "offsets_S", "place_N2"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name))


def test_a_row_has_its_own_cells_and_those_of_the_latest_moment_recalled():
    source = recalling()
    own, recalled = source.source.read(0, 40), source.recalled
    for row in range(40):
        step = int(own.seconds_T[row] // 5) - 1
        expected = [own.rows(row, row + 1).values_ND]
        if step >= 0:
            expected.append(recalled.rows(min(step, 2), min(step, 2) + 1).values_ND)
        found = source.read(row, row + 1).values_ND
        np.testing.assert_array_equal(found, np.concatenate(expected))


def test_nothing_recalled_changes_nothing():
    own = block(0, 10, np.arange(10.0))
    empty = FeatureBlock(
        np.arange(1),
        np.zeros(1),
        np.zeros((0, 3), np.float32),
        np.zeros(2, np.int64),
        np.zeros((0, 2), np.int16),
        GRID,
    )
    source = Recalling(MemorySource(own), empty)
    assert (source.n_rows, source.dimension, source.grid) == (10, 3, GRID)
    np.testing.assert_array_equal(source.read(2, 9).values_ND, own.rows(2, 9).values_ND)
