from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.detectors import WindowScores
from anomaly.scores.merge import RowScores, merge, to_frames
from anomaly.scores.smooth import REACH, smooth
from anomaly.windows import WindowSpec, window_starts

SCORES = st.floats(-1e6, 1e6)


@given(
    st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 7), st.randoms()
)
def test_merging_equals_the_mean_over_windows_however_they_are_cut(
    n_rows, length, step, cut, random
) -> None:
    step = min(step, length)
    starts_N = window_starts(n_rows, WindowSpec(length=length, step=step))
    rows_NL = np.minimum(starts_N[:, None] + np.arange(length), n_rows - 1)
    scores_NL = np.array([[random.uniform(-5, 5) for _ in row] for row in rows_NL])

    whole, *_ = merge([WindowScores(scores_NL, rows_NL)], n_rows)
    pieces = (
        WindowScores(scores_NL[at : at + cut], rows_NL[at : at + cut])
        for at in range(0, len(starts_N), cut)
    )
    cut_up, *_ = merge(pieces, n_rows)

    np.testing.assert_array_equal(whole, cut_up)
    for row in range(n_rows):
        np.testing.assert_allclose(whole[row], scores_NL[rows_NL == row].mean(), rtol=1e-9)


@given(st.data(), st.integers(1, 40), st.integers(1, 5))
def test_every_frame_near_a_row_gets_a_score_and_no_other(data, n_frames, stride) -> None:
    looked_at = list(range(0, n_frames, stride))
    kept = sorted(data.draw(st.sets(st.sampled_from(looked_at))))
    index_R = np.array(kept, dtype=np.int64)
    raw_R = np.arange(len(kept), dtype=np.float64)
    frames = to_frames(RowScores(raw_R, index_R, index_R / 25, n_frames, stride), raw_R)
    for frame in range(n_frames):
        near = [row for row, at in enumerate(kept) if abs(at - frame) < stride]
        assert np.isnan(frames.score_T[frame]) == (not near)
        assert frames.covered_T[frame] == bool(near)
        if near:
            assert frames.score_T[frame] in near
    assert np.all(np.diff(frames.seconds_T) > 0)


@st.composite
def irregular_videos(draw):
    gaps = draw(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=80))
    scores = draw(st.lists(SCORES | st.just(np.nan), min_size=len(gaps), max_size=len(gaps)))
    return np.cumsum(gaps), np.array(scores)


def slow_smooth(values_R, seconds_R, sigma):
    smoothed = np.full(len(values_R), np.nan)
    for row in np.flatnonzero(~np.isnan(values_R)):
        gap = np.abs(seconds_R - seconds_R[row])
        weight = (
            np.exp(-0.5 * (gap / sigma) ** 2) * (gap <= REACH * sigma) * ~np.isnan(values_R)
        )
        smoothed[row] = (weight * np.nan_to_num(values_R)).sum() / weight.sum()
    return smoothed


@given(irregular_videos(), st.floats(0.05, 1.0))
def test_smoothing_is_the_gaussian_mean_over_actual_seconds(video, sigma) -> None:
    seconds_R, values_R = video
    expected = slow_smooth(values_R, seconds_R, sigma)
    np.testing.assert_allclose(
        smooth(values_R, seconds_R, sigma), expected, rtol=1e-9, atol=1e-6
    )


@given(irregular_videos(), st.floats(0.05, 0.5), st.integers(0, 79))
def test_the_first_part_smoothed_alone_gives_the_same_bits_up_to_the_reach(
    video, sigma, cut
) -> None:
    seconds_R, values_R = video
    part = smooth(values_R[:cut], seconds_R[:cut], sigma)
    whole = smooth(values_R, seconds_R, sigma)[:cut]
    if cut < len(seconds_R):
        safe = seconds_R[:cut] < seconds_R[cut] - REACH * sigma * (1 + 1e-9)
        np.testing.assert_array_equal(part[safe], whole[safe])
    else:
        np.testing.assert_array_equal(part, whole)
