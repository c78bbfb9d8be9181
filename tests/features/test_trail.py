"""Trails: the way that things have come, what keeps it and what forgets it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomaly.features import FeatureBlock, concatenate
from anomaly.features.backbones import backbones
from anomaly.video import FrameBatch

RATE = 15
HEIGHT, WIDTH = 240, 320
_RNG = np.random.default_rng(5)
GROUND = cv2.GaussianBlur(_RNG.integers(60, 190, (HEIGHT, WIDTH), dtype=np.uint8), (0, 0), 4)
COAT = cv2.GaussianBlur(_RNG.integers(0, 255, (64, 64), dtype=np.uint8), (0, 0), 3)


def scene(top: float, left: float, *, gain: float = 1.0, noise: float = 0.0) -> np.ndarray:
    """A textured square of 64 pixels over a textured ground."""
    picture = GROUND.astype(np.float64)
    y, x = round(top), round(left)
    picture[y : y + 64, x : x + 64] = 255.0 - COAT
    picture = picture * gain + _RNG.normal(0, noise or 1e-9, GROUND.shape)
    return picture.clip(0, 255).round().astype(np.uint8)


def trail(
    pictures: list[np.ndarray], *, seconds: np.ndarray | None = None, **parameters: object
) -> FeatureBlock:
    times = np.arange(len(pictures)) / RATE if seconds is None else seconds
    batch = FrameBatch(np.stack(pictures)[..., None], np.arange(len(pictures)), times)
    return concatenate(list(backbones().get("trail").build(parameters).extract([batch])))


def way(block: FeatureBlock, row: int, top: float = 116) -> np.ndarray:
    """The trail of the cell in the middle of the square, (right, down)."""
    one = block.rows(row, row + 1)
    assert one.place_N2 is not None
    middle = (top + 32) / 16, (120 + 32) / 16
    nearest = np.abs(one.place_N2 - middle).sum(axis=1).argmin()
    return one.values_ND[nearest]


def fall(**how: float) -> list[np.ndarray]:
    """The square comes down by 96 pixels in a second, and lies there for two."""
    tops = [20 + 96 * min(t / RATE, 1) for t in range(3 * RATE)]
    return [scene(top, 120, **how) for top in tops]


def test_what_fell_and_lies_still_tells_from_how_far_above_it_came() -> None:
    block = trail(fall())
    right, down = way(block, len(block) - 1)
    assert down == pytest.approx(96, abs=20)
    assert abs(right) < 8


@pytest.mark.parametrize("how", [{"gain": 0.6}, {"noise": 4.0}])
def test_light_and_noise_change_little_about_a_trail(how: dict[str, float]) -> None:
    block = trail(fall(**how))
    assert way(block, len(block) - 1)[1] == pytest.approx(96, abs=24)


def test_who_goes_down_and_up_again_has_come_from_nowhere() -> None:
    tops = [80 + 40 * np.sin(np.pi * min(t / 20, 1)) for t in range(22)]
    block = trail([scene(top, 120) for top in tops])
    assert way(block, 10, tops[10])[1] > 25
    assert abs(way(block, 21, tops[21])[1]) < 12


def test_the_trail_of_what_rests_stays_and_then_all_of_it_is_forgotten() -> None:
    still = [scene(116, 120)] * (5 * RATE)
    block = trail([*fall(), *still], memory_seconds=3.0)
    after_a_second, after_two = way(block, 2 * RATE), way(block, 3 * RATE)
    np.testing.assert_allclose(after_a_second, after_two, atol=2)
    assert block.offsets_S[-1] == block.offsets_S[-2]


def test_a_second_frame_rate_gives_the_same_trail() -> None:
    usual = trail(fall())
    twice = [picture for picture in fall() for _ in (0, 1)]
    often = trail(twice, seconds=np.arange(len(twice)) / (2 * RATE))
    np.testing.assert_allclose(way(often, len(often) - 1), way(usual, len(usual) - 1), atol=8)


def test_a_long_hole_starts_anew_and_a_still_picture_has_no_cell() -> None:
    pictures = fall()
    seconds = np.arange(len(pictures)) / RATE
    seconds[2 * RATE :] += 60
    block = trail(pictures, seconds=seconds)
    assert block.offsets_S[2 * RATE] > block.offsets_S[2 * RATE - 1]
    assert block.offsets_S[-1] == block.offsets_S[2 * RATE]


def test_a_camera_that_shakes_by_a_pixel_moves_nothing() -> None:
    ways = _RNG.uniform(-1, 1, (20, 2))
    shaken = [
        cv2.warpAffine(
            scene(100, 120),
            np.array([[1, 0, x], [0, 1, y]]),
            (WIDTH, HEIGHT),
            borderMode=cv2.BORDER_REPLICATE,
        )
        for x, y in ways
    ]
    block = trail(shaken)
    assert np.abs(block.values_ND).max(initial=0) < 8


@pytest.mark.parametrize("size", [(8, 8), (33, 40), (63, 300)])
def test_pictures_of_any_size_work(size: tuple[int, int]) -> None:
    block = trail([scene(20, 20 + 4 * t)[: size[0], : size[1]] for t in range(4)])
    assert len(block) == 4
    assert np.isfinite(block.values_ND).all()
