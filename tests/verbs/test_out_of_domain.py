"""A camera that cannot be judged for a while: scored and ranked, no alarms, and the reason is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anomaly.catalog import CatalogRow, LedgerRow, out_of_domain
from anomaly.scores.tables import read_events, read_scores
from anomaly.verbs.listing import list_things
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video
from tests.verbs.conftest import House
from tests.verbs.test_context import row

RATE, SECONDS = 5, 12
SCENE = np.random.default_rng(0).integers(60, 180, (12, 16)).repeat(8, 0).repeat(8, 1)
CLEAR, DARK, LATER, AGAIN = (f"gate/20260302_{hour}0000.mp4" for hour in (18, 20, 21, 23))


def film(path: Path, seed: int, gain: float = 1.0, noise: float = 1.0) -> None:
    """Twelve seconds in which a square slides over a fixed scene."""
    generator = np.random.default_rng(seed)
    pictures = []
    for number in range(RATE * SECONDS):
        picture = SCENE.astype(float)
        left = (5 * number + 31 * seed) % 104
        picture[32:56, left : left + 16] = 230
        noisy = picture * gain + generator.normal(0, noise, picture.shape)
        pictures.append(noisy.clip(0, 255).astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, RATE, crf=18)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory):
    """A model of day, and an evening after it; the budget is so large that day has events."""
    folder = tmp_path_factory.mktemp("site")
    for number in range(3):
        film(folder / f"gate/20260301_1{number}0000.mp4", number)
    film(folder / CLEAR, 5)
    film(folder / DARK, 6, gain=0.25, noise=4)
    film(folder / LATER, 7, gain=0.25, noise=4)
    film(folder / AGAIN, 8)
    pattern = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
    house = House(ArchiveSpec(root=str(folder), pattern=pattern), f"{folder}-root")
    house.train("gate/20260301_*")
    return house, house.night()


def test_dark_videos_are_scored_and_ranked_but_not_covered_and_make_no_events(night):
    house, _ = night
    table = read_scores(house.root, house.folder.name, "mine")
    assert table["score"].null_count == 0
    covered = {
        (one["video"], one["covered"]) for one in table.select(["video", "covered"]).to_pylist()
    }
    assert covered >= {(CLEAR, True), (DARK, False), (LATER, False), (AGAIN, True)}
    assert not covered & {(CLEAR, False), (DARK, True), (LATER, True), (AGAIN, False)}
    videos = set(read_events(house.root, house.folder.name, "mine")["video"].to_pylist())
    assert videos & {CLEAR, AGAIN}
    assert not videos & {DARK, LATER}


def test_the_summary_of_the_night_tells_which_camera_since_when_and_why(night):
    _, summary = night
    (told,) = json.loads(json.dumps(summary.to_json()))["out_of_domain"]
    assert told == (
        "camera gate: out of domain since 2026-03-02T20:00+00:00 until 2026-03-02T23:00+00:00: "
        "dark"
    )


def test_the_report_lists_the_camera(night):
    _, summary = night
    page = Path(summary.report).read_text()
    assert "Cameras out of domain" in page
    assert "dark" in page
    assert "Mon 02 Mar 2026, 20:00" in page


def test_the_list_of_cameras_says_which_can_be_judged_now(night):
    house, _ = night
    assert list_things(house.root, "cameras")["cameras"] == {
        house.folder.name: {"gate": "in domain"}
    }


def test_a_second_night_repeats_nothing(night):
    house, _ = night
    again = house.night()
    assert again.scoring.scored == ()
    assert again.to_json()["out_of_domain"] == []


def scored(one: CatalogRow, seconds: float, why: str = "") -> LedgerRow:
    return LedgerRow(
        uri=one.uri,
        content="",
        camera=one.camera,
        date="",
        model_digest="",
        n_frames=1,
        n_events=0,
        seconds_outside=seconds,
        outside=why,
    )


def test_a_camera_that_is_still_out_of_domain_says_so_and_short_marks_are_not_told():
    rows = {
        one.uri: one
        for one in (
            row(1, 0, "a", duration_seconds=600.0),
            row(2, 10, "a", duration_seconds=600.0),
            row(3, 20, "a", duration_seconds=600.0),
            row(4, 0, "b", duration_seconds=600.0),
        )
    }
    one, two, three, other = rows.values()
    ledger = [
        scored(three, 600, "blurred"),
        scored(one, 10, "noisy"),
        scored(two, 0),
        scored(other, 0),
    ]
    (told,) = out_of_domain(rows, ledger)
    assert (told.camera, told.reasons, told.is_over) == ("a", "blurred", False)
    assert told.text == "camera a: out of domain since 2026-03-01T00:20+00:00: blurred"
