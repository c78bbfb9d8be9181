"""One Gaussian a place, against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def bag(values_N, place_N2, grid=(2, 3), name="v"):
    """One cell a row."""
    index = np.arange(len(values_N))
    block = FeatureBlock(
        index,
        index / 10,
        values_N.astype(np.float32),
        np.arange(len(index) + 1),
        place_N2.astype(np.int16),
        grid,
    )
    return Bag(name, "c", {"features": MemorySource(block)})


def make(**parameters):
    return detectors().get("cell_gaussian").build(parameters, {"features": RECIPE})


def fit(detector, *bags):
    return detector.fit(list(bags), validation=[], context=FitContext(np.random.default_rng(0)))


def scores(detector, video):
    return np.concatenate([block.scores_NL[:, 0] for block in detector.score(video)])


def lived(n, seed, dimension=3):
    """Each place has a mean and a spread of its own."""
    generator = np.random.default_rng(seed)
    place = np.stack([generator.integers(0, 2, n), generator.integers(0, 3, n)], 1)
    middle = 10.0 * (place @ [3, 1])[:, None]
    spread = 1.0 + place[:, :1]
    return middle + spread * generator.standard_normal((n, dimension)), place


def test_distances_equal_a_slow_reference_with_the_prior_of_all_cells():
    values, place = lived(3000, 0)
    test, test_place = lived(60, 1)
    detector = fit(make(prior=7.0), bag(values, place))

    values = values.astype(np.float32).astype(float)
    mean, scale = values.mean(0), values.std(0)
    standard = (values - mean) / scale
    everything = standard.T @ standard / len(standard)
    expected = []
    for vector, where in zip(test.astype(np.float32), test_place, strict=True):
        own = standard[(place == where).all(axis=1)]
        total = len(own) + 7.0
        middle = own.sum(0) / total
        spread = (own.T @ own + 7.0 * everything) / total - np.outer(middle, middle)
        gap = (vector - mean) / scale - middle
        expected.append(np.sqrt(gap @ np.linalg.inv(spread + 0.01 * np.eye(3)) @ gap))
    assert np.allclose(scores(detector, bag(test, test_place)), expected, rtol=1e-4)


def test_what_is_usual_at_one_place_is_not_at_another():
    values, place = lived(3000, 0)
    detector = fit(make(), bag(values, place))
    vector = np.full((1, 3), 40.0)
    at_home = scores(detector, bag(vector, np.array([[1, 1]])))
    abroad = scores(detector, bag(vector, np.array([[0, 0]])))
    assert abroad > 5 * at_home


def test_only_as_many_dimensions_as_asked_for_are_looked_at():
    values, place = lived(500, 0, dimension=8)
    detector = fit(make(dimensions=3), bag(values, place))
    assert detector.mean_GD.shape == (6, 3)
    blind = np.setdiff1d(np.arange(8), detector.chosen_D)
    changed = values.copy()
    changed[:, blind] += 99
    first, second = (scores(detector, bag(v, place)) for v in (values, changed))
    assert np.array_equal(first, second)


def test_a_finer_grid_of_another_camera_is_scaled_to_the_first_ones():
    values, place = lived(3000, 0)
    detector = fit(make(), bag(values, place))
    finer = scores(detector, bag(values, 2 * place + 1, grid=(4, 6)))
    assert np.array_equal(finer, scores(detector, bag(values, place)))


def test_a_place_that_never_moved_is_judged_by_all_places_together():
    values, place = lived(3000, 0)
    detector = fit(make(), bag(values[place[:, 0] == 0], place[place[:, 0] == 0]))
    assert np.isfinite(scores(detector, bag(values[:5], np.ones((5, 2))))).all()


def test_no_prior_is_refused():
    with pytest.raises(SpecError, match="prior"):
        make(prior=0)
