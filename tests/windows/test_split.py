"""Videos are dealt to sides by their names."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.errors import SpecError
from anomaly.features import vector_block
from anomaly.windows.bags import Bag, MemorySource
from anomaly.windows.split import halves, hold_out


def bag(video, n_rows=100, camera="c"):
    index = np.arange(n_rows)
    block = vector_block(index, index / 10, np.zeros((n_rows, 1), np.float32))
    return Bag(video, camera, {"features": MemorySource(block)})


def side_of(bags):
    first, second = halves(bags)[0]
    return {b.video: 0 for b in first} | {b.video: 1 for b in second}


def test_halves_hold_about_as_many_rows():
    rows = np.random.default_rng(0).integers(50, 500, 40)
    first, second = halves([bag(f"{n}.mp4", int(size)) for n, size in enumerate(rows)])[0]
    assert abs(sum(b.n_rows for b in first) - sum(b.n_rows for b in second)) <= 500


def test_a_new_video_moves_at_most_one_other_of_equal_length():
    bags = [bag(f"{number}.mp4") for number in range(30)]
    before = side_of(bags)
    for number in range(30, 60):
        after = side_of([*bags, bag(f"{number}.mp4")])
        assert sum(before[video] != after[video] for video in before) <= 1


def test_every_camera_with_several_videos_is_on_both_sides():
    bags = [bag(f"{camera}{n}.mp4", 100, camera) for camera in "abcdef" for n in range(2)]
    for side in halves(bags)[0]:
        assert {b.camera for b in side} == set("abcdef")


def test_the_held_out_share_is_about_what_was_asked_and_changes_with_the_seed():
    bags = [bag(f"{number}.mp4") for number in range(50)]
    _, validation = hold_out(bags, 0.2, 0)
    _, another = hold_out(bags, 0.2, 1)
    assert len(validation) == len(another) == 10
    assert {b.video for b in validation} != {b.video for b in another}


def test_videos_without_usable_rows_are_dealt_to_no_side():
    bags = [bag("a.mp4"), bag("b.mp4"), bag("c.mp4").restrict(0, 0)]
    train, validation = hold_out(bags, 0.5)
    assert sorted(b.video for b in train + validation) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(SpecError, match="between 0 and 1"):
        hold_out([bag("a.mp4"), bag("b.mp4")], share)


def test_nothing_to_split_is_refused_in_one_line():
    with pytest.raises(SpecError, match="0 usable rows in 0 training videos"):
        halves([])
