"""Appearance: what a thing looks like tells it from others, at any speed and in any light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomaly.features import FeatureBlock, concatenate
from anomaly.features.backbones import backbones
from anomaly.video import FrameBatch

RATE = 15
HEIGHT, WIDTH = 240, 320
GROUND = np.full((HEIGHT, WIDTH), 110, np.uint8)
GROUND[:60] = 180
GROUND[200:] = 60


def person(picture: np.ndarray, x: int, *, dark: int = 20) -> None:
    """Upright: 16 wide, 56 high."""
    picture[110:166, x : x + 16] = dark


def cart(picture: np.ndarray, x: int) -> None:
    """As a person, but 48 wide and 28 high."""
    picture[138:166, x - 16 : x + 32] = 20


def walk(
    paint, *, pixels_a_frame: int = 3, frames: int = 20, gain: float = 1.0, noise: float = 0.0
) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    pictures = []
    for t in range(frames):
        picture = GROUND.copy()
        paint(picture, 100 + pixels_a_frame * t)
        picture = cv2.GaussianBlur(picture, (0, 0), 1) * gain
        picture = picture + rng.normal(0, noise or 1e-9, picture.shape)
        pictures.append(picture.clip(0, 255).round().astype(np.uint8))
    return pictures


def appearance(pictures: list[np.ndarray], rate: float = RATE, **more: object) -> FeatureBlock:
    index = np.arange(len(pictures))
    batch = FrameBatch(np.stack(pictures)[..., None], index, index / rate)
    return concatenate(list(backbones().get("appearance").build(more).extract([batch])))


def at_middle(block: FeatureBlock, row: int, x: int) -> np.ndarray:
    """The vector of the cell nearest the middle of what is painted at x."""
    one = block.rows(row, row + 1)
    assert one.place_N2 is not None
    nearest = np.abs(one.place_N2 - (148 / 16, (x + 8) / 16)).sum(axis=1).argmin()
    return one.values_ND[nearest]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Distance over the length of the vectors."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


WALKER = appearance(walk(person))
SEEN = at_middle(WALKER, 12, 136)


def test_a_wide_thing_at_walking_pace_is_unlike_a_person_and_a_person_at_another_pace_is_not() -> (
    None
):
    wide = at_middle(appearance(walk(cart)), 12, 136)
    # At twice the pace the same place is reached after half the frames.
    quick = at_middle(appearance(walk(person, pixels_a_frame=6)), 6, 136)
    assert apart(SEEN, wide) > 0.6
    assert apart(SEEN, quick) < 0.1


@pytest.mark.parametrize("gain", [0.5, 0.7, 1.2])
def test_light_changes_nothing(gain: float) -> None:
    lit = at_middle(appearance(walk(person, gain=gain)), 12, 136)
    assert apart(SEEN, lit) < 0.05


def test_noise_changes_little_and_lights_no_cell_of_its_own() -> None:
    block = appearance(walk(person, noise=5))
    assert apart(SEEN, at_middle(block, 12, 136)) < 0.25
    assert np.diff(block.offsets_S)[2:].max() < 2 * np.diff(WALKER.offsets_S).max()


def test_a_dark_coat_is_unlike_a_bright_one() -> None:
    bright = appearance(walk(lambda picture, x: person(picture, x, dark=200)))
    assert apart(SEEN, at_middle(bright, 12, 136)) > 0.8


def test_the_slope_of_a_ramp_is_read_in_levels_a_pixel_of_the_half_size_picture() -> None:
    ramp = np.tile(np.linspace(0, 160, WIDTH), (HEIGHT, 1))
    pictures = []
    for t in range(4):
        picture = ramp.copy()
        picture[100:140, 40 + 20 * t : 80 + 20 * t] = 255
        pictures.append(picture.round().astype(np.uint8))
    block = appearance(pictures)
    # Nine tenths less one tenth of the ramp are 128 levels: it rises by 160 in 160 half-size pixels.
    right, left, down, up = np.median(block.values_ND.reshape(-1, 4), axis=0)
    assert right == pytest.approx(128 / (0.8 * 160), abs=0.25)
    assert max(left, down, up) < 0.1


def test_only_what_changes_has_cells_and_they_lie_around_it() -> None:
    assert appearance([GROUND] * 8).offsets_S[-1] == 0
    row = WALKER.rows(12, 13)
    assert row.place_N2 is not None
    rows, columns = row.place_N2.T
    assert 110 / 16 - 1.5 <= rows.min() <= rows.max() <= 166 / 16 + 1.5
    assert 136 / 16 - 2 <= columns.min() <= columns.max() <= 152 / 16 + 2


def test_at_a_high_frame_rate_a_row_repeats_what_was_seen_a_moment_ago() -> None:
    block = appearance(walk(person, frames=30), rate=60)
    counts = np.diff(block.offsets_S)
    assert len(block) == 30
    for row in range(9, 12):
        np.testing.assert_array_equal(
            block.rows(row, row + 1).values_ND, block.rows(8, 9).values_ND
        )
    assert counts[0] == 0


@pytest.mark.parametrize("size", [(8, 8), (16, 300), (33, 41), (240, 40)])
def test_pictures_of_any_size_work(size: tuple[int, int]) -> None:
    block = appearance([picture[: size[0], 100 : 100 + size[1]] for picture in walk(person)])
    assert len(block) == 20
    assert np.isfinite(block.values_ND).all()


def test_appearance_never_imports_torch() -> None:
    import os
    import subprocess
    import sys

    code = (
        "import sys; from anomaly.features import recipe; recipe('appearance'); recipe('trail');"
        "assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
