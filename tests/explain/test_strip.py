"""Which moments a score comes from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from anomaly.detectors import FitContext, detectors
from anomaly.detectors.lstm_autoencoder import LstmAutoencoder
from anomaly.explain.strip import MOST_MOMENTS, Occluded, strip_of
from anomaly.features import FeatureBlock, FeatureSpec, vector_block
from anomaly.scores.merge import merge
from anomaly.scores.smooth import smooth, weights_around
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

SPEC = FeatureSpec(backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec())
QUICK = {"epochs": 8, "patience": 8, "batch": 16, "learning_rate": 1e-2}
STRANGE = 60


def video(seed, *, strange=False, n_rows=120):
    generator = np.random.default_rng(seed)
    course_TD = np.sin(np.arange(n_rows)[:, None] / 5 + np.arange(4))
    values_TD = (course_TD + generator.normal(0, 0.1, (n_rows, 4))).astype(np.float32)
    if strange:
        values_TD[STRANGE] += 6
    index = np.arange(n_rows)
    source = MemorySource(vector_block(index, index / 10, values_TD))
    return Bag(f"{seed}.mp4", "cam", {"features": source})


def fit(name, **parameters):
    detector = detectors().get(name).build(parameters, {"features": SPEC})
    return learnt(detector)


def learnt(detector):
    context = FitContext(np.random.default_rng(0))
    return detector.fit([video(0), video(1)], validation=[video(2)], context=context)


@given(
    st.lists(st.floats(0.01, 0.4), min_size=1, max_size=40),
    st.one_of(st.just(0.0), st.floats(0.02, 0.5)),
    st.integers(0, 39),
)
def test_the_weights_around_a_row_are_those_of_the_smoothing(gaps, sigma, row):
    seconds = np.cumsum(gaps)
    row %= len(seconds)
    values = np.sin(np.arange(len(seconds)))
    rows, weights = weights_around(row, seconds, sigma)
    assert smooth(values, seconds, sigma)[row] == pytest.approx(float(weights @ values[rows]))


def test_where_rows_stand_alone_a_moment_is_worth_its_part_of_the_smoothed_score():
    detector, bag = fit("knn"), video(9, strange=True)
    seconds = np.arange(120) / 10
    strip = strip_of(detector, bag, seconds, STRANGE, 0.3)
    raw = merge(detector.score(bag), 120).raw_R
    rows, weights = weights_around(STRANGE, seconds, 0.3)
    shares = weights * raw[rows] / (weights @ raw[rows])
    assert strip.method == "occlusion"
    assert strip.seconds == tuple(seconds[rows])
    np.testing.assert_allclose(strip.contribution, shares, atol=1e-5)
    assert strip.seconds[int(np.argmax(strip.contribution))] == 6.0


def test_where_rows_are_read_together_the_slope_points_at_the_strange_one():
    detector = fit("lstm_autoencoder", rows=8, training=QUICK)
    strip = strip_of(detector, video(9, strange=True), np.arange(120) / 10, STRANGE + 2, 0.1)
    assert strip.method == "gradient x input"
    assert sum(strip.contribution) == pytest.approx(1, abs=1e-3)
    assert strip.seconds[int(np.argmax(strip.contribution))] == 6.0
    assert 5.0 <= strip.seconds[0] < strip.seconds[-1] <= 8.0


class WithoutSlope(LstmAutoencoder):
    """A detector of windows that does not tell its formula."""

    @override
    def formula(self, bag):
        return None


def test_without_a_slope_moments_are_hidden_one_after_the_other():
    parameters = LstmAutoencoder.Parameters(rows=8, training=QUICK)
    detector = learnt(WithoutSlope(parameters, {"features": SPEC}))
    strip = strip_of(detector, video(9, strange=True), np.arange(120) / 10, STRANGE + 2, 0.1)
    assert strip.method == "occlusion"
    assert strip.seconds[int(np.argmax(strip.contribution))] == pytest.approx(6.0, abs=0.1)


def test_long_neighbourhoods_are_added_up():
    detector, n_rows = fit("knn"), 900
    bag = video(9, n_rows=n_rows)
    strip = strip_of(detector, bag, np.arange(n_rows) / 10, 400, 20.0)
    assert len(strip.seconds) == MOST_MOMENTS
    assert sum(strip.contribution) == pytest.approx(1, abs=1e-3)


def test_hidden_rows_show_the_row_before_them_whatever_cells_they_had():
    counts = np.array([2, 0, 3, 1])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = np.arange(6, dtype=np.float32)[:, None]
    place = np.stack([np.arange(6), np.arange(6)], axis=1).astype(np.int16)
    block = FeatureBlock(np.arange(4), np.arange(4) / 10, values, offsets, place, (6, 6))
    hidden = Occluded(MemorySource(block), 1, 3).read(0, 4)
    assert hidden.values_ND[:, 0].tolist() == [0, 1, 0, 1, 0, 1, 5]
    assert np.diff(hidden.offsets_S).tolist() == [2, 2, 2, 1]
    first = Occluded(MemorySource(block), 0, 2).read(0, 3)
    assert first.values_ND[:, 0].tolist() == [2, 3, 4, 2, 3, 4, 2, 3, 4]
