"""Lengths in float32: about those of float64, and the same bits whatever else is measured."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.training.blocks import LengthsInBlocks

DIMENSION = 300


@pytest.fixture(scope="module")
def triangle():
    return np.triu(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))


@pytest.fixture(scope="module")
def lengths(triangle):
    return LengthsInBlocks(triangle.astype(np.float32), np.full(DIMENSION, 3, np.float32))


def vectors(count):
    normal = np.random.default_rng(1).standard_normal((count, DIMENSION))
    return (normal + 3).astype(np.float32)


def test_lengths_are_those_of_float64(triangle, lengths):
    some = vectors(1100)
    assert np.allclose(
        lengths(some), np.linalg.norm((some - 3.0) @ triangle.T, axis=1), rtol=1e-5
    )


@pytest.mark.parametrize("rows", [1, 7, 512, 700])
def test_lengths_have_the_same_bits_for_every_cut_and_order_of_the_rows(lengths, rows):
    some = vectors(1100)
    whole = lengths(some)
    parts = [lengths(some[start : start + rows]) for start in range(0, len(some), rows)]
    assert np.array_equal(whole, np.concatenate(parts))
    order = np.random.default_rng(rows).permutation(len(some))
    assert np.array_equal(whole[order], lengths(some[order]))


def test_what_float32_cannot_hold_is_as_long_as_can_be(lengths):
    far = np.full((1, DIMENSION), 3e38, np.float32)
    assert np.isfinite(lengths(far)).all()
    assert lengths(far)[0] > lengths(1e6 * vectors(1))[0]


def test_no_vectors_have_no_lengths(lengths):
    assert lengths(vectors(0)).shape == (0,)
