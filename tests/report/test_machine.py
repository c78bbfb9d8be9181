"""What the headline and the machine room say, of roots that real runs have filled."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anomaly.catalog import Catalog
from anomaly.fanout import one_by_one
from anomaly.nightly import nightly
from anomaly.report.contents import gather
from anomaly.report.machine import Headline
from anomaly.report.machine import headline as told
from anomaly.report.render import render
from anomaly.report.room import Room, room_of
from anomaly.runs import runs_of
from anomaly.scores import ScoreSpec
from anomaly.scores.camera_drift import CameraDrift, publish_drift
from anomaly.scores.drift import Drift
from anomaly.storage import Root, open_root
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.report.conftest import needs_browser

PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"


def headline(root: Root, archive: str, checkpoint: str) -> Headline:
    catalog = Catalog(root, archive)
    return told(root, archive, checkpoint, catalog.rows(), catalog.scored(checkpoint))


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


# ---- the machine room --------------------------------------------------------------------------------


def drift_of(
    p: float, size: float, *, higher: bool | None = True, least_p: float = 1e-4
) -> Drift:
    return Drift(
        size=size, distance=None if higher is None else 0.4, p=p, least_p=least_p, higher=higher,
        reference_units=30, recent_units=20,
    )  # fmt: skip


def room(root: Root, checkpoint: str = "mine") -> Room:
    return room_of(root, gather(root, "site", checkpoint, time_zone="UTC"))


@pytest.fixture(scope="module")
def judged(nights: tuple, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A copy of the root after an evaluation, with drifts of every kind."""
    folder = tmp_path_factory.mktemp("judged")
    url = str(shutil.copytree(nights[0].url, folder / "root"))
    labels = folder / "labels.csv"
    lines = [
        f"gate/20260302_0{hour}0000.mp4,30,{span},fast"
        for hour, span in ((8, "5,20"), (9, ","))
    ]
    labels.write_text("\n".join(["video,n_frames,start_frame,stop_frame,category", *lines]))
    archive = ArchiveSpec(root=str(site), pattern=PATTERN, time_zone="UTC")
    evaluate(url, archive, labels=str(labels), checkpoint="mine")
    root = open_root(url)
    for name, scores, features in [
        ("calm", drift_of(0.4, 0.3), drift_of(0.2, 0.001, higher=None)),
        ("slight", drift_of(1e-4, 0.05), drift_of(1e-4, 0.2, higher=None)),
        ("strong", drift_of(1e-4, 0.9, higher=False), drift_of(0.9, 0.0, higher=None)),
        (
            "short",
            drift_of(0.1, 2.0, least_p=0.1),
            drift_of(0.5, 0.0, higher=None, least_p=0.1),
        ),
    ]:
        drift = CameraDrift(
            camera=name, model=name, scores=scores, features={"motion": features}
        )
        publish_drift(root, "site", "mine", drift)
    old = CameraDrift(camera="<old>", model="pooled", reason="trained before")
    publish_drift(root, "site", "mine", old)
    return root


def test_drift_is_told_in_words_that_chance_does_not_make(judged: Root) -> None:
    words = {(row.camera, row.what): (row.words, row.is_drift) for row in room(judged).drifts}
    assert words["calm", "scores"] == ("no drift seen", False)
    assert words["calm", "features: motion"] == ("no drift seen", False)
    assert words["slight", "scores"] == ("slightly changed, higher in the median", True)
    assert words["slight", "features: motion"] == ("what it shows has changed", True)
    assert words["strong", "scores"] == ("strongly changed, lower in the median", True)
    assert words["short", "scores"] == ("too little video to tell", False)
    assert words["<old>", "scores"] == ("trained before", False)


def test_chances_are_corrected_for_the_number_of_comparisons(judged: Root) -> None:
    rows = [row for row in room(judged).drifts if row.drift is not None]
    smallest = min(row.p for row in rows)
    assert smallest == pytest.approx(1e-4 * len(rows))


def test_cameras_in_trouble_come_first_and_runs_latest_first(nights: tuple) -> None:
    found = room(nights[0])
    assert [camera.camera for camera in found.cameras] == ["hall", "gate"]
    assert [run.verb for run in found.runs] == ["nightly", "nightly", "train"]


def test_lineage_tells_recipe_models_seeds_and_what_made_them(nights: tuple) -> None:
    lineage = room(nights[0]).lineage
    assert (lineage.detector, [name for name, _, _ in lineage.recipes]) == (
        "gaussian", ["motion"],
    )  # fmt: skip
    gate = next(model for model in lineage.models if model.name == "gate")
    assert gate.videos == ("gate/20260301_080000.mp4", "gate/20260301_090000.mp4")
    assert (gate.videos_in_all, gate.facts["seed"]) == (2, 0)
    (training,) = lineage.trainings
    assert (training.verb, training.checkpoint) == ("train", "mine")


def test_figures_begin_with_the_headline_and_end_with_what_peeks(judged: Root) -> None:
    found = room(judged)
    assert found.figures[0]["metric"] == "frame_auc_micro"
    assert not found.figures[0]["peeks"]
    assert found.figures[-1]["peeks"]
    (charts,) = found.charts
    assert charts.label_set == found.figures[0]["label_set"]
    assert charts.roc.startswith("<svg")


def test_a_checkpoint_that_is_gone_has_no_lineage_and_a_page(nights: tuple) -> None:
    assert room(nights[0], "never used").lineage is None
    key = render(nights[0], "site", "never used")
    assert "The checkpoint is not in this root." in nights[0].read(key).decode()


@pytest.fixture
def machine(browser: Any, judged: Root) -> Iterator[Any]:
    key = render(judged, "site", "mine", time_zone="UTC")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(Path(judged.address(key)).as_uri())
    yield page
    page.close()


def column(page: Any, section: str, number: int) -> list[str]:
    cells = f"#{section} + .scroll tbody td:nth-child({number})"
    return [text.strip() for text in page.locator(cells).all_inner_texts()]


@needs_browser
def test_the_room_shows_what_there_is_and_tables_sort_by_keyboard(
    machine: Any, judged: Root
) -> None:
    assert column(machine, "health", 2) == ["missing", "degraded"]
    assert machine.locator("#machine .drifted").count() == 3
    assert machine.locator("#machine svg.chart").count() == 2
    stages = runs_of(judged, "site")[-1].stages
    assert machine.locator("svg.stages rect").count() == len(stages)
    index = machine.locator("#drift + .scroll th button").nth(3)
    index.focus()
    machine.keyboard.press("Enter")
    values = [float(text) for text in column(machine, "drift", 4) if text]
    assert values == sorted(values)
    assert {0.05, 0.3, 0.9, 2.0} <= set(values)
    machine.keyboard.press("Enter")
    assert [float(text) for text in column(machine, "drift", 4) if text] == values[::-1]
    assert machine.locator("#drift + .scroll th").nth(3).get_attribute("aria-sort") == (
        "descending"
    )
    assert column(machine, "drift", 4)[-1] == ""
    assert machine.complaints == []


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "dark"), (390, "light")])
def test_nothing_of_the_room_is_wider_than_the_screen(
    machine: Any, width: int, scheme: Any
) -> None:
    machine.set_viewport_size({"width": width, "height": 800})
    machine.emulate_media(color_scheme=scheme)
    assert machine.evaluate("document.documentElement.scrollWidth") <= width
    assert machine.locator("#machine").is_visible()
