"""What the headline and the machine room say, of roots that real runs have filled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.fanout import one_by_one
from anomaly.nightly import nightly
from anomaly.report.machine import Headline, headline
from anomaly.runs import runs_of
from anomaly.scores import ScoreSpec
from anomaly.storage import Root, open_root
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec

PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Two cameras and three days; of the third a file is broken, and one camera was off."""
    folder = tmp_path_factory.mktemp("machine") / "site"
    for seed, (camera, day) in enumerate((c, d) for c in ("gate", "hall") for d in (1, 2, 3)):
        if (camera, day) != ("hall", 3):
            for hour in (8, 9):
                path = folder / camera / f"2026030{day}_0{hour}0000.mp4"
                make_video(path, frames=30, height=48, width=64, seed=2 * seed + hour)
    (folder / "gate" / "20260303_100000.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def nights(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, list[Headline]]:
    """A root after two nights, and what the headline said after each."""
    archive = ArchiveSpec(root=str(site), pattern=PATTERN, time_zone="UTC")
    url = str(tmp_path_factory.mktemp("nights") / "root")
    request = TrainRequest(
        detector="gaussian", videos=("*/20260301_*",), into="mine",
        scores=ScoreSpec(alarms_per_camera_day=50_000.0),
    )  # fmt: skip
    train(url, archive, request, fan_out=one_by_one)
    said = []
    for day in ("2", "3"):
        nightly(url, archive, videos=(f"*/2026030{day}_*",), fan_out=one_by_one)
        said.append(headline(open_root(url), "site", "mine"))
    return open_root(url), said


def test_hours_are_those_of_the_last_run_and_of_what_is_left(nights: tuple) -> None:
    _, (first, second) = nights
    assert first.hours_scanned == pytest.approx(4 * 3 / 3600)
    assert second.hours_scanned == pytest.approx(2 * 3 / 3600)
    # the four files of the first day were learnt from and never scored
    assert second.hours_planned == pytest.approx((2 + 4) * 3 / 3600)
    assert first.hours_planned > second.hours_planned


def test_cameras_events_and_bad_files_are_counted(nights: tuple) -> None:
    root, (first, second) = nights
    assert (first.files_bad, first.files_newly_bad) == (0, 0)
    assert (second.files_bad, second.files_newly_bad) == (1, 1)
    assert [second.count(state) for state in ("ok", "degraded", "missing")] == [0, 1, 1]
    assert {camera.camera: camera.reasons for camera in second.cameras} == {
        "gate": ("decode losses",),
        "hall": ("missing",),
    }
    assert second.events_new == runs_of(root, "site")[-1].events


def test_speed_is_told_against_the_night_before(nights: tuple) -> None:
    _, (first, second) = nights
    assert first.speed_before is None
    assert second.speed_before == first.speed
    assert second.speed_ratio == pytest.approx(second.speed / first.speed)
    assert first.speed_in_words.endswith("times real time")
    assert "than the run before" in second.speed_in_words


def test_a_night_without_anything_new_has_no_speed(
    nights: tuple, site: Path, tmp_path: Path
) -> None:
    root, _ = nights
    copy = str(shutil.copytree(root.url, tmp_path / "root"))
    archive = ArchiveSpec(root=str(site), pattern=PATTERN, time_zone="UTC")
    nightly(copy, archive, videos=("*/20260302_*",), fan_out=one_by_one)
    idle = headline(open_root(copy), "site", "mine")
    assert (idle.hours_scanned, idle.events_new, idle.speed, idle.speed_in_words) == (
        0.0, 0, None, "",
    )  # fmt: skip


def test_a_root_without_runs_says_so_and_knows_its_cameras(nights: tuple) -> None:
    root, _ = nights
    other = headline(root, "site", "never used")
    assert (other.run, other.hours_scanned, other.events_new) == (None, None, None)
    assert len(other.cameras) == 2
