"""What networks are fed with."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.errors import StoreError
from anomaly.features import vector_block
from anomaly.training.inputs import Standard, sample_windows, windows_to_learn
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag, MemorySource


def bag(n_rows, ranges=None):
    index = np.arange(n_rows)
    values = np.stack([index, np.full(n_rows, 7)], 1).astype(np.float32)
    block = vector_block(index, index / 10, values)
    return Bag("v", "c", {"features": MemorySource(block)}, ranges)


def test_standardised_vectors_have_mean_zero_and_variance_one_and_constants_stay():
    vectors = np.random.default_rng(0).normal(5, 3, (200, 4, 2)).astype(np.float32)
    vectors[..., 1] = 7
    standard = Standard.of(vectors)
    found = standard(vectors)
    assert np.allclose(found[..., 0].mean(), 0, atol=1e-5)
    assert np.allclose(found[..., 0].std(), 1, atol=1e-5)
    assert (found[..., 1] == 0).all()


def test_few_windows_are_kept_of_long_videos_and_each_is_a_stretch():
    found = sample_windows(
        [bag(3000)], "features", WindowSpec(length=9), 50, np.random.default_rng(0)
    )
    assert found.shape == (50, 9, 2)
    assert (np.diff(found[..., 0], axis=1) == 1).all()


def test_no_window_reaches_over_rows_that_labels_took_out():
    found = sample_windows(
        [bag(100, ((0, 40), (60, 100)))],
        "features",
        WindowSpec(length=8),
        1000,
        np.random.default_rng(0),
    )
    inside = (found[..., 0] < 40).all(axis=1) | (found[..., 0] >= 60).all(axis=1)
    assert inside.all()


def test_videos_shorter_than_a_window_are_refused_with_its_length():
    with pytest.raises(StoreError, match=r"none of 1 training videos has 9 usable rows"):
        windows_to_learn(
            [bag(8)], "features", WindowSpec(length=9), 50, np.random.default_rng(0)
        )
