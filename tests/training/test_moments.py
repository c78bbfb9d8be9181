"""Sums from which means and shrunk covariances follow."""

from __future__ import annotations

import functools
import operator
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from anomaly.detectors import FitContext, detectors
from anomaly.features import FeatureSpec, vector_block
from anomaly.training.moments import Moments, Spread, add_up, add_up_part
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def vectors(n, dimension, seed=0):
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((dimension, dimension))
    return (generator.standard_normal((n, dimension)) @ mixing + 5).astype(np.float32)


def bag(values, name="v"):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values)
    return Bag(name, "c", {"features": MemorySource(block)})


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_parts_add_up_to_the_whole_however_it_was_cut(sizes, dimension):
    whole = vectors(sum(sizes), dimension)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    spread = functools.reduce(operator.add, map(Spread.of, parts))
    assert spread.n == len(whole)
    assert np.allclose(spread.mean_D, whole.mean(axis=0, dtype=float))
    assert np.allclose(spread.squares_D / len(whole), whole.var(axis=0, dtype=float), atol=1e-9)
    moments = functools.reduce(operator.add, map(Moments.of, [p.astype(float) for p in parts]))
    expected = Moments.of(whole.astype(float))
    assert np.allclose(moments.products_DD, expected.products_DD, rtol=1e-12)
    assert moments.fourth == pytest.approx(expected.fourth, rel=1e-12)


@pytest.mark.parametrize(("n", "dimension"), [(500, 4), (30, 40), (2, 3), (300, 1)])
def test_the_shrunk_covariance_is_that_of_scikit_learn(n, dimension):
    centred = vectors(n, dimension).astype(float)
    centred -= centred.mean(axis=0)
    expected, _ = ledoit_wolf(centred, assume_centered=True)
    assert np.allclose(Moments.of(centred).ledoit_wolf(), expected, rtol=1e-9, atol=1e-9)


def test_a_constant_dimension_keeps_scale_one_in_however_many_parts():
    parts = [np.full((n, 1), 0.1, np.float32) for n in (3, 1000, 7)]
    spread = functools.reduce(operator.add, map(Spread.of, parts))
    assert spread.squares_D[0] == 0
    assert spread.scale_D[0] == 1


def test_workers_of_a_dask_cluster_add_up_to_what_one_process_finds():
    from distributed import Client, LocalCluster

    bags = [bag(vectors(300, 6, seed), f"{seed}") for seed in range(6)]
    expected = add_up(Spread.of, bags, "features")
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=False
        ) as cluster,
        Client(cluster) as client,
    ):
        futures = [client.submit(add_up_part, Spread.of, [one], "features") for one in bags]
        found = functools.reduce(operator.add, client.gather(futures))
    assert found.n == expected.n == 1800
    assert np.allclose(found.mean_D, expected.mean_D, rtol=1e-12)
    assert np.allclose(found.squares_D, expected.squares_D, rtol=1e-12)


def test_a_gaussian_of_all_vectors_equals_one_of_a_sample_that_holds_them_all():
    bags = [bag(vectors(200, 5, seed), f"{seed}") for seed in range(20)]

    def fit(**parameters):
        made = detectors().get("gaussian").build(parameters, {"features": RECIPE})
        return made.fit(bags, validation=[], context=FitContext(np.random.default_rng(0)))

    summed, sampled = fit(sample=0), fit(sample=10_000)
    assert np.allclose(summed.mean_D, sampled.mean_D)
    precision = [made.whitenings[0].T @ made.whitenings[0] for made in (summed, sampled)]
    assert np.allclose(*precision, rtol=1e-4)


@dataclass(frozen=True)
class Endless:
    """A long video that is made while it is read."""

    n_rows: int
    dimension: int = 16
    grid: None = None

    def read(self, start, stop):
        rows = np.arange(start, stop)
        values = (rows[:, None] % np.arange(2, 2 + self.dimension)).astype(np.float32)
        return vector_block(rows, rows / 10, values)


def test_a_million_vectors_are_added_up_in_the_memory_of_a_block():
    peaks = []
    for n_rows in (50_000, 1_000_000):
        tracemalloc.start()
        spread = add_up(Spread.of, [Bag("v", "c", {"features": Endless(n_rows)})], "features")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert spread.n == n_rows
        assert np.allclose(spread.mean_D, (np.arange(2, 18) - 1) / 2, atol=1e-3)
    assert peaks[1] < 1.1 * peaks[0] + 2**20
