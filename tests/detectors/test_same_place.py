"""Neighbours of the same place at about the same time of day, and what becomes of a cell without any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.detectors.same_place import apart
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec())
GRID = (4, 6)


def bag(values, places, clock=None, seconds=1.0):
    """One cell a row."""
    index = np.arange(len(values))
    block = FeatureBlock(
        index,
        index * seconds,
        np.array(values, np.float32).reshape(len(values), -1),
        np.arange(len(values) + 1),
        np.array(places, np.int16),
        GRID,
    )
    return Bag("v", "cam", {"features": MemorySource(block)}, clock_hours=clock)


def fitted(*bags, **options):
    cls = detectors().get("same_place")
    built = cls.build({"squares": False, **options}, {"features": RECIPE})
    return built.fit(bags, validation=(), context=FitContext(np.random.default_rng(0)))


def scores(detector, video):
    return np.concatenate([one.scores_NL[:, 0] for one in detector.score(video)])


@pytest.fixture(scope="module")
def two_places():
    """Cells at the left are 0, cells at the right are 10."""
    places = [(0, 0)] * 20 + [(0, 5)] * 20
    return fitted(bag([0.0] * 20 + [10.0] * 20, places))


def test_what_is_usual_elsewhere_is_strange_here(two_places):
    left, right = (scores(two_places, bag([10.0], [place]))[0] for place in ((0, 0), (0, 5)))
    assert right == 0
    assert left == pytest.approx(2.0)  # the two values lie two deviations apart


def test_a_cell_beside_is_the_same_place(two_places):
    assert scores(two_places, bag([0.0], [(1, 1)]))[0] == 0


def test_a_cell_where_nobody_has_been_is_compared_with_all_and_lies_farther(two_places):
    # neither the place nor, therefore, the hour of the place can be kept to
    assert scores(two_places, bag([10.0], [(3, 3)]))[0] == pytest.approx(2.0)


def test_neighbours_come_from_hours_alike_where_they_are_known():
    day = bag([0.0] * 20, [(0, 0)] * 20, clock=12.0)
    night = bag([10.0] * 20, [(0, 0)] * 20, clock=23.5)
    detector = fitted(day, night, hours=2.0)
    asked = {
        clock: scores(detector, bag([10.0], [(0, 0)], clock))[0] for clock in (13, 1, None, 6)
    }
    assert asked[13] == pytest.approx(2.0)
    assert asked[1] == 0  # an hour and a half after 23:30
    assert asked[None] == 0  # any hour
    assert asked[6] == pytest.approx(1.0)  # no hour alike: compared with all, a step farther


def test_the_hour_is_that_of_the_row_and_not_of_the_start():
    video = bag([0.0] * 4 + [10.0] * 4, [(0, 0)] * 8, clock=12.0, seconds=3600)
    detector = fitted(video, hours=1.0)
    later = bag([10.0], [(0, 0)], clock=18.0)
    assert scores(detector, later)[0] == 0
    assert scores(detector, replace(later, clock_hours=12.5))[0] == pytest.approx(2.0)


def test_hours_go_round():
    assert apart(np.array([23.0, 1.0, 6.0]), np.array([1.0, 23.0, 18.0])).tolist() == [2, 2, 12]
    assert apart(np.array([np.nan]), np.array([3.0])).tolist() == [0]


def test_every_place_is_remembered_however_seldom_something_moves_there():
    generator = np.random.default_rng(0)
    values = generator.normal(0, 1, (500, 1))
    places = [(0, 0)] * 499 + [(3, 5)]
    detector = fitted(bag(values, places), bank=10)
    counts = {tuple(place) for place in detector.place_K2.tolist()}
    assert counts == {(0, 0), (3, 5)}
    assert len(detector.bank_KD) == 6  # five of the one, all of the other
