"""Views of one place agree, those of different places do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomaly.features.views import OnePlace


def place(seed, size_wh=(90, 60)):
    """A room: blocks of light and dark of all sizes."""
    generator = np.random.default_rng(seed)
    picture = np.full((size_wh[1], size_wh[0]), 120, np.float32)
    for _ in range(25):
        x, y, w, h = generator.integers(0, [size_wh[0], size_wh[1], 30, 30])
        picture[y : y + h, x : x + w] += generator.uniform(-60, 60)
    return picture.clip(0, 254)


def seen(seed, noise_seed, light=1.0, person=False):
    """The same room again, in another light, with somebody in it."""
    generator = np.random.default_rng(noise_seed)
    picture = light * place(seed) + generator.normal(0, 4, (60, 90))
    if person:
        x = generator.integers(10, 70)
        picture[20:50, x : x + 10] = 30
    return picture.clip(0, 254).astype(np.uint8)


@pytest.fixture(scope="module")
def room():
    return OnePlace.fit([seen(1, number, person=bool(number % 2)) for number in range(10)])


@pytest.mark.parametrize("light", [0.5, 1.0, 1.4])
def test_the_place_is_known_again_in_another_light_and_with_somebody_in_it(room, light):
    assert room.is_shown(seen(1, 99, light, person=True))


@pytest.mark.parametrize("other", range(2, 22))
def test_another_place_is_not(room, other):
    assert not room.is_shown(seen(other, 99))


def test_nor_is_the_same_room_from_a_camera_that_was_turned(room):
    assert not room.is_shown(np.roll(seen(1, 99), 9, axis=1))


def test_several_places_are_none():
    places = OnePlace.fit([seen(number % 2 + 1, number) for number in range(10)])
    assert not len(places.references_RHW)
    assert not places.is_shown(seen(1, 99))


def test_one_video_in_ten_may_show_something_else():
    views = [seen(1, number) for number in range(18)] + [seen(2, 50), seen(3, 51)]
    places = OnePlace.fit(views)
    assert places.is_shown(seen(1, 99))
    assert not places.is_shown(seen(2, 99))


def test_a_view_of_another_size_is_compared_all_the_same(room):
    assert room.is_shown(cv2.resize(seen(1, 99), (45, 30), interpolation=cv2.INTER_AREA))


def test_of_many_training_videos_some_are_compared():
    views = [seen(1, number) for number in range(20)]
    places = OnePlace.fit([views[number % 20] for number in range(1001)])
    assert 0 < len(places.references_RHW) <= 16
    assert places.is_shown(seen(1, 2000))
