"""A small archive that changes, and a root that follows it night after night, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from anomaly.catalog import Catalog, CatalogRow
from anomaly.fanout import FanOut, one_by_one
from anomaly.nightly import NightlySummary, nightly
from anomaly.scores import ScoreSpec
from anomaly.scores.tables import read_events, read_scores
from anomaly.storage import Root, open_root
from anomaly.verbs.score import ScoreSummary, score
from anomaly.verbs.train import TrainRequest, TrainSummary, train
from anomaly.video import ArchiveSpec

FRAMES = 12


@dataclass(frozen=True)
class House:
    """An archive, its root, and the verbs over them."""

    archive: ArchiveSpec
    url: str

    @property
    def folder(self) -> Path:
        """Where the videos are."""
        return Path(self.archive.root)

    @property
    def root(self) -> Root:
        """The root."""
        return open_root(self.url)

    def train(self, *videos: str, camera: str = "", into: str = "mine") -> TrainSummary:
        """Fit a quick detector with a budget so large that there are events."""
        budget = ScoreSpec(alarms_per_camera_day=50_000.0)
        request = TrainRequest(
            detector="gaussian", videos=videos, camera=camera, into=into, scores=budget
        )
        return train(self.url, self.archive, request, fan_out=one_by_one)

    def score(self, *videos: str, fan_out: FanOut = one_by_one) -> ScoreSummary:
        """Score with the current checkpoint."""
        return score(self.url, self.archive, videos=videos, fan_out=fan_out)

    def night(self, fan_out: FanOut = one_by_one) -> NightlySummary:
        """Go through a night."""
        return nightly(self.url, self.archive, fan_out=fan_out)

    def rows(self, name: str = "") -> dict[str, list[tuple[int, float]]]:
        """Return (frame, score) of every stored row, by video."""
        table = read_scores(self.root, name or self.folder.name, "mine")
        found: dict[str, list[tuple[int, float]]] = {}
        for video, frame, value in zip(
            *(table[column].to_pylist() for column in ("video", "frame", "score")), strict=True
        ):
            found.setdefault(video, []).append((frame, value))
        return found

    def event_videos(self) -> set[str]:
        """Return the videos that have events."""
        return set(read_events(self.root, self.folder.name, "mine")["video"].to_pylist())

    def catalog(self) -> dict[str, CatalogRow]:
        """Return the rows of the catalog."""
        return Catalog(self.root, self.folder.name).rows()


@pytest.fixture(scope="session")
def clips(
    tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]
) -> Sequence[Path]:
    """Six tiny videos, no two alike."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_video(folder / f"{seed}.mp4", frames=FRAMES, height=48, width=64, seed=seed)
        for seed in range(6)
    ]


@pytest.fixture
def house(clips: Sequence[Path], tmp_path: Path) -> House:
    """Two cameras with two videos each, and nothing known of them yet."""
    return _house(clips, tmp_path)


def _house(clips: Sequence[Path], place: Path) -> House:
    folder = place / "site"
    for clip, uri in zip(
        clips, ("gate/1.mp4", "gate/2.mp4", "hall/1.mp4", "hall/2.mp4"), strict=False
    ):
        (folder / uri).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / uri)
    return House(ArchiveSpec(root=str(folder)), str(place / "root"))


@pytest.fixture
def settled(house: House) -> House:
    """The same after training on all of it and a first night."""
    house.train()
    house.night()
    return house


@pytest.fixture(scope="session")
def _settled_once(clips: Sequence[Path], tmp_path_factory: pytest.TempPathFactory) -> House:
    house = _house(clips, tmp_path_factory.mktemp("settled"))
    house.train()
    house.night()
    return house


@pytest.fixture
def copied(_settled_once: House, tmp_path: Path) -> House:
    """What `settled` is, in a moment: a copy of the root, for tests that leave the archive as it is."""
    url = tmp_path / "root"
    shutil.copytree(_settled_once.url, url)
    return House(_settled_once.archive, str(url))
