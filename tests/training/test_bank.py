"""A bank that knows its sides: what it says without one of them, and whom it doubts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from anomaly.training.bank import Witnesses, k_centre, nearest_distance
from anomaly.training.exact import round_for_products

SAMPLE, SIDES = 40, 4
samples = hnp.arrays(np.float64, (SAMPLE, 3), elements=st.integers(-9, 9))
sides = hnp.arrays(np.int16, SAMPLE, elements=st.integers(0, SIDES - 1))


def witnesses(sample, side_N, n_centres=8):
    rounded = round_for_products(sample)
    return Witnesses.of(rounded, side_N, k_centre(rounded, n_centres), int(side_N.max()) + 1)


@settings(max_examples=60)
@given(sample=samples, side_N=sides)
def test_a_doubt_is_the_distance_to_the_nearest_vector_of_any_other_side(sample, side_N):
    found = witnesses(sample, side_N)
    for vector, side, doubt in zip(found.bank_KE, found.side_K, found.doubts(), strict=True):
        others = sample[side_N != side]
        expected = cdist(vector[None], others).min() if len(others) else 0.0
        assert np.isclose(doubt, expected)


@settings(max_examples=60)
@given(sample=samples, side_N=sides)
def test_without_a_side_nothing_of_it_is_remembered_and_nobody_of_it_vouches(sample, side_N):
    found = witnesses(sample, side_N)
    for side in range(found.n_sides):
        bank, doubts = found.without(side)
        others = sample[side_N != side]
        if not len(others):
            continue
        assert np.allclose(cdist(bank, others).min(axis=1), 0)
        for vector, doubt in zip(bank, doubts, strict=True):
            own = side_N[(sample == vector).all(axis=1) & (side_N != side)]
            allowed = [
                cdist(vector[None], rest).min() if len(rest) else 0.0
                for one in own
                if len(rest := sample[(side_N != side) & (side_N != one)]) >= 0
            ]
            assert any(np.isclose(doubt, value) for value in allowed)


@settings(max_examples=60)
@given(sample=samples, side_N=sides)
def test_leaving_a_side_out_leaves_no_hole_where_others_were_like_it(sample, side_N):
    """The greedy choice covers every vector; without a side the cover is at most twice as wide."""
    found = witnesses(sample, side_N)
    cover = cdist(sample, found.bank_KE).min(axis=1).max()
    for side in range(found.n_sides):
        others = sample[side_N != side]
        if len(others):
            bank, _ = found.without(side)
            assert cdist(others, bank).min(axis=1).max() <= 2 * cover + 1e-6


def test_what_only_one_side_has_is_judged_from_the_origin():
    sample = np.array([[3.0, 4.0], [3.0, 5.0]])
    bank, doubts = witnesses(sample, np.zeros(2, np.int16)).without(0)
    assert nearest_distance(round_for_products(sample[:1]), bank, doubts).tolist() == [5.0]


def test_a_doubted_vector_lies_farther_away():
    bank = round_for_products(np.array([[0.0, 0.0], [10.0, 0.0]]))
    asked = round_for_products(np.array([[0.0, 0.0], [9.0, 0.0]]))
    assert np.allclose(nearest_distance(asked, bank, np.array([3.0, 0.0])), [3.0, 1.0])
