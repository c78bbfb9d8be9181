"""Motion leads in the one place that was learnt, trails in any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

GRID = (5, 7)
PARTS = ("motion", "static", "trail")
DIMENSIONS = {"motion": 7, "static": 3, "trail": 2}


def view(place):
    """What a camera shows: plain noise, so that no two places agree."""
    return np.random.default_rng(place).integers(0, 255, (30, 40), dtype=np.uint8)


def block(seed, dimension, n_rows=90):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 4, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = np.abs(generator.normal(0, 1, (offsets[-1], dimension))).astype(np.float32)
    place = generator.integers(0, GRID, (offsets[-1], 2)).astype(np.int16)
    return FeatureBlock(np.arange(n_rows), np.arange(n_rows) / 10, values, offsets, place, GRID)


def bag(seed, place=0, parts=PARTS, **planted):
    """A video of a place; `planted` puts an outlier into the first cell of a row of an input."""
    blocks = {name: block(seed * 10 + DIMENSIONS[name], DIMENSIONS[name]) for name in parts}
    for name, row in planted.items():
        blocks[name].values_ND[blocks[name].offsets_S[row]] += 60
    sources = {name: MemorySource(one) for name, one in blocks.items()}
    return Bag(f"{seed}", "cam", sources, view_HW=None if place is None else view(place))


def recipe_of(name):
    return FeatureSpec(backbone=name, parameters={}, version=1, weights="", pixels=PixelSpec())


def fitted(places, parts=PARTS):
    built = detectors().get("default").build({}, {name: recipe_of(name) for name in parts})
    bags = [bag(number, place, parts) for number, place in enumerate(places)]
    return built.fit(bags, validation=(), context=FitContext(np.random.default_rng(0))), bags


@pytest.fixture(scope="module")
def one_place():
    return fitted([0] * 12)[0]


@pytest.fixture(scope="module")
def two_places():
    return fitted([0, 1] * 6)[0]


def spoken(detector, video):
    """Return the row that scores highest, and the part that spoke there."""
    (found,) = detector.score(video)
    row = int(found.scores_NL[:, 0].argmax())
    return row, PARTS[found.part_N[row]]


def test_motion_leads_in_the_place_that_was_learnt_and_trails_say_nothing(one_place):
    assert spoken(one_place, bag(77, motion=60, trail=20)) == (60, "motion")
    (found,) = one_place.score(bag(77, trail=20))
    (plain,) = one_place.score(bag(77))
    np.testing.assert_array_equal(found.scores_NL, plain.scores_NL)


def test_trails_lead_in_another_place_and_motion_says_nothing(one_place):
    assert spoken(one_place, bag(77, place=5, motion=60, trail=20)) == (20, "trail")
    (found,) = one_place.score(bag(77, place=5, motion=60))
    (plain,) = one_place.score(bag(77, place=5))
    np.testing.assert_array_equal(found.scores_NL, plain.scores_NL)


def test_things_at_rest_are_heard_in_both(one_place):
    assert spoken(one_place, bag(77, static=40)) == (40, "static")
    assert spoken(one_place, bag(77, place=5, static=40)) == (40, "static")


def test_several_places_teach_nothing_of_any_one(two_places):
    for place in (0, 1, 5):
        assert spoken(two_places, bag(77, place, motion=60, trail=20)) == (20, "trail")


def test_a_video_of_which_no_view_was_kept_is_taken_to_be_at_home(one_place):
    assert spoken(one_place, bag(77, None, motion=60, trail=20)) == (60, "motion")


def test_one_training_video_of_another_place_makes_no_second_place():
    detector, _ = fitted([0] * 11 + [1])
    assert spoken(detector, bag(77, motion=60, trail=20)) == (60, "motion")


def test_honest_scores_are_of_the_part_that_leads():
    for places, leader in (([0] * 12, 0), ([0, 1] * 6, 2)):
        detector, bags = fitted(places)
        told = [one.part_N for _, blocks in detector.left_out(bags) for one in blocks]
        assert np.bincount(np.concatenate(told), minlength=3).argmax() == leader


def test_without_trails_motion_leads_everywhere():
    detector, _ = fitted([0] * 12, parts=("motion", "static"))
    assert spoken(detector, bag(77, 5, ("motion", "static"), motion=60)) == (60, "motion")


def test_trails_alone_lead_everywhere():
    detector, _ = fitted([0] * 12, parts=("trail",))
    for place in (0, 5):
        (found,) = detector.score(bag(77, place, ("trail",), trail=20))
        assert found.scores_NL[:, 0].argmax() == 20


def test_the_place_is_part_of_what_is_learnt(one_place):
    again = detectors().get("default").build({}, one_place.inputs)
    again.load_state(one_place.state())
    for place in (0, 5):
        video = bag(77, place, motion=60, trail=20)
        assert spoken(again, video) == spoken(one_place, video)


def test_a_part_that_never_had_anything_to_learn_says_nothing():
    recipes = {name: recipe_of(name) for name in PARTS}
    bags = [nothing_rests(bag(number)) for number in range(12)]
    detector = detectors().get("default").build({}, recipes)
    detector.fit(bags, validation=(), context=FitContext(np.random.default_rng(0)))
    again = detectors().get("default").build({}, recipes)
    again.load_state(detector.state())
    for one in (detector, again):
        assert one.learnt == ["motion", "trail"]
        assert spoken(one, bag(77, motion=60, static=20)) == (60, "motion")
    assert len(list(detector.left_out(bags))) == 12


def nothing_rests(video):
    there = video.sources["static"].block
    empty = FeatureBlock(
        there.index_T,
        there.seconds_T,
        there.values_ND[:0],
        np.zeros_like(there.offsets_S),
        there.place_N2[:0],
        there.grid,
    )
    return replace(video, sources={**video.sources, "static": MemorySource(empty)})
