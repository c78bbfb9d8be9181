"""Nearest moments, against comparing everything with everything."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.detectors import FitContext, detectors
from anomaly.explain.neighbours import MOMENT_SECONDS, Space, nearest_moments
from anomaly.features import FeatureBlock, FeatureSpec, vector_block
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

MOTION = FeatureSpec(
    backbone="motion", parameters={}, version=1, weights="", pixels=PixelSpec()
)
PLAIN = FeatureSpec(backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec())


def grid_bag(seed, n_rows=200, dimension=7):
    """0 to 3 active cells a row; ten rows a second."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 4, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = generator.normal(size=(offsets[-1], dimension)).astype(np.float32)
    place = generator.integers(0, (6, 8), (offsets[-1], 2)).astype(np.int16)
    index = np.arange(n_rows)
    block = FeatureBlock(index * 2, index / 10, values, offsets, place, (6, 8))
    return Bag(f"{seed}.mp4", "cam", {"motion": MemorySource(block)})


def plain_bag(seed, n_rows=200):
    generator = np.random.default_rng(seed)
    index = np.arange(n_rows)
    block = vector_block(
        index, index / 10, generator.normal(size=(n_rows, 5)) * [1, 9, 1, 1, 1]
    )
    return Bag(f"{seed}.mp4", "cam", {"test": MemorySource(block)})


def fit(name, spec, bags, **parameters):
    detector = detectors().get(name).build(parameters, {spec.backbone: spec})
    return detector.fit(bags, validation=[], context=FitContext(np.random.default_rng(0)))


def slowly(query_E, bags, name, space, k):
    """Every usable row against the query, its nearest cell; the best row of each five seconds."""
    best = {}
    for number, bag in enumerate(bags):
        for row in np.flatnonzero(bag.usable_rows()).tolist():
            block = bag.read(name, row, row + 1)
            vectors, _ = space.embed(bag, block)
            for vector in vectors:
                distance = float(np.sqrt(np.square(vector.astype(np.float64) - query_E).sum()))
                key = (number, int(block.seconds_T[0] // MOMENT_SECONDS))
                if distance < best.get(key, (np.inf,))[0]:
                    best[key] = (distance, number, row)
    return sorted(best.values())[:k]


@settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from(["knn", "gaussian"]),
    st.integers(1, 12),
)
def test_the_nearest_moments_are_those_that_comparing_everything_finds(seed, placed, name, k):
    bags = [grid_bag(seed + n, n_rows=60 + 40 * n) for n in range(3)]
    bags[1] = bags[1].restrict(7, 71)
    detector = fit(name, MOTION, bags)
    space = Space.of(detector, bags, placed=placed)
    queries = [space.peak_E(grid_bag(seed + 9), row) for row in (3, 50)]
    queries = np.array([one for one in queries if one is not None]).reshape(
        -1, len(space.embed(bags[0], bags[0].read("motion", 0, 60))[0][0])
    )
    found = nearest_moments(queries, bags, "motion", space.embed, k=k)
    assert found.searched == 3
    for query_E, near in zip(queries, found.near, strict=True):
        wanted = slowly(query_E, bags, "motion", space, k)
        assert [(one.number, one.row) for one in near] == [(n, row) for _, n, row in wanted]
        np.testing.assert_allclose(
            [one.distance for one in near], [distance for distance, _, _ in wanted], rtol=1e-6
        )
        assert all(one.frame == 2 * one.row for one in near)


def test_blocks_make_no_difference(monkeypatch):
    bags = [plain_bag(n) for n in range(3)]
    space = Space.of(fit("gaussian", PLAIN, bags), bags, placed=True)
    query = space.peak_E(plain_bag(8), 20)[None]
    whole = nearest_moments(query, bags, "test", space.embed, k=9)
    monkeypatch.setattr("anomaly.windows.bags.BLOCK_ROWS", 7)
    assert nearest_moments(query, bags, "test", space.embed, k=9) == whole


def test_the_distance_of_knn_is_its_score():
    """Of plain vectors, where its bank holds every one and none is doubted."""
    bags = [plain_bag(n) for n in range(3)]
    detector = fit("knn", PLAIN, bags, doubt=0)
    space, video, row = Space.of(detector, bags, placed=True), plain_bag(7), 31
    (said,) = detector.score(video.stretch(row, row + 1))
    query = space.peak_E(video, row)[None]
    found = nearest_moments(query, bags, "test", space.embed, k=1)
    assert found.near[0][0].distance == pytest.approx(float(said.scores_NL[0, 0]), rel=1e-5)


def test_numbers_count_in_deviations_where_the_detector_measures_no_distance():
    bags = [plain_bag(n) for n in range(3)]
    space = Space.of(fit("gaussian", PLAIN, bags), bags, placed=True)
    assert "standard deviations" in space.unit
    vectors, _ = space.embed(bags[0], bags[0].read("test", 0, 200))
    np.testing.assert_allclose(vectors.std(axis=0) * np.sqrt(5), 1, atol=0.2)


def test_a_row_without_any_cell_has_nothing_to_be_compared():
    bag = grid_bag(0)
    empty = int(np.flatnonzero(np.diff(bag.sources["motion"].block.offsets_S) == 0)[0])
    space = Space.of(fit("knn", MOTION, [bag]), [bag], placed=True)
    assert space.peak_E(bag, empty) is None


def test_time_that_is_up_ends_a_search_with_what_was_searched_whole():
    bags = [plain_bag(n) for n in range(4)]
    space = Space.of(fit("gaussian", PLAIN, bags), bags, placed=True)
    asked = iter([False, False, False, False, True])
    query = space.peak_E(plain_bag(8), 20)[None]
    found = nearest_moments(query, bags, "test", space.embed, k=50, enough=lambda: next(asked))
    assert found.searched == 2
    assert {one.number for one in found.near[0]} == {0, 1}


def test_memory_does_not_grow_with_what_is_searched():
    class Tiled:
        """A long video that is made while it is read."""

        grid, dimension = None, 256

        def __init__(self, n_rows):
            self.n_rows = n_rows
            self.tile = np.random.default_rng(0).normal(size=(512, 256)).astype(np.float32)

        def read(self, start, stop):
            rows = np.arange(start, stop)
            return vector_block(rows, rows / 25, self.tile[rows % 512])

    peaks = []
    detector = fit("gaussian", PLAIN, [Bag("t", "cam", {"test": Tiled(600)})])
    for n_rows in (8_000, 32_000):
        bags = [Bag("long", "cam", {"test": Tiled(n_rows)})]
        space = Space.of(detector, [Bag("t", "cam", {"test": Tiled(600)})], placed=True)
        tracemalloc.start()
        nearest_moments(np.zeros((3, 256)), bags, "test", space.embed, k=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 2**20
