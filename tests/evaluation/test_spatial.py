"""Spatial metrics against brute force."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import StoreError
from anomaly.evaluation.spatial import (
    Boxes,
    Curve,
    PixelTally,
    Sweep,
    pixel_auc,
    pixel_level,
    region_detection,
    region_overlap,
    region_overlap_of,
    region_sweeps,
    true_regions,
)


def area(points, limit=1.0):
    """Area of straight lines between (x, y) points up to a limit, the last height held."""
    total = 0.0
    points = [(0.0, 0.0), *points]
    points.append((max(points[-1][0], limit), points[-1][1]))
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 <= x0 or x0 >= limit:
            continue
        end = min(x1, limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        total += (end - x0) * (y0 + y_end) / 2
    return total / limit


def union_share(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(width, 0) * max(height, 0)
    size = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return common / (size[0] + size[1] - common)


def brute_regions(detected, score, true, track, n_frames):
    """For each threshold, everything anew."""
    regions, tracks = [], []
    for threshold in sorted(set(score), reverse=True):
        found, false = set(), 0
        for d in np.flatnonzero(score >= threshold):
            hits = [
                k for k in range(len(true))
                if true.frame_K[k] == detected.frame_K[d]
                and union_share(detected.corners_K4[d], true.corners_K4[k]) >= 0.1
            ]  # fmt: skip
            found |= set(hits)
            false += not hits
        shares = [
            np.mean([k in found for k in np.flatnonzero(track == one)]) >= 0.1
            for one in set(track.tolist())
        ]
        regions.append((false / n_frames, len(found) / len(true)))
        tracks.append((false / n_frames, np.mean(shares)))
    return area(regions), area(tracks)


def random_boxes(generator, count, n_frames, size=20):
    low = generator.integers(0, size, (count, 2))
    high = low + generator.integers(0, 8, (count, 2))
    return Boxes(generator.integers(0, n_frames, count), np.hstack([low, high]).astype(float))


@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 25), st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_regions_and_tracks_equal_brute_force(seed, n_detected, n_true, n_frames):
    generator = np.random.default_rng(seed)
    detected = random_boxes(generator, n_detected, n_frames)
    true = random_boxes(generator, n_true, n_frames)
    score = generator.integers(0, 12, n_detected) / 4
    track = generator.integers(0, 4, n_true)
    found = region_detection(detected, score, true, track, n_frames)
    wanted = brute_regions(detected, score, true, track, n_frames)
    assert found == pytest.approx(wanted, abs=1e-9)


def test_a_million_detections_take_seconds():
    generator = np.random.default_rng(0)
    n_frames = 20_000
    detected = random_boxes(generator, 10**6, n_frames, 30)
    true = random_boxes(generator, 40_000, n_frames, 30)
    begun = time.process_time()
    found = region_detection(
        detected, generator.random(10**6), true, generator.integers(0, 500, 40_000), n_frames
    )
    assert time.process_time() - begun < 8
    assert 0 < found.rbdc <= 1
    assert 0 <= found.tbdc <= 1


def test_perfect_boxes_find_everything_and_misplaced_ones_nothing():
    true = Boxes(np.arange(10), np.tile([2.0, 2, 5, 5], (10, 1)))
    track = np.zeros(10, int)
    assert region_detection(true, np.ones(10), true, track, 20) == pytest.approx((1, 1))
    beside = Boxes(true.frame_K, true.corners_K4 + 40)
    assert region_detection(beside, np.ones(10), true, track, 20) == (0.0, 0.0)
    with pytest.raises(StoreError, match="no true box"):
        region_detection(
            true, np.ones(10), random_boxes(np.random.default_rng(0), 0, 1), track[:0], 20
        )


def brute_pixel_level(maps, masks):
    points = []
    abnormal = masks.any(axis=(1, 2))
    for threshold in sorted(set(maps.ravel()), reverse=True):
        marked = maps >= threshold
        found = [
            (marked[t] & masks[t]).sum() >= 0.4 * masks[t].sum() - 1e-9
            for t in np.flatnonzero(abnormal)
        ]
        points.append((marked[~abnormal].any(axis=(1, 2)).mean(), np.mean(found)))
    return points


@given(st.integers(0, 10**6), st.integers(3, 8))
@settings(max_examples=40, deadline=None)
def test_maps_against_masks_equal_brute_force(seed, n_frames):
    from scipy import ndimage

    generator = np.random.default_rng(seed)
    masks = generator.random((n_frames, 6, 7)) < 0.2
    masks[0] = False
    masks[1, 2, 2] = True
    maps = generator.integers(0, 9, masks.shape) / 8 + 0.3 * masks
    points = brute_pixel_level(maps, masks)
    found = pixel_level(maps, masks)
    assert found.auc == pytest.approx(area(points), abs=1e-9)
    assert found.detection_rate == pytest.approx(1 - found.equal_error)
    thresholds = sorted(set(maps.ravel()), reverse=True)
    every = [((maps >= t)[~masks].mean(), (maps >= t)[masks].mean()) for t in thresholds]
    assert pixel_auc(maps, masks) == pytest.approx(area(every), abs=1e-9)
    parts = [ndimage.label(mask, structure=np.ones((3, 3))) for mask in masks]
    overlap = [
        (
            (maps >= t)[~masks].mean(),
            np.mean([
                (maps[k] >= t)[region == one].mean()
                for k, (region, count) in enumerate(parts) for one in range(1, count + 1)
            ]),
        )
        for t in thresholds
    ]  # fmt: skip
    assert region_overlap(maps, masks) == pytest.approx(area(overlap, 0.3), abs=1e-9)


def test_errors_are_equal_where_as_much_is_missed_as_reported_in_vain():
    masks = np.zeros((8, 2, 2), bool)
    masks[:4, 0, 0] = True
    maps = np.zeros((8, 2, 2))
    maps[:4, 0, 0] = [4, 3, 2, 0.5]
    maps[4:, 1, 1] = [3.5, 1, 0.4, 0.3]
    found = pixel_level(maps, masks)
    assert found.equal_error == pytest.approx(0.25)
    assert found.detection_rate == pytest.approx(0.75)
    assert np.isnan(pixel_level(maps[:4], masks[:4]).auc)


def test_tracks_hang_together_over_frames():
    masks = np.zeros((5, 12, 12), bool)
    for frame in range(4):
        masks[frame, 2:5, frame : frame + 3] = True
    masks[1:3, 9:11, 9:12] = True
    boxes, track = true_regions(masks)
    assert len(boxes) == 6
    assert sorted(np.bincount(track)[1:].tolist()) == [2, 4]
    assert boxes.corners_K4[0].tolist() == [0, 2, 2, 4]


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_cells_count_as_the_pixels_that_lie_in_them(data) -> None:
    """A tally of cells equals one of maps in which each pixel has the score of its cell."""
    generator = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    masks_THW = generator.random((6, 8, 12)) < 0.15
    masks_THW[:2] = False
    place_HW = np.kron(np.arange(6).reshape(2, 3), np.ones((4, 4), dtype=np.int64))
    cells_TP = generator.integers(0, 4, (6, 6)).astype(np.float64)
    tally = PixelTally()
    for cells_P, mask_HW in zip(cells_TP, masks_THW, strict=True):
        tally.add(cells_P, mask_HW, place_HW)
    maps_THW = np.stack([cells_P[place_HW] for cells_P in cells_TP])
    for figure, of_maps in (
        (tally.pixels().read(Curve.area), pixel_auc(maps_THW, masks_THW)),
        (tally.regions().read(region_overlap_of), region_overlap(maps_THW, masks_THW)),
        (tally.pixel_level().read(Curve.area), pixel_level(maps_THW, masks_THW).auc),
    ):
        assert figure == pytest.approx(of_maps, abs=1e-12)
    assert (tally.frames, tally.frames_abnormal) == (6, 4)


def test_places_of_which_nothing_is_said_tie_below_all_others() -> None:
    mask_HW = np.array([[True, False, True, False]])
    told, silent = PixelTally(), PixelTally()
    told.add(np.array([5.0, 1.0, 0.0, 0.0]), mask_HW)
    silent.add(np.array([5.0, 1.0, np.nan, -np.inf]), mask_HW)
    assert silent.pixels().read(Curve.area) == told.pixels().read(Curve.area)
    nothing = PixelTally()
    nothing.add(np.full(4, np.nan), mask_HW)
    assert nothing.pixels().read(Curve.area) == 0.5


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_a_video_that_counts_twice_counts_as_two(seed: int) -> None:
    generator = np.random.default_rng(seed)
    frames = [(generator.integers(0, 5, 12), generator.random((3, 4)) < 0.3) for _ in range(8)]
    weighed, written_out = PixelTally(), PixelTally()
    weight_V = generator.multinomial(4, [0.25] * 4)
    for number, (score_P, mask_HW) in enumerate(frames):
        weighed.add(score_P, mask_HW, video=number // 2)
        for _ in range(weight_V[number // 2]):
            written_out.add(score_P, mask_HW)
    for sweep, other, value in (
        (weighed.pixels(), written_out.pixels(), Curve.area),
        (weighed.regions(), written_out.regions(), region_overlap_of),
        (weighed.pixel_level(), written_out.pixel_level(), Curve.equal_error),
    ):
        assert sweep.read(value, weight_V) == pytest.approx(
            other.read(value), abs=1e-12, nan_ok=True
        )


def test_regions_and_tracks_of_a_video_that_counts_twice_count_as_two() -> None:
    corners_24 = np.array([[0.0, 0, 9, 9], [20, 20, 29, 29]])
    true = Boxes(np.array([0, 2]), corners_24)  # frame 0 of video 0, frame 0 of video 1
    detected = Boxes(
        np.array([0, 2, 3]), np.array([[0.0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 6, 6]])
    )
    score_D, track_K, video_F = np.array([3.0, 2, 1]), np.array([0, 1]), np.array([0, 0, 1, 1])
    regions, tracks = region_sweeps(detected, score_D, true, track_K, video_F)
    assert regions.read(Curve.area) == tracks.read(Curve.area) == 0.5
    assert regions.read(Curve.area, np.array([2, 0])) == 1.0
    assert tracks.read(Curve.area, np.array([0, 2])) == 0.0


def test_rounded_scores_change_figures_in_the_fourth_digit_at_most() -> None:
    generator = np.random.default_rng(2)
    true_M = generator.random(50_000) < 0.1
    score_M = generator.normal(size=50_000) + true_M
    video_M = generator.integers(0, 5, 50_000)
    totals = (np.bincount(video_M, side_M) for side_M in (true_M, ~true_M))
    sweep = Sweep(score_M, true_M, ~true_M, video_M, *totals)
    weight_V = np.array([2, 0, 1, 1, 1])
    for value in (Curve.area, Curve.equal_error, region_overlap_of):
        exact, rounded = (one.read(value, weight_V) for one in (sweep, sweep.rounded()))
        assert rounded == pytest.approx(exact, abs=2e-4)
