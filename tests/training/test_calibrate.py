from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomaly.errors import StoreError
from anomaly.training.calibrate import Calibrator

NORMALS = arrays(np.float64, st.integers(1, 200), elements=st.integers(-50, 50).map(float))


@given(NORMALS, st.lists(st.integers(-4000, 4000), min_size=2, max_size=50, unique=True))
def test_a_higher_score_is_always_strictly_more_anomalous(normals, scores) -> None:
    calibrated = Calibrator.fit([normals])(np.sort(np.array(scores)) / 7)
    assert np.isfinite(calibrated).all()
    assert np.all(np.diff(calibrated) > 0)


@given(NORMALS, st.floats(-5.0, 20.0))
def test_the_inverse_finds_the_score_of_a_level(normals, level) -> None:
    calibrator = Calibrator.fit([normals])
    np.testing.assert_allclose(
        calibrator(np.array([calibrator.inverse(level)])), level, atol=1e-6
    )


@given(NORMALS)
def test_up_to_the_tail_the_level_is_the_share_of_normals_at_least_as_high(normals) -> None:
    calibrator = Calibrator.fit([normals])
    at_knots = calibrator(calibrator.values_K)
    shares = [(normals >= value).mean() for value in calibrator.values_K]
    np.testing.assert_allclose(10**-at_knots, shares)


@pytest.mark.parametrize("kind", ["normal", "exponential", "gamma"])
def test_the_tail_probability_of_fresh_normals_is_uniform(kind: str) -> None:
    generator = np.random.default_rng(3)
    draw = {
        "normal": lambda n: generator.normal(size=n),
        "exponential": lambda n: generator.exponential(2.0, size=n),
        "gamma": lambda n: generator.gamma(3.0, size=n),
    }[kind]
    calibrator = Calibrator.fit([draw(3000) for _ in range(5)])
    tail = 10 ** -calibrator(draw(100_000))
    for level in (0.5, 0.1, 0.01, 0.001):
        assert 0.7 < (tail <= level).mean() / level < 1.35


def test_ranking_is_the_same_before_and_after() -> None:
    generator = np.random.default_rng(5)
    scores = generator.gamma(2.0, size=5000) * 100
    calibrated = Calibrator.fit([generator.gamma(2.0, size=800)])(scores)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(calibrated))


def test_a_camera_that_is_nearly_always_still_gets_a_tail_from_its_few_movements() -> None:
    moving = np.random.default_rng(1).exponential(size=30)
    calibrator = Calibrator.fit([np.zeros(9970), moving])
    assert calibrator(np.array([0.0]))[0] == 0.0
    assert 2.4 < calibrator(np.array([moving.min()]))[0] < 2.6


def test_normals_without_any_spread_still_calibrate() -> None:
    calibrated = Calibrator.fit([np.full(50, 3.0)])(np.array([2.0, 3.0, 4.0]))
    assert calibrated[1] == 0.0
    assert calibrated[0] < 0 < calibrated[2] < 1


def test_a_missing_score_stays_missing() -> None:
    calibrated = Calibrator.fit([np.array([1.0, np.nan, 2.0])])(np.array([np.nan, 1.5]))
    assert np.isnan(calibrated[0])
    assert np.isfinite(calibrated[1])


def test_nothing_to_calibrate_on_is_said_plainly() -> None:
    with pytest.raises(StoreError, match="no normal row was held out"):
        Calibrator.fit([np.array([np.nan])])


def test_state_brings_the_calibrator_back() -> None:
    calibrator = Calibrator.fit([np.random.default_rng(0).normal(size=500)])
    again = Calibrator.from_state(calibrator.state())
    grid = np.linspace(-9, 9, 99)
    np.testing.assert_array_equal(calibrator(grid), again(grid))
