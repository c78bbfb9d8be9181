"""Drift: each figure against an independent reference, and no word where nothing has changed."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from anomaly.scores.drift import (
    MOST_UNITS,
    UNIT_SCORES,
    Sample,
    feature_drift,
    permutation_p,
    score_drift,
    stability_index,
    units_of,
)


def walks(generator: np.random.Generator, units: int, shift: float = 0.0) -> Sample:
    """Scores that hang together within a unit, as those of neighbouring frames do."""
    levels = generator.normal(shift, 1, units)
    return Sample.of([level + 0.3 * generator.normal(size=12) for level in levels])


def clouds(generator: np.random.Generator, units: int, shift: float = 0.0) -> Sample:
    middles = generator.normal(0, 1, (units, 6)) + shift
    return Sample.of([middle + 0.3 * generator.normal(size=(8, 6)) for middle in middles])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 400), st.integers(1, 400), st.booleans())
def test_the_distance_is_that_of_scipy(seed: int, n: int, m: int, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    reference, recent = generator.normal(size=n), generator.normal(0.3, 1, m)
    if ties:
        reference, recent = reference.round(1), recent.round(1)
    found = score_drift(
        Sample(reference, np.arange(n) % 7), Sample(recent, np.arange(m) % 3), generator
    )
    assert found.distance == pytest.approx(ks_2samp(reference, recent).statistic)
    assert found.higher == (np.median(recent) > np.median(reference))


def plain_stability_index(reference: np.ndarray, recent: np.ndarray) -> float:
    """Tenth by tenth, as it is done by hand."""
    edges = [-np.inf, *(np.quantile(reference, k / 10) for k in range(1, 10)), np.inf]
    total = 0.0
    for low, high in pairwise(edges):
        shares = [
            (sum(low < value <= high for value in values) + 0.5) / (len(values) + 5)
            for values in (reference, recent)
        ]
        total += (shares[1] - shares[0]) * np.log(shares[1] / shares[0])
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(10, 200), st.integers(1, 200))
def test_the_stability_index_is_that_done_by_hand(seed: int, n: int, m: int) -> None:
    generator = np.random.default_rng(seed)
    reference, recent = generator.normal(size=n), generator.normal(0.5, 2, m)
    assert stability_index(reference, recent) == pytest.approx(
        plain_stability_index(reference, recent)
    )


def test_the_stability_index_of_the_same_scores_is_nothing() -> None:
    scores = np.random.default_rng(0).normal(size=500)
    assert stability_index(scores, scores) == 0
    assert stability_index(scores, scores + 3) > 2


def plain_discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimate, pair by pair (Gretton et al. 2012, lemma 6)."""
    pooled = np.concatenate([one, other])
    distances = [np.linalg.norm(a - b) for a, b in combinations(pooled, 2)]
    width = np.median(distances)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / (2 * width**2)))

    def within(some: np.ndarray) -> float:
        return (
            2
            * sum(kernel(a, b) for a, b in combinations(some, 2))
            / (len(some) * (len(some) - 1))
        )

    between = sum(kernel(a, b) for a in one for b in other) / (len(one) * len(other))
    return within(one) + within(other) - 2 * between


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_discrepancy_is_that_done_by_hand(shift: float) -> None:
    generator = np.random.default_rng(4)
    reference, recent = clouds(generator, 4), clouds(generator, 3, shift)
    found = feature_drift(reference, recent, generator)
    assert found.size == pytest.approx(plain_discrepancy(reference.values_N, recent.values_N))


def test_few_units_are_dealt_in_all_ways() -> None:
    """Against a list of all deals; the statistic here is the sum of what is dealt to the recent side."""
    worth = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    p, least = permutation_p(lambda dealt: dealt @ worth, 4, 2, np.random.default_rng(0))
    sums = [sum(pair) for pair in combinations(worth, 2)]
    assert p == pytest.approx(np.mean(np.array(sums) >= 9.0 + 2.6 - 1e-9))
    assert least == 1 / 15


def test_every_deal_of_the_features_counts_the_same_as_by_hand() -> None:
    generator = np.random.default_rng(8)
    reference, recent = clouds(generator, 3), clouds(generator, 2, 0.5)
    units = [
        sample.values_N[sample.unit_N == unit]
        for sample in (reference, recent)
        for unit in range(sample.units)
    ]
    by_hand = [
        plain_discrepancy(
            np.concatenate([units[u] for u in range(5) if u not in pair]),
            np.concatenate([units[u] for u in pair]),
        )
        for pair in combinations(range(5), 2)
    ]
    found = feature_drift(reference, recent, generator)
    assert found.p == np.mean(np.array(by_hand) >= found.size - 1e-9)


@pytest.mark.parametrize(("drift", "draw"), [(score_drift, walks), (feature_drift, clouds)])
def test_chances_are_honest_although_neighbours_hang_together(drift, draw) -> None:
    """p below 0.1 in about a tenth of cases without drift; the textbook p of frames says it in most."""
    p_values, textbook = [], []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        reference, recent = draw(generator, 15), draw(generator, 10)
        p_values.append(drift(reference, recent, generator).p)
        first = [s.values_N.reshape(len(s.values_N), -1)[:, 0] for s in (reference, recent)]
        textbook.append(ks_2samp(*first).pvalue)
    assert 0.03 <= np.mean(np.array(p_values) < 0.1) <= 0.19
    assert np.mean(np.array(textbook) < 0.1) > 0.6


@pytest.mark.parametrize(("drift", "draw"), [(score_drift, walks), (feature_drift, clouds)])
def test_what_has_drifted_is_seen(drift, draw) -> None:
    generator = np.random.default_rng(1)
    found = drift(draw(generator, 30), draw(generator, 20, 2.0), generator)
    assert found.p < 0.001
    assert found.size > 0.1


def test_the_same_seed_gives_the_same_figures() -> None:
    reference, recent = walks(np.random.default_rng(1), 30), walks(np.random.default_rng(2), 20)
    first, second = (score_drift(reference, recent, np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_constant_scores_and_vectors_have_not_drifted() -> None:
    scores = Sample.of([np.ones(5)] * 12)
    assert score_drift(scores, scores, np.random.default_rng(0)).p == 1
    vectors = Sample.of([np.ones((5, 3))] * 12)
    found = feature_drift(vectors, vectors, np.random.default_rng(0))
    assert (found.p, found.size) == (1, pytest.approx(0))


def test_a_video_is_cut_into_units_of_five_minutes() -> None:
    seconds_T = np.arange(0, 700, 0.5)
    usable_T = (seconds_T < 300) | (seconds_T >= 600)
    score_T = seconds_T.copy()
    first, last = units_of(score_T, seconds_T, usable_T)
    assert (len(first), first[0], first[-1]) == (UNIT_SCORES, 0, 299.5)
    assert (len(last), last[0], last[-1]) == (UNIT_SCORES, 600, 699.5)
    assert units_of(score_T, seconds_T, np.zeros(len(seconds_T), bool)) == []
    assert [len(unit) for unit in units_of(score_T[:3], seconds_T[:3], usable_T[:3])] == [3]


def test_a_sample_holds_so_many_units_at_most_from_first_to_last() -> None:
    sample = Sample.of([np.full(2, float(number)) for number in range(1000)])
    assert sample.units == MOST_UNITS
    assert (sample.values_N[0], sample.values_N[-1]) == (0, 999)
    assert Sample.of([]).units == 0
