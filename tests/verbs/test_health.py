"""Cameras that fall ill in a night: told by name from the videos alone, and the healthy ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.catalog import Catalog
from anomaly.scores.health import CameraHealth, health
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video
from tests.verbs.conftest import House

RATE, SECONDS = 4, 24
SCENE = np.random.default_rng(0).integers(60, 180, (12, 20)).repeat(8, 0).repeat(8, 1)
Pictures = np.ndarray


def clean(pictures: Pictures) -> Pictures:
    return pictures


def covered(pictures: Pictures) -> Pictures:
    return 80 + np.random.default_rng(1).normal(0, 1.5, pictures.shape)


def stopped(pictures: Pictures) -> Pictures:
    return np.repeat(pictures[:1], len(pictures), axis=0)


def over_exposed(pictures: Pictures) -> Pictures:
    return pictures * 4


def knocked(pictures: Pictures) -> Pictures:
    return np.roll(pictures, (11, 23), axis=(1, 2))


ILL: dict[str, tuple[Callable[[Pictures], Pictures], str]] = {
    "gate": (clean, ""),
    "hall": (covered, "blind"),
    "roof": (stopped, "frozen"),
    "shed": (over_exposed, "over-exposed"),
    "yard": (knocked, "moved"),
}


def film(path: Path, seed: int, spoil: Callable[[Pictures], Pictures] = clean) -> None:
    """A square slides over a fixed scene."""
    generator = np.random.default_rng(seed)
    pictures = SCENE + generator.normal(0, 1.5, (RATE * SECONDS, *SCENE.shape))
    for number, picture in enumerate(pictures):
        left = (5 * number + 31 * seed) % 130
        picture[32:56, left : left + 16] = 230
    shown = spoil(pictures).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, shown, RATE, crf=23)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CameraHealth]:
    """Five cameras after a normal day and a night in which four of them fall ill at two o'clock."""
    folder = tmp_path_factory.mktemp("site")
    for place, (camera, (spoil, _)) in enumerate(ILL.items()):
        film(folder / camera / "20260301_100000.mp4", 2 * place)
        film(folder / camera / "20260302_020000.mp4", 2 * place + 1, spoil)
    pattern = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
    house = House(ArchiveSpec(root=str(folder), pattern=pattern), f"{folder}-root")
    house.train("*/20260301_*")
    house.night()
    catalog = Catalog(house.root, folder.name)
    found = health(catalog.rows(), catalog.scored("mine").values())
    return {camera.camera: camera for camera in found}


@pytest.mark.parametrize("name", ILL)
def test_each_camera_is_told_what_it_has_and_since_when(
    cameras: dict[str, CameraHealth], name: str
) -> None:
    word = ILL[name][1]
    found = cameras[name]
    assert found.reasons == ((word,) if word else ())
    assert found.state == ("degraded" if word else "ok")
    for trouble in found.troubles:
        assert f"{trouble.since:%d_%H%M}" == "02_0200"  # to the minute
