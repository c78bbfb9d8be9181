"""Drift of cameras as a night measures it: seen where something has changed, and only there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.catalog import Catalog
from anomaly.fanout import one_by_one
from anomaly.nightly import nightly
from anomaly.runs import runs_of
from anomaly.scores.camera_drift import CameraDrift, read_drift
from anomaly.storage import Root, open_root
from anomaly.verbs.drift import measure_drift
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video

PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
SCENE = np.random.default_rng(0).integers(60, 180, (6, 8)).repeat(8, 0).repeat(8, 1)


def film(path: Path, seed: int, step: int) -> None:
    """Three seconds in which a square moves by `step` pixels a frame, from a place of its own."""
    generator = np.random.default_rng(seed)
    first, line = generator.integers(0, 44), generator.integers(8, 28)
    pictures = []
    for number in range(30):
        picture = SCENE + generator.normal(0, 1, SCENE.shape)
        left = (first + step * number) % 48
        picture[line : line + 12, left : left + 12] = 230
        pictures.append(picture.clip(0, 255).astype(np.uint8)[..., None].repeat(3, 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, 10, crf=18)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, ArchiveSpec]:
    """Two cameras of one kind; on the second day all that passes `hall` is fast."""
    folder = tmp_path_factory.mktemp("drift") / "site"
    for camera_number, camera in enumerate(("gate", "hall")):
        for number in range(20):
            day, hour = (1, number) if number < 12 else (2, number - 12)
            step = 7 if camera == "hall" and day == 2 else 2
            name = f"2026030{day}_{hour:02}0000.mp4"
            film(folder / camera / name, 100 * camera_number + number, step)
    archive = ArchiveSpec(root=str(folder), pattern=PATTERN)
    url = str(folder.parent / "root")
    request = TrainRequest(detector="gaussian", videos=("*/20260301_*",), into="mine")
    train(url, archive, request, fan_out=one_by_one)
    nightly(url, archive, videos=("*/20260302_*",), fan_out=one_by_one)
    return open_root(url), archive


def test_a_camera_that_shows_what_it_showed_has_not_drifted(night) -> None:
    gate = read_drift(night[0], "site", "mine")["gate"]
    assert (gate.model, gate.first_date, gate.last_date) == ("gate", "2026-03-02", "2026-03-02")
    assert (gate.scores.reference_units, gate.scores.recent_units) == (12, 8)
    assert gate.scores.p > 0.05
    assert gate.features["motion"].p > 0.05
    assert gate.reason == ""


def test_a_camera_where_everything_is_faster_has_drifted(night) -> None:
    hall = read_drift(night[0], "site", "mine")["hall"]
    assert hall.scores.p <= 0.001
    assert hall.scores.higher
    assert hall.scores.size > 0.25
    assert hall.features["motion"].p <= 0.001


def test_it_is_a_stage_of_the_night(night) -> None:
    stages = [stage.name for stage in runs_of(night[0], "site")[-1].stages]
    assert stages.index("score") < stages.index("drift") < stages.index("report")


def again(
    night: tuple[Root, ArchiveSpec], tmp_path: Path
) -> tuple[Root, Callable[[], CameraDrift]]:
    root = open_root(str(shutil.copytree(night[0].url, tmp_path / "root")))

    def measure() -> CameraDrift:
        measure_drift(root, "site", "mine", ["hall"], fan_out=one_by_one)
        return read_drift(root, "site", "mine")["hall"]

    return root, measure


def test_measuring_again_changes_nothing(night, tmp_path: Path) -> None:
    _, measure = again(night, tmp_path)
    assert measure() == read_drift(night[0], "site", "mine")["hall"]


def test_features_that_were_dropped_give_a_reason_and_scores_are_compared(
    night, tmp_path: Path
) -> None:
    root, measure = again(night, tmp_path)
    root.delete("features")
    found = measure()
    assert found.features == {}
    assert found.reason == "too few stored features of motion"
    assert found.scores == read_drift(night[0], "site", "mine")["hall"].scores


def test_damaged_tables_give_a_reason_and_no_error(night, tmp_path: Path) -> None:
    root, measure = again(night, tmp_path)
    for key in root.keys("scores"):
        root.publish(key, b"damaged")
    assert "is damaged" in measure().reason


def test_what_a_model_has_learnt_from_is_no_evidence(night, tmp_path: Path) -> None:
    root, measure = again(night, tmp_path)
    ledger = Catalog(root, "site").scored("mine")
    Catalog(root, "site").record_scored("mine", [], removed=ledger)
    assert measure().reason == "no video was scored that the model has not learnt from"
