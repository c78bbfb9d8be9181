"""Squares of neighbouring cells, against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomaly.features import FeatureBlock, vector_block
from anomaly.training import formulas
from anomaly.training.squares import best_square

ROWS, COLUMNS = 3, 4
cells = st.lists(
    st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.integers(0, 8)),
    max_size=9,
)


def block_of(frames):
    found = [cell for frame in frames for cell in frame]
    place_N2 = np.array([cell[:2] for cell in found], np.int16).reshape(-1, 2)
    block = FeatureBlock(
        np.arange(len(frames)),
        np.arange(len(frames)) / 10,
        np.zeros((len(found), 1), np.float32),
        np.cumsum([0, *map(len, frames)]),
        place_N2,
        (ROWS, COLUMNS),
    )
    return block, np.array([cell[2] for cell in found], np.float64)


def slowly(frame):
    """Every square by itself; of several scores in one place the highest counts."""
    highest = {}
    for row, column, score in frame:
        highest[row, column] = max(score, highest.get((row, column), 0))
    best = []
    for row, column, _ in frame:
        squares = [
            [(top + down, left + right) for down in (0, 1) for right in (0, 1)]
            for top in (row - 1, row)
            for left in (column - 1, column)
        ]
        best.append(max(sum(highest.get(at, 0) for at in square) / 4 for square in squares))
    return best


@given(frames=st.lists(cells, min_size=1, max_size=3))
def test_a_cell_counts_as_the_strangest_square_that_it_is_in(frames) -> None:
    block, score_N = block_of(frames)
    expected = [score for frame in frames for score in slowly(frame)]
    assert best_square(block, score_N).tolist() == pytest.approx(expected)
    torch_N = formulas.best_square(block, torch.from_numpy(score_N))
    assert torch_N.tolist() == pytest.approx(expected)


def test_plain_vectors_have_no_neighbours() -> None:
    score_N = np.array([1.0, 5.0])
    block = vector_block(np.arange(2), np.arange(2.0), np.zeros((2, 3), np.float32))
    assert best_square(block, score_N) is score_N
