"""What is said of a camera's picture, and that it is said whatever the batches."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomaly.features.picture import VIEW_SECONDS, Picture, PictureMeter, join
from anomaly.video import FrameBatch
from tests.benchmarks.detector.corruptions import CORRUPTIONS

RATE = 10
SCENE = np.random.default_rng(0).integers(60, 180, (30, 45), dtype=np.uint8)
SCENE = SCENE.repeat(8, 0).repeat(8, 1)


def film(seconds: float = 12.0, seed: int = 0) -> np.ndarray:
    """A fixed noisy scene through which somebody walks."""
    generator = np.random.default_rng(seed)
    frames = SCENE + generator.normal(0, 1.5, (int(seconds * RATE), *SCENE.shape))
    for t, frame in enumerate(frames):
        frame[80:200, 3 * t % 300 :][:, :24] = 230
    return frames.clip(0, 255).astype(np.uint8)


def measured(frames: np.ndarray, batch: int = 16) -> Picture:
    meter = PictureMeter()
    pixels = frames if frames.ndim == 4 else frames[..., None]
    parts = []
    for start in range(0, len(pixels), batch):
        index = np.arange(start, min(start + batch, len(pixels)))
        parts.append(
            meter.measure(FrameBatch(pixels[start : start + batch], index, index / RATE))
        )
    return join([*parts, meter.finish()])


def typical(name: str, corruption: str = "") -> float:
    frames = film()
    if corruption:
        seconds_T = np.arange(len(frames)) / RATE
        frames = CORRUPTIONS[corruption](frames, seconds_T, np.random.default_rng(1))
    return float(np.median(measured(frames)[name]))


def test_what_is_said_does_not_depend_on_batches():
    frames = film()
    one, other = measured(frames, 7), measured(frames, 120)
    np.testing.assert_array_equal(one.statistics_TK, other.statistics_TK)
    np.testing.assert_array_equal(one.views_VHW, other.views_VHW)
    np.testing.assert_array_equal(one.view_seconds_V, other.view_seconds_V)


def test_the_noise_of_a_pixel_is_told_in_levels():
    assert typical("noise") == pytest.approx(1.5, rel=0.15)
    assert typical("noise", "noise sd 8") == pytest.approx(8.1, rel=0.15)


@pytest.mark.parametrize("corruption", ["brightness x0.6", "flicker 6%", "slow light 30%"])
def test_light_is_taken_neither_for_noise_nor_for_a_shift_nor_for_a_blur(corruption: str):
    assert typical("noise", corruption) < typical("noise") + 1
    assert typical("shift", corruption) == pytest.approx(typical("shift"), abs=0.1)
    assert typical("sharpness", corruption) == pytest.approx(typical("sharpness"), rel=0.1)


def test_a_shift_of_the_whole_picture_is_told_in_its_own_pixels():
    soft = cv2.GaussianBlur(SCENE, (0, 0), 4)
    frames = np.stack([np.roll(soft, 3 * (t % 2), axis=1) for t in range(40)])
    assert np.median(measured(frames)["shift"]) == pytest.approx(3.0, rel=0.25)


def test_defocus_takes_the_details_and_leaves_the_contrast():
    assert typical("sharpness", "defocus") < 0.6 * typical("sharpness")
    assert typical("contrast", "defocus") > 0.6 * typical("contrast")


def test_a_view_is_the_mean_of_its_seconds_and_the_last_one_may_be_short():
    picture = measured(film(12.0))
    assert picture.view_seconds_V.tolist() == [0.0, VIEW_SECONDS, 2 * VIEW_SECONDS]
    assert picture.views_VHW.shape == (3, 60, 90)
    there = SCENE[::8, ::8].repeat(2, 0).repeat(2, 1)  # the scene at the size of a view
    quiet = picture.views_VHW[0, 55:].astype(float) - there[55:]
    assert np.abs(quiet).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 300, 3), (50, 40, 3), (61, 61, 1)])
def test_pictures_of_any_size_and_colour_are_measured(shape: tuple[int, int, int]):
    frames = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    picture = measured(frames)
    assert np.isfinite(picture.statistics_TK).all()
    assert picture.views_VHW.max() < 255
    assert len(picture.views_VHW) == 1


def test_a_single_frame_has_no_change_no_noise_and_no_shift():
    picture = measured(film()[:1])
    assert picture["brightness"][0] > 0
    assert [picture[name][0] for name in ("change", "noise", "shift")] == [0, 0, 0]
