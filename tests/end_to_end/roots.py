"""Two small archives, and roots in which they have been worked on without any disturbance."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.scores import ScoreSpec
from anomaly.verbs.extract import extract
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.end_to_end.story import NORMAL, PATTERN, copy_of

MakeVideo = Callable[..., Path]

FRAMES = {"campus": 40, "diary": 20}
"""frames of each video of an archive"""
HOURS = ("08", "09", "10", "11")
ONE_CAMERA = "gate/20260301_*"
PREDICTOR: dict[str, object] = {"training": {"epochs": 6}, "windows": 400}
"""small enough to train in seconds, long enough to be killed in"""


@pytest.fixture(scope="session")
def campus(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    """Two cameras, two days, sixteen videos of four seconds."""
    folder = tmp_path_factory.mktemp("videos") / "campus"
    places = itertools.product(("gate", "hall"), ("20260301", "20260302"), HOURS)
    for seed, (camera, day, hour) in enumerate(places):
        make_video(folder / camera / f"{day}_{hour}0000.mp4", frames=40, seed=seed)
    return folder


@pytest.fixture(scope="session")
def diary(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    """One camera, thirty days, a video of two seconds each: a camera-day file for every video."""
    folder = tmp_path_factory.mktemp("videos") / "diary"
    for day in range(1, 31):
        name = f"202603{day:02}_080000.mp4"
        make_video(folder / "yard" / name, frames=20, height=48, width=64, seed=day)
    return folder


def spec_of(archive: Path) -> ArchiveSpec:
    """Return what the options `NAMES` say about an archive."""
    return ArchiveSpec(root=str(archive), pattern=PATTERN, time_zone="Europe/Rome")


@pytest.fixture(scope="session")
def extracted(campus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that holds the features of the campus, made one after the other in this process."""
    root = tmp_path_factory.mktemp("extracted") / "root"
    extract(str(root), spec_of(campus), [recipe("motion")], fan_out=one_by_one)
    return root


@pytest.fixture(scope="session")
def trained(campus: Path, extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a checkpoint `knn`, fitted on the first day."""
    root = tmp_path_factory.mktemp("trained")
    return _with_checkpoint(extracted, root, campus, "knn", NORMAL)


@pytest.fixture(scope="session")
def scored(campus: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with scores, events, pictures and clips."""
    root = copy_of(trained, tmp_path_factory.mktemp("scored"))
    score(str(root), spec_of(campus), fan_out=one_by_one)
    return root


@pytest.fixture(scope="session")
def bare(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that holds the checkpoint `knn` and nothing else."""
    root = tmp_path_factory.mktemp("bare") / "root"
    shutil.copytree(trained / "checkpoints", root / "checkpoints")
    return root


@pytest.fixture(scope="session")
def foreseen(campus: Path, extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extracted root with a checkpoint `predictor`, trained on one camera."""
    root = tmp_path_factory.mktemp("foreseen")
    return _with_checkpoint(extracted, root, campus, "predictor", ONE_CAMERA, PREDICTOR)


@pytest.fixture(scope="session")
def blank_diary(diary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the features of the diary and a checkpoint `gaussian` fitted on it."""
    root = tmp_path_factory.mktemp("features") / "root"
    extract(str(root), spec_of(diary), [recipe("motion")], fan_out=one_by_one)
    folder = tmp_path_factory.mktemp("blank")
    return _with_checkpoint(root, folder, diary, "gaussian", "*", alarms_per_camera_day=1.0)


@pytest.fixture(scope="session")
def written_diary(
    diary: Path, blank_diary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same with its thirty camera-days scored."""
    root = copy_of(blank_diary, tmp_path_factory.mktemp("written"))
    score(str(root), spec_of(diary), fan_out=one_by_one)
    return root


def _with_checkpoint(
    root: Path,
    folder: Path,
    archive: Path,
    detector: str,
    videos: str,
    parameters: dict[str, object] | None = None,
    *,
    alarms_per_camera_day: float = 50_000.0,
) -> Path:
    copy = copy_of(root, folder)
    request = TrainRequest(
        detector=detector,
        detector_parameters=parameters,
        videos=(videos,),
        into=detector,
        scores=ScoreSpec(alarms_per_camera_day=alarms_per_camera_day),
    )
    train(str(copy), spec_of(archive), request, fan_out=one_by_one)
    return copy
