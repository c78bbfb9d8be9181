"""Motion cells: right numbers on motion that is known, whatever the clock and the batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anomaly.features import FeatureBlock, concatenate
from anomaly.features.backbones import backbones
from anomaly.video import FrameBatch

TEXTURE = np.random.default_rng(0).integers(0, 255, (400, 500), dtype=np.uint8)


def smooth_texture() -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(TEXTURE, (0, 0), 3)


def stream(
    pictures: list[np.ndarray],
    *,
    seconds: np.ndarray | None = None,
    index: np.ndarray | None = None,
) -> list[FrameBatch]:
    numbers = np.arange(len(pictures)) if index is None else index
    times = numbers / 25 if seconds is None else seconds
    return [
        FrameBatch(p[None, :, :, None], numbers[i : i + 1], np.asarray(times[i : i + 1], float))
        for i, p in enumerate(pictures)
    ]


def shifting(
    n: int, right: int, down: int, height: int = 240, width: int = 320
) -> list[np.ndarray]:
    texture = smooth_texture()
    top, left = (60 if down >= 0 else 20), (100 if right >= 0 else 20)
    return [
        np.ascontiguousarray(texture[top - t * down :, left - t * right :][:height, :width])
        for t in range(n)
    ]


def motion(batches: list[FrameBatch], **parameters: object) -> FeatureBlock:
    return concatenate(list(backbones().get("motion").build(parameters).extract(batches)))


@pytest.mark.parametrize(
    ("right", "down", "channel"), [(2, 0, 3), (-2, 0, 4), (0, 2, 5), (0, -2, 6)]
)
def test_a_shift_of_two_pixels_reads_two_in_its_own_direction(
    right: int, down: int, channel: int
) -> None:
    block = motion(stream(shifting(8, right, down)))
    directions = np.median(block.values_ND[:, 3:], axis=0)
    assert directions[channel - 3] == pytest.approx(2, abs=0.2)
    assert np.delete(directions, channel - 3).max() < 0.1


def test_all_cells_but_the_outermost_ring_are_active_when_everything_moves() -> None:
    block = motion(stream(shifting(5, 2, 0)))
    assert block.grid == (15, 20)
    assert np.diff(block.offsets_S).tolist() == [13 * 18] * 5
    assert block.place_N2 is not None
    assert (block.place_N2.min(0).tolist(), block.place_N2.max(0).tolist()) == (
        [1, 1],
        [13, 18],
    )


def test_a_grid_at_240_by_360_has_15_by_22_cells() -> None:
    pictures = [np.zeros((240, 360), np.uint8)] * 2
    assert motion(stream(pictures)).grid == (15, 22)


def test_nothing_is_active_in_a_still_picture() -> None:
    block = motion(stream([smooth_texture()[:240, :320].copy()] * 6))
    assert len(block) == 6
    assert block.values_ND.shape == (0, 7)
    assert block.place_N2 is not None
    assert block.place_N2.shape == (0, 2)


def test_a_small_moving_object_lights_only_the_cells_around_it() -> None:
    pictures = []
    for t in range(8):
        picture = smooth_texture()[:240, :320].copy()
        picture[100:140, 60 + 4 * t : 100 + 4 * t] = TEXTURE[:40, :40]
        pictures.append(picture)
    block = motion(stream(pictures))
    assert block.place_N2 is not None
    middle = block.row_N == 4
    rows, columns = block.place_N2[middle].T
    assert (rows >= 4).all()
    assert (rows <= 10).all()
    assert (columns >= 2).all()
    assert (columns <= 9).all()


def test_difference_and_texture_are_means_of_grey_levels() -> None:
    """A flat picture that brightens: the change is known; a ramp: its slope is known."""
    ramp = np.tile(np.arange(320, dtype=np.uint8) // 2, (240, 1))
    pictures = [np.roll(ramp, 2 * t, axis=1) for t in range(6)]
    block = motion(stream(pictures), smoothing_seconds=0.0, moving_pixels=0.0, quantum=1 / 1024)
    assert block.place_N2 is not None
    inside = (block.row_N == 3) & (block.place_N2[:, 1] > 4)
    values = block.values_ND[inside]
    # A shift of 2 px on a slope of half a level a pixel changes every pixel by one level.
    np.testing.assert_allclose(values[:, 0], 1.0, atol=0.05)
    # Half size doubles the slope, to one level a pixel.
    np.testing.assert_allclose(values[:, 1], 1.0, atol=0.05)
    np.testing.assert_allclose(values[:, 2], 0.0, atol=0.05)


def test_frame_0_takes_the_values_of_frame_1() -> None:
    block = motion(stream(shifting(5, 2, 0)), smoothing_seconds=0.0)
    np.testing.assert_array_equal(block.rows(0, 1).values_ND, block.rows(1, 2).values_ND)


def test_smoothing_follows_the_clock_and_not_the_count() -> None:
    """At one frame a second no neighbour is within reach; at 25 a second several are."""
    pictures = shifting(4, 3, 0) + shifting(4, 0, 3)
    plain = motion(stream(pictures), smoothing_seconds=0.0)
    slow = motion(stream(pictures, seconds=np.arange(8.0)))
    fast = motion(stream(pictures))
    np.testing.assert_array_equal(slow.values_ND, plain.values_ND)
    assert not np.array_equal(fast.pooled_TD(), plain.pooled_TD())


def test_smoothing_is_the_normalised_gaussian_of_the_seconds() -> None:
    pictures = shifting(12, 2, 1)
    seconds = np.cumsum([0.04, 0.03, 0.05, 0.04, 0.1, 0.02, 0.04, 0.04, 0.2, 0.04, 0.04, 0.04])
    arguments: dict[str, object] = {
        "moving_pixels": 0.0,
        "active_fraction": -1.0,
        "quantum": 2**-16,
    }
    plain = motion(stream(pictures, seconds=seconds), smoothing_seconds=0.0, **arguments)
    smooth = motion(stream(pictures, seconds=seconds), **arguments)
    distance = np.abs(seconds[:, None] - seconds[None])
    weights = np.exp(-0.5 * (distance / 0.1) ** 2) * (distance <= 0.1 * 3)
    weights /= weights.sum(axis=1, keepdims=True)
    values = plain.values_ND.reshape(12, -1)
    np.testing.assert_allclose(smooth.values_ND.reshape(12, -1), weights @ values, atol=1e-3)


def test_a_short_hole_does_not_look_like_speed() -> None:
    pictures = shifting(9, 2, 0)
    kept = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    whole = motion(stream(pictures), smoothing_seconds=0.0)
    cut = motion(stream([pictures[i] for i in kept], index=kept), smoothing_seconds=0.0)
    assert np.median(cut.rows(4, 5).values_ND[:, 3]) == pytest.approx(
        np.median(whole.rows(5, 6).values_ND[:, 3]), abs=0.15
    )


def test_a_long_hole_starts_time_anew() -> None:
    """What lies before the hole changes nothing behind it."""
    behind = shifting(5, 0, 2)
    index = np.r_[np.arange(5), np.arange(500, 505)]
    one = motion(stream(shifting(5, 2, 0) + behind, index=index))
    other = motion(stream(shifting(5, -2, 0) + behind, index=index))
    alone = motion(stream(behind))
    np.testing.assert_array_equal(one.rows(5, 10).values_ND, other.rows(5, 10).values_ND)
    np.testing.assert_array_equal(one.rows(5, 10).values_ND, alone.values_ND)


def test_time_lapse_at_a_frame_a_minute_still_moves() -> None:
    block = motion(stream(shifting(5, 2, 0), seconds=np.arange(5) * 60.0))
    assert len(block.values_ND) == 5 * 13 * 18


def test_a_stuck_clock_does_not_fill_the_memory() -> None:
    batches = stream(shifting(2, 2, 0) * 150, seconds=np.zeros(300))
    source = iter(batches)
    taken = 0

    def counted() -> Iterator[FrameBatch]:
        nonlocal taken
        for batch in source:
            taken += 1
            yield batch

    first = next(iter(backbones().get("motion").build({"height": 96}).extract(counted())))
    assert len(first) == 256
    assert taken <= 256 + 66


@pytest.mark.parametrize("size", [(8, 8), (16, 300), (39, 39), (40, 40), (41, 63), (240, 40)])
def test_pictures_of_any_size_work(size: tuple[int, int]) -> None:
    pictures = [
        np.ascontiguousarray(smooth_texture()[t : t + size[0], : size[1]]) for t in range(4)
    ]
    block = motion(stream(pictures))
    assert len(block) == 4
    assert np.isfinite(block.values_ND).all()
    assert block.grid is not None
    if block.place_N2 is not None and len(block.place_N2):
        assert (block.place_N2.max(0) < np.array(block.grid) - 1).all()


def test_stored_values_are_multiples_of_the_quantum_that_float16_holds_exactly() -> None:
    values = motion(stream(shifting(5, 2, 1))).values_ND
    np.testing.assert_array_equal(values, values.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(values * 64, np.round(values * 64))


def test_motion_never_imports_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from anomaly.features import recipe; import anomaly.features.extract;"
        "recipe('motion'); assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


@pytest.mark.data
def test_a_camera_day_of_a_busy_scene_stays_under_three_gigabytes(
    shared_data: Path, tmp_path: Path
) -> None:
    from anomaly.features import recipe
    from anomaly.features.extract import extract_video
    from anomaly.storage import open_root
    from anomaly.video import ArchiveSpec
    from anomaly.video.archive import find

    root = open_root(str(tmp_path))
    file = find(ArchiveSpec(root=str(shared_data / "ped2" / "test")), name="ped2")[0]
    outcome = extract_video(root, file, [recipe("motion")])
    assert outcome.bytes_written / outcome.frames * 25 * 86_400 < 3e9
