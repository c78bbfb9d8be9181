"""Memory across files: what was left in one file is seen in the next, whenever the files arrive."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.catalog import CatalogRow
from anomaly.checkpoints import load
from anomaly.fanout import one_by_one
from anomaly.storage import open_root
from anomaly.verbs.context import Contexts, context_seconds
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import House

PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
RATE, SECONDS = 5, 15
SCENE = np.random.default_rng(0).integers(60, 180, (12, 16)).repeat(8, 0).repeat(8, 1)
MORNING = [f"gate/20260302_09{minute}00.mp4" for minute in (57, 58, 59)]
BEFORE, AFTER, LATER = (f"gate/20260302_10{minute:02d}00.mp4" for minute in (0, 1, 2))


def write(path: Path, *, bag_from: float = np.inf, seed: int = 0) -> None:
    """A noisy scene of fifteen seconds; a bag stands in it from `bag_from` seconds on."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = *SCENE.shape, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast", "threads": "1"}
        for number in range(RATE * SECONDS):
            picture = SCENE + generator.normal(0, 1, SCENE.shape)
            if number >= bag_from * RATE:
                picture[48:80, 56:88] = 250
            gray = picture.clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(gray, format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(4):
        write(folder / f"gate/20260301_10{number:02d}00.mp4", seed=number)
    for number, uri in enumerate(MORNING):
        write(folder / uri, seed=20 + number)
    write(folder / BEFORE, bag_from=9, seed=10)
    write(folder / AFTER, bag_from=0, seed=11)
    write(folder / LATER, bag_from=0, seed=12)
    return folder


@pytest.fixture
def house(films: Path, tmp_path: Path) -> House:
    """A camera whose model knows an empty scene; of the second day only the morning is there."""
    folder = tmp_path / "site"
    (folder / "gate").mkdir(parents=True)
    for film in (*(films / "gate").glob("20260301_*"), *(films / uri for uri in MORNING)):
        shutil.copy(film, folder / "gate")
    made = House(ArchiveSpec(root=str(folder), pattern=PATTERN), str(tmp_path / "root"))
    request = TrainRequest(
        detector="knn", backbones=("static",), videos=("gate/20260301_*",), into="mine"
    )
    train(made.url, made.archive, request, fan_out=one_by_one)
    return made


def arrive(house: House, films: Path, *uris: str) -> None:
    for uri in uris:
        shutil.copy(films / uri, house.folder / uri)


def scores(house: House) -> dict[str, list[float]]:
    return {uri: [score for _, score in rows] for uri, rows in house.rows().items()}


def test_a_bag_left_near_the_end_of_a_file_is_seen_in_the_next(house: House, films: Path):
    arrive(house, films, BEFORE, AFTER, LATER)
    house.night()
    found = scores(house)
    quiet = max(found["gate/20260301_100200.mp4"])
    assert max(found[BEFORE]) > quiet + 1
    for uri in (AFTER, LATER):
        assert min(found[uri][7 * RATE : -RATE]) > quiet + 1, uri


@pytest.mark.parametrize("was_seen_without_it", [False, True])
def test_a_bag_is_known_if_an_earlier_file_shows_the_place_without_it(
    house: House, films: Path, was_seen_without_it: bool
):
    if not was_seen_without_it:
        for uri in MORNING:
            (house.folder / uri).unlink()
    arrive(house, films, AFTER)
    house.night()
    found = scores(house)
    quiet = max(found["gate/20260301_100200.mp4"])
    assert (max(found[AFTER]) > quiet + 0.5) == was_seen_without_it


def test_a_file_that_arrives_late_has_those_after_it_scored_again_and_nothing_else(
    house: House, films: Path
):
    arrive(house, films, AFTER, LATER)
    house.night()
    early = scores(house)
    arrive(house, films, BEFORE)
    night = house.night()
    assert [row.uri for row in night.scoring.scored] == [BEFORE, AFTER, LATER]
    late = scores(house)
    assert max(late[AFTER]) > max(early[AFTER])
    assert house.night().scoring.scored == ()
    assert scores(house) == late


def test_scores_do_not_depend_on_the_order_in_which_files_come(house: House, films: Path):
    uris = (BEFORE, AFTER, LATER)
    arrive(house, films, *uris)
    house.night()
    together = scores(house)
    for number, order in enumerate([*permutations(uris)][1::3]):
        other = replace(house, url=f"{house.url}-{number}")
        shutil.copytree(house.url, other.url)
        for folder in ("scores", "events", "catalog"):
            shutil.rmtree(Path(other.url) / folder)
        for path in house.folder.glob("gate/20260302_10*"):
            path.unlink()
        for uri in order:
            arrive(house, films, uri)
            other.night()
        assert scores(other) == together, order


def test_naming_one_file_takes_the_one_before_it_into_account(house: House, films: Path):
    arrive(house, films, BEFORE, AFTER)
    house.score(AFTER)
    alone = scores(house)[AFTER]
    assert BEFORE not in scores(house)
    house.night()
    assert scores(house)[AFTER] == alone
    assert house.score(AFTER).scored == ()


def test_a_file_that_is_deleted_later_changes_nothing_in_those_after_it(
    house: House, films: Path
):
    arrive(house, films, BEFORE, AFTER)
    house.night()
    (house.folder / BEFORE).unlink()  # recorders delete footage
    assert house.night().scoring.scored == ()


def test_a_bundle_without_a_part_that_recalls_declares_no_context(house: House):
    bundle = load(open_root(house.url), "mine")
    assert context_seconds(bundle.inputs) == 1200
    plain = TrainRequest(detector="knn", backbones=("motion",))
    assert context_seconds(plain.recipes()) == 0


START = datetime(2026, 3, 1, tzinfo=UTC)


def row(number: int, minute: int, camera: str, **more: object) -> CatalogRow:
    made = CatalogRow(
        archive="a",
        uri=f"{camera}/{number}",
        location="",
        bytes=1,
        modified="",
        camera=camera,
        date="2026-03-01",
        start_time_utc=START + timedelta(minutes=minute),
        kind="file",
        first_seen=START,
        last_seen=START,
        content=f"c{number}",
        status="ok",
    )
    return replace(made, **more)  # type: ignore[arg-type]


@st.composite
def catalogs(draw: st.DrawFn) -> list[CatalogRow]:
    minutes = draw(st.lists(st.tuples(st.integers(0, 90), st.sampled_from("ab")), max_size=12))
    return [row(number, *facts) for number, facts in enumerate(minutes)]


@given(catalogs(), st.randoms())
def test_a_context_follows_from_what_there_is_in_whatever_order_it_is_listed(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert Contexts.of(rows, 1200) == Contexts.of(shuffled, 1200)


@given(catalogs())
def test_a_context_is_earlier_of_the_same_camera_and_reaches_into_the_last_minutes(rows):
    contexts = Contexts.of(rows, 1200)
    for one in rows:
        before = contexts.rows.get(one.uri, ())
        earlier = [o for o in rows if o.camera == one.camera and start(o) < start(one)]
        assert set(before) <= set(earlier)
        recent = {o.uri for o in earlier if (start(one) - start(o)).total_seconds() < 1200}
        assert recent <= {o.uri for o in before}
        assert bool(before) == bool(earlier)
        offsets = [seconds for _, seconds in contexts.before(one)]
        assert offsets == sorted(offsets)
        assert all(seconds < 0 for seconds in offsets)


def start(one: CatalogRow) -> datetime:
    assert one.start_time_utc is not None
    return one.start_time_utc


def test_a_video_that_was_renamed_stands_in_a_context_once():
    old, new = row(1, 0, "a", present=False), row(2, 0, "a", content="c1")
    last = row(3, 5, "a")
    contexts = Contexts.of([old, new, last], 1200)
    assert contexts.before(last) == (("c1", -300.0),)
    gone = Contexts.of([old, last], 1200)
    assert contexts.digest(last) == gone.digest(last)


@pytest.mark.parametrize("odd", [{"status": "quarantined"}, {"start_time_utc": None}])
def test_bad_and_undated_videos_stand_in_no_context(odd: dict[str, object]):
    rows = [row(1, 0, "a", **odd), row(2, 5, "a")]
    assert Contexts.of(rows, 1200).rows == {}
