"""One Gaussian with a shrunk covariance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureSpec, vector_block
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def bag(values):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values.astype(np.float32))
    return Bag("v", "c", {"features": MemorySource(block)})


def fit(values, parameters=None):
    detector = detectors().get("gaussian").build(parameters or {}, {"features": RECIPE})
    return detector.fit(
        [bag(values)], validation=[], context=FitContext(np.random.default_rng(0))
    )


def scores(detector, values):
    return np.concatenate([block.scores_NL[:, 0] for block in detector.score(bag(values))])


def correlated(n_rows, seed):
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((5, 5))
    return generator.standard_normal((n_rows, 5)) @ mixing * [1, 10, 0.1, 1, 100] + 3


def test_scores_are_the_mahalanobis_distances_of_scikit_learn():
    train, test = (correlated(800, seed).astype(np.float32) for seed in (0, 1))
    deviation = train.std(axis=0)
    reference = LedoitWolf().fit(train / deviation)
    expected = np.sqrt(reference.mahalanobis(test / deviation))
    assert np.allclose(scores(fit(train), test), expected, rtol=1e-4)


def test_squared_scores_of_normal_rows_average_the_number_of_dimensions():
    assert np.square(scores(fit(correlated(4000, 0)), correlated(4000, 1))).mean() == (
        pytest.approx(5, rel=0.1)
    )


def test_more_dimensions_than_vectors_and_constant_dimensions_give_finite_scores():
    generator = np.random.default_rng(0)
    train = generator.standard_normal((10, 40))
    train[:, 3] = 7
    found = scores(fit(train), generator.standard_normal((20, 40)))
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_a_sample_gives_nearly_the_scores_of_all_vectors():
    train, test = correlated(20_000, 0), correlated(200, 1)
    few = scores(fit(train, {"sample": 4000}), test)
    assert np.allclose(few, scores(fit(train), test), rtol=0.15)


def test_pca_and_npca_share_out_the_components_so_that_squared_distances_add_up():
    train, test = correlated(3000, 0), correlated(100, 1)
    squared = {
        name: np.square(scores(fit(train, {"components": name, "least_variance": 0.2}), test))
        for name in ("all", "pca", "npca")
    }
    assert np.allclose(squared["pca"] + squared["npca"], squared["all"], rtol=1e-5)
    assert (squared["pca"] > 0).all()
    assert (squared["npca"] > 0).all()


def test_npca_sees_a_broken_correlation_and_hardly_a_large_but_usual_step():
    generator = np.random.default_rng(0)
    along = generator.standard_normal((4000, 1))
    train = np.concatenate([along, along], 1) + 0.05 * generator.standard_normal((4000, 2))
    usual, broken = np.array([[4.0, 4.0]]), np.array([[1.0, -1.0]])
    npca = fit(train, {"components": "npca"})
    assert scores(npca, broken) > 10 * scores(npca, usual)
    pca = fit(train, {"components": "pca"})
    assert scores(pca, usual) > 10 * scores(pca, broken)


def long_vectors(n_rows, seed, dimension=300):
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((dimension, dimension))
    return (generator.standard_normal((n_rows, dimension)) @ mixing + 3).astype(np.float32)


def test_long_vectors_have_the_distances_of_scikit_learn_too():
    train, test = long_vectors(2000, 0), long_vectors(300, 1)
    deviation = train.std(axis=0)
    reference = LedoitWolf().fit(train / deviation)
    expected = np.sqrt(reference.mahalanobis(test / deviation))
    assert np.allclose(scores(fit(train), test), expected, rtol=1e-3)


@pytest.mark.parametrize("sample", [0, 40_000])
def test_levels_have_a_gaussian_each_and_distances_add_up(sample):
    train, test = correlated(800, 0), correlated(100, 1)
    both = scores(fit(train, {"levels": (2, 3), "sample": sample}), test)
    alone = [
        scores(fit(train[:, part], {"sample": sample}), test[:, part])
        for part in (slice(0, 2), slice(2, 5))
    ]
    assert np.allclose(both, sum(alone), rtol=1e-5)


def test_levels_survive_a_round_trip_through_the_state():
    detector, test = fit(correlated(800, 0), {"levels": (2, 3)}), correlated(50, 1)
    again = detectors().get("gaussian").build({"levels": (2, 3)}, {"features": RECIPE})
    again.load_state(detector.state())
    assert np.array_equal(scores(again, test), scores(detector, test))


def test_levels_that_do_not_make_up_a_vector_are_refused():
    with pytest.raises(SpecError, match=r"levels of \(2, 2\) dimensions make 4.* have 5"):
        fit(correlated(50, 0), {"levels": (2, 2)})
