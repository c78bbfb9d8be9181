"""Products of rounded vectors are exact, whatever they are computed together with."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.training.exact import lengths_through, round_for_products

numbers = st.floats(-(2.0**99), 2.0**99, width=32)


@given(
    st.integers(1, 40).flatmap(
        lambda d: st.tuples(*[hnp.arrays(np.float32, (3, d), elements=numbers)] * 2)
    )
)
def test_inner_products_equal_those_of_rational_numbers(pair):
    left, right = (round_for_products(array) for array in pair)
    product = left @ right.T
    for i in range(3):
        for j in range(3):
            exact = sum(
                Fraction(float(a)) * Fraction(float(b))
                for a, b in zip(left[i], right[j], strict=True)
            )
            assert Fraction(float(product[i, j])) == exact


@given(hnp.arrays(np.float32, (4, 9), elements=numbers))
def test_rounding_is_as_fine_as_float32_for_short_vectors(vectors):
    rounded = round_for_products(vectors)
    largest = np.abs(vectors).max(axis=1, keepdims=True).astype(np.float64)
    assert (np.abs(rounded - vectors) <= largest * 2.0**-23).all()


def test_products_have_the_same_bits_for_every_cut_of_the_rows():
    generator = np.random.default_rng(0)
    left = round_for_products(generator.standard_normal((1000, 300)))
    right = round_for_products(generator.standard_normal((77, 300)))
    whole = left @ right.T
    for rows in (1, 2, 7, 333):
        parts = [left[start : start + rows] @ right.T for start in range(0, 1000, rows)]
        assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[:, :1], left @ right[:1].T)


def test_no_vectors_and_vectors_of_zeros_stay_as_they_are():
    assert round_for_products(np.zeros((0, 5))).shape == (0, 5)
    assert np.array_equal(round_for_products(np.zeros((2, 5))), np.zeros((2, 5)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 9))
def test_lengths_after_a_map_are_those_of_the_product_whatever_zeros_it_has(rows, width, seed):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((rows, width))
    vectors = generator.standard_normal((40, width)).astype(np.float32)
    for kind in (matrix, np.triu(matrix), np.zeros_like(matrix)):
        found = lengths_through(round_for_products(kind), vectors)
        assert np.allclose(
            found, np.linalg.norm(vectors @ kind.T, axis=1), rtol=1e-5, atol=1e-5
        )


def test_lengths_after_a_map_have_the_same_bits_for_every_cut_of_the_rows():
    generator = np.random.default_rng(0)
    triangle = round_for_products(np.triu(generator.standard_normal((300, 300))))
    vectors = generator.standard_normal((1000, 300)).astype(np.float32)
    whole = lengths_through(triangle, vectors)
    for rows in (1, 7, 128, 333):
        parts = [
            lengths_through(triangle, vectors[start : start + rows])
            for start in range(0, 1000, rows)
        ]
        assert np.array_equal(whole, np.concatenate(parts))
