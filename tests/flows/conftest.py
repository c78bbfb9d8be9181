"""A small archive with one bad file, and what the command line's verbs make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.fanout import process_pool
from anomaly.features import recipe
from anomaly.nightly import nightly
from anomaly.scores import ScoreSpec
from anomaly.verbs.extract import extract
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec

PATTERN = r"(?P<camera>[a-z]+)/(?P<time>\d{8}_\d{6})\.mp4"
TRAINING = ("*/20260301_*",)
REQUEST = TrainRequest(
    detector="gaussian", videos=TRAINING, scores=ScoreSpec(alarms_per_camera_day=50_000.0)
)
"""a budget so large that a short archive has events"""


@pytest.fixture(scope="session")
def campus(
    tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]
) -> ArchiveSpec:
    """Two days of two cameras, nine short videos, one of them no video at all."""
    folder = tmp_path_factory.mktemp("videos") / "campus"
    seed = 0
    for camera in ("gate", "hall"):
        for stem in (
            "20260301_080000",
            "20260301_090000",
            "20260302_080000",
            "20260302_090000",
        ):
            make_video(folder / camera / f"{stem}.mp4", frames=40, seed=seed)
            seed += 1
    (folder / "gate" / "20260302_100000.mp4").write_bytes(b"no video " * 100)
    return ArchiveSpec(root=str(folder), pattern=PATTERN, time_zone="Europe/Rome")


@pytest.fixture(scope="session")
def reference(campus: ArchiveSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root where the library's verbs did extract, train and nightly in a local pool."""
    root = str(tmp_path_factory.mktemp("reference"))
    spread = process_pool(2)
    extract(
        root, campus, [recipe(name) for name in ("motion", "static", "trail")], fan_out=spread
    )
    train(root, campus, REQUEST, fan_out=spread)
    nightly(root, campus, fan_out=spread)
    return Path(root)


@pytest.fixture(scope="session")
def stored() -> Callable[[Path, str], dict[str, bytes]]:
    """Return the files below one folder of a root, by key; without notes of when features were made."""

    def read(root: Path, folder: str) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted((root / folder).rglob("*"))
            if path.is_file() and path.name != "zarr.json"
        }

    return read
