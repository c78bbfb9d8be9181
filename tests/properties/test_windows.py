"""Window arithmetic and the split by video hold for every length, step and set of ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError
from anomaly.features import vector_block
from anomaly.windows import WindowSpec, reader, window_starts
from anomaly.windows.bags import Bag, MemorySource
from anomaly.windows.reader import read_usable_windows, read_windows
from anomaly.windows.split import halves, hold_out


@st.composite
def windows(draw):
    length = draw(st.integers(1, 12))
    return WindowSpec(length=length, step=draw(st.integers(1, length)))


def numbered_bag(n_rows, *, video="v", camera="c", ranges=None):
    """A video whose one-dimensional features are the numbers of its rows."""
    index = np.arange(n_rows)
    block = vector_block(index, index / 10, index[:, None].astype(np.float32))
    return Bag(video, camera, {"features": MemorySource(block)}, ranges)


@given(n_rows=st.integers(1, 200), window=windows())
def test_every_row_lies_in_a_window_and_the_last_window_ends_with_the_last_row(n_rows, window):
    starts = window_starts(n_rows, window)
    covered = np.zeros(max(n_rows, window.length), dtype=bool)
    for start in starts:
        covered[start : start + window.length] = True
    assert covered[:n_rows].all()
    assert starts[0] == 0
    assert starts[-1] == max(0, n_rows - window.length)
    assert (np.diff(starts) >= 1).all()
    assert (np.diff(starts) <= window.step).all()


@pytest.mark.parametrize(("length", "step"), [(0, 1), (4, 0), (4, 5)])
def test_windows_that_would_skip_rows_are_refused(length, step):
    with pytest.raises(SpecError, match="expected 1 <= step <= length"):
        window_starts(10, WindowSpec(length=length, step=step))


@given(n_rows=st.integers(0, 120), window=windows(), together=st.integers(1, 9))
def test_read_windows_show_the_rows_they_name_however_few_are_read_at_a_time(
    n_rows, window, together
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_windows_together", lambda *_: together)
        found = list(read_windows(numbered_bag(n_rows), "features", window))
    if n_rows == 0:
        assert found == []
        return
    values = np.concatenate([values for values, _ in found])
    rows = np.concatenate([rows for _, rows in found])
    assert np.array_equal(values[:, :, 0], rows)
    assert set(rows.ravel()) == set(range(n_rows))
    assert np.array_equal(rows[:, 0], window_starts(n_rows, window))


@st.composite
def disjoint_ranges(draw):
    edges = sorted(draw(st.lists(st.integers(0, 100), max_size=8, unique=True)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


@given(ranges=disjoint_ranges(), window=windows())
def test_windows_to_learn_from_never_leave_a_usable_range(ranges, window):
    bag = numbered_bag(100, ranges=ranges)
    found = list(read_usable_windows(bag, "features", window))
    seen = {int(row) for _, rows in found for row in rows.ravel()}
    expected = {row for a, b in ranges if b - a >= window.length for row in range(a, b)}
    assert seen == expected
    for _, rows in found:
        for first, last in zip(rows[:, 0], rows[:, -1], strict=True):
            assert any(a <= first and last < b for a, b in ranges)


@st.composite
def archives(draw):
    sizes = draw(st.lists(st.integers(1, 500), min_size=2, max_size=12))
    cameras = [draw(st.sampled_from("abc")) for _ in sizes]
    return [
        numbered_bag(size, video=f"{camera}/{number}.mp4", camera=camera)
        for number, (size, camera) in enumerate(zip(sizes, cameras, strict=True))
    ]


def videos(bags):
    return sorted(bag.video for bag in bags)


@settings(deadline=None)
@given(bags=archives(), share=st.floats(0.05, 0.95), seed=st.integers(0, 9))
def test_no_video_is_on_both_sides_and_none_is_lost(bags, share, seed):
    (left, right), (right_again, left_again) = halves(bags)
    assert (videos(left), videos(right)) == (videos(left_again), videos(right_again))
    for first, second in [(left, right), hold_out(bags, share, seed)]:
        assert first
        assert second
        assert sorted(videos(first) + videos(second)) == videos(bags)


@given(bags=archives(), seed=st.integers(0, 9))
def test_the_split_depends_on_names_and_not_on_the_order_of_videos(bags, seed):
    shuffled = [bags[i] for i in np.random.default_rng(seed).permutation(len(bags))]
    assert [videos(side) for side in halves(bags)[0]] == [
        videos(side) for side in halves(shuffled)[0]
    ]


@given(ranges=disjoint_ranges(), gap=st.integers(0, 60))
def test_a_single_video_is_cut_in_time_with_a_gap_between(ranges, gap):
    bag = numbered_bag(100, ranges=ranges)
    usable = bag.usable_rows().sum()
    if usable < 2:
        with pytest.raises(SpecError, match="cannot be split"):
            halves([bag], gap_rows=gap)
        return
    (before,), (after,) = halves([bag], gap_rows=gap)[0]
    before_rows, after_rows = (np.flatnonzero(side.usable_rows()) for side in (before, after))
    assert len(before_rows)
    assert len(after_rows)
    assert before_rows[-1] < after_rows[0]
    assert usable - len(before_rows) - len(after_rows) == min(gap, usable // 10)
    assert abs(len(before_rows) - len(after_rows)) <= 1
