"""Isolation forests, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Reference

from anomaly.detectors.isolation_forest import (
    Forest,
    IsolationForestParameters,
    usual_length,
)


def vectors(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)


@pytest.mark.parametrize(("n", "per_tree"), [(2000, 256), (50, 256), (300, 2)])
def test_scores_from_arrays_are_those_of_scikit_learn(n, per_tree):
    train, test = vectors(n), 2 * vectors(5000, 1)
    forest = Forest.grow(train, IsolationForestParameters(vectors_per_tree=per_tree), seed=3)
    reference = Reference(n_estimators=100, max_samples=min(per_tree, n), random_state=3).fit(
        train
    )
    assert np.allclose(forest.isolation(test), -reference.score_samples(test), rtol=1e-12)


def test_the_usual_number_of_cuts_is_that_of_the_paper():
    counts = np.array([1, 2, 3, 256])
    exact = [0, 1, *(2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n for n in (3, 256))]
    assert np.allclose(usual_length(counts), exact)
    assert usual_length(np.array([256]))[0] == pytest.approx(10.24, abs=0.01)


def test_far_vectors_are_easier_to_isolate_than_near_ones():
    forest = Forest.grow(vectors(2000), IsolationForestParameters(), seed=0)
    far, near = forest.isolation(np.array([[5, 5, 5, 5], [0, 0, 0, 0]], np.float32))
    assert far > 0.7 > 0.5 > near


def test_identical_vectors_give_finite_scores():
    forest = Forest.grow(np.ones((2, 3), np.float32), IsolationForestParameters(), seed=0)
    assert np.isfinite(forest.isolation(np.zeros((5, 3), np.float32))).all()
