"""Videos are dealt to sides by their names."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError
from anomaly.features import vector_block
from anomaly.windows.bags import Bag, MemorySource
from anomaly.windows.split import folds, halves, hold_out, leave_out


def bag(video, n_rows=100, camera="c", **known):
    index = np.arange(n_rows)
    block = vector_block(index, index / 10, np.zeros((n_rows, 1), np.float32))
    return Bag(video, camera, {"features": MemorySource(block)}, **known)


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


def labelled(count, group_of=lambda number: "", rows=100):
    return [
        bag(f"{number}.mp4", rows, label=number % 2, group=group_of(number))
        for number in range(count)
    ]


def test_videos_of_one_group_stay_on_one_side():
    bags = labelled(40, lambda number: f"{number % 2}-{number // 4}")
    for first, second in (*halves(bags), hold_out(bags, 0.25), *folds(bags, 3)):
        assert not {b.group for b in first} & {b.group for b in second}
        assert {b.video for b in first + second} == {b.video for b in bags}


def test_one_group_alone_cannot_be_split():
    with pytest.raises(SpecError, match="All 4 training videos belong to the group 'g'"):
        hold_out(labelled(4, lambda _: "g"), 0.25)


def test_both_sides_get_normal_and_abnormal_videos_of_each_camera():
    bags = [
        bag(f"{camera}{number}.mp4", camera=camera, label=number % 2)
        for camera in "ab"
        for number in range(8)
    ]
    for side in hold_out(bags, 0.25):
        assert {(b.camera, b.label) for b in side} == {(c, k) for c in "ab" for k in (0, 1)}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 500), min_size=8, max_size=40),
    count=st.integers(2, 4),
    seed=st.integers(0, 9),
)
def test_folds_judge_every_video_once_and_learn_from_all_others(sizes, count, seed):
    bags = [bag(f"{n}.mp4", rows, label=n % 2) for n, rows in enumerate(sizes)]
    sides = folds(bags, count, seed)
    judged = [b.video for _, side in sides for b in side]
    assert sorted(judged) == sorted(b.video for b in bags)
    for learn, judge in sides:
        assert {b.video for b in learn} == {b.video for b in bags} - {b.video for b in judge}
        assert {b.label for b in judge} == {0, 1}
    rows = [sum(b.n_rows for b in side) for _, side in sides]
    assert max(rows) - min(rows) <= 2 * max(sizes)


def test_more_folds_than_sources_are_refused_by_class():
    bags = labelled(9, lambda number: "g" if number % 2 else "")
    with pytest.raises(SpecError, match="3 folds: abnormal videos come from 1 sources"):
        folds(bags, 3)


@given(
    cameras=st.lists(st.sampled_from("abc"), min_size=2, max_size=30),
    grouped=st.booleans(),
)
def test_every_video_is_left_out_once_and_no_group_is_torn(cameras, grouped):
    bags = [
        bag(
            f"{camera}/{number}",
            20 + number,
            camera,
            group=f"g{number // 2}" if grouped else "",
        )
        for number, camera in enumerate(cameras)
    ]
    sides = leave_out(bags)
    names = [one.video for side in sides for one in side]
    assert sorted(names) == sorted(one.video for one in bags)
    assert 1 <= len(sides) <= 10
    side_of = {one.video: number for number, side in enumerate(sides) for one in side}
    if grouped:
        assert len({(one.group, side_of[one.video]) for one in bags}) == len(
            {one.group for one in bags}
        )


def test_the_videos_of_a_camera_are_spread_over_the_sides():
    bags = [bag(f"{camera}/{n}", camera=camera) for camera in "ab" for n in range(4)]
    sides = leave_out(bags, 4)
    assert [sorted(one.camera for one in side) for side in sides] == [["a", "b"]] * 4


@given(n_rows=st.integers(2, 9000), first=st.integers(0, 500))
def test_a_single_video_is_left_out_in_stretches_with_gaps(n_rows, first):
    whole = bag("v", first + n_rows, ranges=((first, first + n_rows),))
    sides = leave_out([whole])
    index = [
        np.concatenate([b.index_T for b in one.usable_blocks("features")]) for (one,) in sides
    ]
    seen = np.concatenate(index)
    assert (np.diff(seen) > 0).all()
    assert seen[0] == first
    assert seen[-1] == first + n_rows - 1
    assert len(seen) >= 0.9 * n_rows
    assert len(sides) == min(10, n_rows)
    if n_rows > 2500 * 10:
        assert all(later[0] - one[-1] > 250 for one, later in pairwise(index))


def test_what_cannot_be_split_makes_one_side():
    assert leave_out([]) == []
    assert len(leave_out([bag("v", 1)])) == 1
    assert len(leave_out([bag("v", group="g"), bag("w", group="g")])) == 1
