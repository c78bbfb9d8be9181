"""Cells as maps, and strange places as boxes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.explain.places import boxes, cell_scores, located
from anomaly.features import recipe, vector_block
from anomaly.scores.events import Event
from anomaly.windows.bags import Bag, MemorySource

HEIGHT, WIDTH, STRANGE = 16, 32, 25
TRAINING = {"epochs": 2, "patience": 2, "batch": 4, "optimiser": "adam"}


def video(seed, strange=False):
    generator = np.random.default_rng(5)
    wall = np.kron(generator.integers(40, 120, (4, 8)), np.ones((4, 4)))
    noise = np.random.default_rng(seed).integers(0, 4, (40, HEIGHT, WIDTH))
    pixels_THW = wall + noise
    if strange:
        pixels_THW[STRANGE, 0:8, 22:30] = 254 - pixels_THW[STRANGE, 0:8, 22:30]
    block = vector_block(
        np.arange(40) * 2, np.arange(40) / 5, pixels_THW.reshape(40, -1).astype(np.float32)
    )
    return Bag(f"{seed}.mp4", "cam", {"frames": MemorySource(block)})


@cache
def fitted():
    detector = detectors().get("sendec").build(
        {"channels": 0.2, "block": 8, "training": TRAINING},
        {"frames": recipe("frames", {"height": HEIGHT, "width": WIDTH})},
    )  # fmt: skip
    context = FitContext(np.random.default_rng(0))
    return detector.fit([video(0)], validation=[video(1)], context=context)


def test_maps_of_a_few_rows_are_those_of_the_whole_video():
    detector, bag = fitted(), video(9, strange=True)
    whole = cell_scores(detector, bag, 0, 40)
    assert whole.shape == (40, 4, 8)
    for first, last in ((0, 3), (20, 30), (39, 40)):
        part = cell_scores(detector, bag, first, last)
        np.testing.assert_allclose(part, whole[first:last], rtol=0.5, atol=0.5)


def test_an_event_knows_the_strange_part_of_its_peak_in_pixels_of_the_source():
    event = Event(
        start_frame=48, stop_frame=53, peak_frame=50, start_seconds=4.8, stop_seconds=5.3,
        peak_seconds=5.0, score=9, mean_score=8, threshold=3, place=(1, 6), grid=(4, 8),
    )  # fmt: skip
    bag = video(9, strange=True)
    index_T = bag.read("frames", 0, 40).index_T
    (found,) = located(fitted(), bag, index_T, [event], (160, 320))
    worst = found.boxes[0]
    assert worst.score > 1
    assert worst.left <= 240 <= worst.right <= 320
    assert worst.top == 0
    assert 60 <= worst.bottom <= 160


def test_cells_that_touch_make_one_box_and_others_one_each():
    cells = np.zeros((6, 8))
    cells[1, 1], cells[2, 2], cells[4, 6] = 2.0, 3.0, 1.5
    found = boxes(cells, 1.0, 60, 80)
    assert [box.score for box in found] == [3.0, 1.5]
    assert (found[0].left, found[0].top, found[0].right, found[0].bottom) == (5, 5, 35, 35)
    assert (found[1].left, found[1].right) == (55, 75)


@pytest.mark.parametrize("limit", [None, 5.0])
def test_the_worst_cell_always_counts(limit):
    cells = np.full((3, 3), np.nan)
    cells[1, 1], cells[0, 0] = 2.0, 0.5
    (found,) = boxes(cells, limit, 30, 30)
    assert (found.left, found.top, found.right, found.bottom) == (5, 5, 25, 25)
    assert boxes(np.full((3, 3), np.nan), limit, 30, 30) == ()
