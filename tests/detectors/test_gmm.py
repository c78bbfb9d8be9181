"""A mixture of Gaussians, against scikit-learn and against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from anomaly.detectors import FitContext, detectors
from anomaly.features import FeatureSpec, vector_block
from anomaly.training.mixture import Mixture
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def bag(values):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values.astype(np.float32))
    return Bag("v", "c", {"features": MemorySource(block)})


def two_heaps(n, seed=0):
    generator = np.random.default_rng(seed)
    heap = generator.random(n) < 0.3
    wide = generator.standard_normal((n, 3)) * [1, 2, 0.5]
    narrow = generator.standard_normal((n, 3)) * [0.3, 0.2, 3] + [8, -20, 100]
    return np.where(heap[:, None], wide, narrow)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_surprise_is_the_log_density_of_scikit_learn_up_to_a_constant(covariance):
    train, test = two_heaps(2000), two_heaps(100, 1)
    mixture = Mixture.fit(train, 2, covariance, np.random.default_rng(0))
    scale = train.std(axis=0)
    reference = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(
        train / scale
    )
    gap = mixture.surprise(test) + reference.score_samples(test / scale)
    assert np.allclose(gap, gap[0], atol=0.02)


def test_surprise_equals_a_slow_reference_from_the_formula():
    train, test = two_heaps(2000), two_heaps(50, 1)
    mixture = Mixture.fit(train, 3, "full", np.random.default_rng(0))
    covariances = [np.linalg.inv(w.T @ w) for w in mixture.whitening_KDD]
    peaks = [
        multivariate_normal(np.zeros(3), covariance).pdf(np.zeros(3))
        for covariance in covariances
    ]
    shares = np.exp(mixture.offset_K) / peaks
    density = sum(
        share * multivariate_normal(mean, covariance).pdf(test)
        for share, mean, covariance in zip(shares, mixture.mean_KD, covariances, strict=True)
    )
    assert np.allclose(mixture.surprise(test), -np.log(density), atol=1e-6)


def test_surprise_is_never_negative_and_nearly_nothing_at_the_middle_of_a_heap():
    mixture = Mixture.fit(two_heaps(2000), 2, "full", np.random.default_rng(0))
    found = mixture.surprise(mixture.mean_KD)
    assert (found >= 0).all()
    assert found.min() < 1


def test_fewer_vectors_than_components_still_fit():
    detector = detectors().get("gmm").build({"components": 5}, {"features": RECIPE})
    detector.fit(
        [bag(np.ones((1, 4)))], validation=[], context=FitContext(np.random.default_rng(0))
    )
    (block,) = detector.score(bag(np.ones((3, 4))))
    assert np.isfinite(block.scores_NL).all()


def test_what_lies_between_two_heaps_is_a_surprise_which_one_gaussian_cannot_see():
    detector = detectors().get("gmm").build({"components": 2}, {"features": RECIPE})
    detector.fit(
        [bag(two_heaps(2000))], validation=[], context=FitContext(np.random.default_rng(0))
    )
    (between,) = detector.score(bag(np.array([[4.0, -10.0, 50.0]])))
    (normal,) = detector.score(bag(two_heaps(300, 1)))
    assert between.scores_NL[0, 0] > 5 * normal.scores_NL.max()
