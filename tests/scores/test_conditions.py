"""What is wrong with a picture is named, on drawn videos that were spoilt and encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anomaly.catalog import Condition
from anomaly.features.picture import Picture, PictureMeter, join
from anomaly.scores.conditions import BLIND, FROZEN, MOVED, OVER_EXPOSED, conditions, light
from anomaly.scores.domain import VIEW_CHANGED, Outside
from anomaly.video import FrameBatch
from anomaly.video.encode import write_video
from anomaly.video.synthetic import ENTRANCE, LOADING_DOCK, VIEWS, Clip, film

RATE = 12.5
SECONDS = 24.0
Pictures = np.ndarray


def decoded(path: Path) -> tuple[Pictures, np.ndarray]:
    """Grey pictures (T, H, W) of at most 240 lines, as `motion` reads them, and their times."""
    pictures, seconds = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            grey = frame.to_ndarray(format="gray")
            height = min(240, frame.height)
            size = (round(frame.width * height / frame.height), height)
            pictures.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
            seconds.append(float(frame.time or 0.0))
    return np.stack(pictures), np.array(seconds)


def measured(pictures: Pictures, seconds_T: np.ndarray) -> Picture:
    meter = PictureMeter()
    batch = FrameBatch(pictures[..., None], np.arange(len(pictures)), seconds_T)
    return join([meter.measure(batch), meter.finish()])


def told(path: Path) -> tuple[Condition, ...]:
    pictures, seconds_T = decoded(path)
    return conditions(measured(pictures, seconds_T), seconds_T)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clean")
    paths = {view.name: folder / f"{view.name}.mp4" for view in VIEWS}
    for number, view in enumerate(VIEWS):
        path = paths[view.name]
        film(Clip(view=view, path=path, kind="", seconds=SECONDS, seed=(7, number)))
    return paths


@pytest.mark.parametrize("view", [ENTRANCE.name, LOADING_DOCK.name])
def test_a_clean_video_gets_no_name(clean: dict[str, Path], view: str) -> None:
    assert told(clean[view]) == ()


def covered(pictures: Pictures) -> Pictures:
    noise = np.random.default_rng(0).normal(0, 1.5, pictures.shape)
    return (90 + noise).clip(0, 255).astype(np.uint8)


def without_light(pictures: Pictures) -> Pictures:
    noise = np.random.default_rng(0).normal(0, 3, pictures.shape)
    return (pictures * 0.02 + np.abs(noise)).clip(0, 255).astype(np.uint8)


def stopped(pictures: Pictures) -> Pictures:
    return np.repeat(pictures[:1], len(pictures), axis=0)


def over_exposed(pictures: Pictures) -> Pictures:
    return (pictures.astype(np.float32) * 4).clip(0, 255).astype(np.uint8)


SPOILT: dict[str, tuple[Callable[[Pictures], Pictures], str]] = {
    "covered lens": (covered, BLIND),
    "no light": (without_light, BLIND),
    "stopped recorder": (stopped, FROZEN),
    "wide open iris": (over_exposed, OVER_EXPOSED),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_video_is_named_from_end_to_end(
    clean: dict[str, Path], tmp_path: Path, name: str
) -> None:
    spoil, what = SPOILT[name]
    pictures, _ = decoded(clean[(ENTRANCE if what == FROZEN else LOADING_DOCK).name])
    path = tmp_path / "spoilt.mp4"
    write_video(path, [np.repeat(one[..., None], 3, 2) for one in spoil(pictures)], RATE)
    (found,) = told(path)
    assert found.what == what
    settling = (
        10.1 if what == FROZEN else 0.0
    )  # an encoder goes on to refine a picture that stands still
    assert found.start_seconds <= settling
    assert found.stop_seconds == pytest.approx(SECONDS, abs=0.1)


def test_the_stretch_of_a_video_is_told_to_ten_seconds(clean: dict[str, Path]) -> None:
    pictures, seconds_T = decoded(clean[ENTRANCE.name])
    pictures[seconds_T < 10] = covered(pictures[seconds_T < 10])
    (found,) = conditions(measured(pictures, seconds_T), seconds_T)
    assert found == Condition(BLIND, 0.0, pytest.approx(10, abs=0.1))


def test_a_picture_that_stands_still_for_a_moment_is_not_frozen(
    clean: dict[str, Path],
) -> None:
    pictures, seconds_T = decoded(clean[ENTRANCE.name])
    still = (seconds_T >= 5) & (seconds_T < 20)
    pictures[still] = pictures[still][:1]
    assert conditions(measured(pictures, seconds_T), seconds_T) == ()


def test_one_picture_alone_says_nothing_of_freezing() -> None:
    generator = np.random.default_rng(0)
    picture = generator.integers(60, 180, (1, 96, 128), dtype=np.uint8)
    assert conditions(measured(picture, np.zeros(1)), np.zeros(1)) == ()


def test_what_is_unlike_the_training_video_is_named_unless_it_is_named_already(
    clean: dict[str, Path],
) -> None:
    pictures, seconds_T = decoded(clean[ENTRANCE.name])
    pictures[seconds_T < 10] = covered(pictures[seconds_T < 10])
    strange = (
        Outside(0.0, 10.0, ("covered",)),
        Outside(10.0, 20.0, (VIEW_CHANGED,)),
        Outside(20.0, np.inf, ("dark", "noisy")),
    )
    found = conditions(measured(pictures, seconds_T), seconds_T, strange)
    assert [one.what for one in found] == [BLIND, MOVED, "dark", "noisy"]
    assert found[-1].stop_seconds == pytest.approx(SECONDS, abs=0.1)


def test_light_is_noted_every_five_minutes() -> None:
    seconds_T = np.arange(0, 700, 2.0)
    levels = np.where(seconds_T < 300, 100, np.where(seconds_T < 600, 60, 20))
    pictures = np.repeat(levels, 8 * 8).reshape(-1, 8, 8).astype(np.uint8)
    assert light(measured(pictures, seconds_T), seconds_T) == (100, 60, 20)


@pytest.mark.data
def test_no_real_normal_video_is_called_spoilt(shared_data: Path) -> None:
    chosen = [
        shared_data / "normal_misc" / "bgs_road_video.avi",
        next(shared_data.glob("normal_misc/ubnormal_normal_scene_28*.mp4")),
        shared_data / "ped2" / "train" / "01.mp4",
        shared_data / "coffeeroom" / "01.mp4",
    ]
    assert {path.name: told(path) for path in chosen if told(path)} == {}
