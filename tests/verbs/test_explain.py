"""Explanations the whole way: from videos to what is stored of an event, and what nights make of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from anomaly.catalog import Catalog
from anomaly.checkpoints import load
from anomaly.cli import run
from anomaly.errors import SpecError, StoreError
from anomaly.explain import read_explanation
from anomaly.explain.overlay import decoded
from anomaly.fanout import one_by_one
from anomaly.nightly import nightly
from anomaly.scores import ScoreSpec
from anomaly.scores.tables import iterate
from anomaly.storage import Root, open_root
from anomaly.verbs.explain import explain, explain_new, in_words
from anomaly.verbs.similar import similar
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video

PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
SCENE = np.random.default_rng(0).integers(60, 180, (15, 20)).repeat(8, 0).repeat(8, 1)
FRAMES, RATE, HIGH, WIDE = 80, 10, 120, 160


def film(path: Path, seed: int, *, strange: bool = False) -> None:
    """A square walks to the right; a strange one jumps about in the upper left, after four seconds."""
    generator = np.random.default_rng(seed)
    pictures = []
    for number in range(FRAMES):
        picture = SCENE + generator.normal(0, 1, SCENE.shape)
        left = (2 * number + 31 * seed) % (WIDE - 24)
        picture[80:104, left : left + 24] = 230
        if strange and 40 <= number < 60:
            shift = 6 * (number % 3)
            picture[8 + shift : 40 + shift, 10:42] = 20 + 220 * (number % 2)
        pictures.append(picture.clip(0, 255).astype(np.uint8)[..., None].repeat(3, 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, RATE, crf=20)


@dataclass(frozen=True)
class Site:
    """Two cameras, a normal day, and a day on which both see something strange."""

    archive: ArchiveSpec
    url: str
    checkpoint: str

    @property
    def root(self) -> Root:
        return open_root(self.url)

    @property
    def events(self) -> list[dict]:
        found = [
            row
            for _, table in iterate(self.root, "site", self.checkpoint, "events")
            for row in table.to_pylist()
        ]
        return sorted(found, key=lambda row: -row["score"])


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ArchiveSpec:
    folder = tmp_path_factory.mktemp("explained") / "site"
    for camera_number, camera in enumerate(("gate", "hall")):
        for hour in range(4):
            seed = 10 * camera_number + hour
            film(folder / camera / f"20260301_{hour:02}0000.mp4", seed)
        film(folder / camera / "20260302_000000.mp4", 10 * camera_number + 5)
        film(folder / camera / "20260302_010000.mp4", 10 * camera_number + 6, strange=True)
    return ArchiveSpec(root=str(folder), pattern=PATTERN)


def at_work(videos: ArchiveSpec, url: Path, cameras: str = "*", **request: object) -> Site:
    asked = TrainRequest(
        videos=(f"{cameras}/20260301_*",),
        into="mine",
        scores=ScoreSpec(alarms_per_camera_day=200.0),
        **request,
    )
    train(str(url), videos, asked, fan_out=one_by_one)
    nightly(str(url), videos, videos=(f"{cameras}/20260302_*",), fan_out=one_by_one)
    return Site(videos, str(url), "mine")


@pytest.fixture(scope="module")
def site(videos: ArchiveSpec, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Judged by motion and what rests, after a night."""
    return at_work(videos, tmp_path_factory.mktemp("default") / "root")


@pytest.fixture(scope="module")
def deep(videos: ArchiveSpec, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Judged by one vector a frame of a small network with random weights."""
    network = {"model": "test_resnet", "weights": "random:0"}
    return at_work(
        videos,
        tmp_path_factory.mktemp("deep") / "root",
        cameras="gate",
        detector="gaussian",
        backbones=("timm_frames",),
        backbone_parameters=network,
    )


def strange_event(site: Site, camera: str = "gate") -> dict:
    """The highest event of a camera, which is that of the strange square."""
    own = [row for row in site.events if row["video"] == f"{camera}/20260302_010000.mp4"]
    assert 3.5 <= own[0]["peak_seconds"] <= 6.5
    return own[0]


def test_a_night_explains_the_events_it_finds(site: Site) -> None:
    event = strange_event(site)
    said = read_explanation(site.root, "site", "mine", event["event_id"])
    assert said is not None
    assert (said.camera, said.video, said.note) == ("gate", event["video"], "")
    assert said.scores_digest == event["scores_digest"]
    assert said.parts[0].name == event["part"]
    assert said.searched == 1.0
    assert {moment.video.split("_")[0] for moment in said.normals} == {"gate/20260301"}
    assert all(site.root.exists(moment.picture) for moment in said.normals)
    assert said.similar[0].event_id == strange_event(site, "hall")["event_id"]
    assert said.similar[0].distance < said.normals[0].distance


def test_the_map_is_hot_where_the_strange_thing_is(site: Site) -> None:
    event = strange_event(site)
    heat = read_explanation(site.root, "site", "mine", event["event_id"]).heat
    assert heat.method == "cells"
    raw = np.array([[np.nan if v is None else v for v in row] for row in heat.raw])
    row, column = np.unravel_index(np.nanargmax(raw), raw.shape)
    assert (row / len(raw), column / len(raw[0])) < (0.5, 0.5)
    assert heat.high == pytest.approx(np.nanmax(raw), rel=1e-3)
    picture = decoded(site.root.read(heat.picture)).astype(int)
    assert picture.shape == (HIGH, WIDE, 3)
    redness = picture[..., 0] - picture[..., 2]
    assert redness[10:45, 10:45].mean() > 40 > 5 > abs(redness[70:, 90:].mean())


def test_the_strip_is_centred_on_the_peak(site: Site) -> None:
    event = strange_event(site)
    strip = read_explanation(site.root, "site", "mine", event["event_id"]).strip
    assert strip.method == "occlusion"
    middle = float(np.dot(strip.seconds, strip.contribution))
    assert middle == pytest.approx(event["peak_seconds"], abs=0.5)


def test_a_network_is_asked_about_the_frames_that_are_shown(deep: Site) -> None:
    event = deep.events[0]
    said = explain(deep.root, event["event_id"][:8], frames=3)
    assert said.note == ""
    assert 2 <= len(said.heats) <= 3
    assert {heat.method for heat in said.heats} == {"grad-cam++"}
    assert len({(heat.low, heat.high) for heat in said.heats}) == 1
    assert said.heats[0].seconds == pytest.approx(event["peak_seconds"], abs=0.11)
    assert said.heats[0].area[1] > 0  # the square in the middle of the frame
    assert all(deep.root.exists(heat.picture) for heat in said.heats)
    assert "standard deviations" in said.unit
    assert read_explanation(deep.root, "site", "mine", event["event_id"]) == said


def test_an_event_is_told_in_words_and_pictures(site: Site, tmp_path: Path, capsys) -> None:
    event = strange_event(site)["event_id"]
    asked = ["explain", event[:6], "--root", site.url, "--out", str(tmp_path)]
    assert run(asked) == 0
    told = capsys.readouterr().out
    assert "half of the score comes from" in told
    assert "nearest normal moments" in told
    names = sorted(path.name.removeprefix(event) for path in tmp_path.iterdir())
    assert sum(name.startswith("-frame-") for name in names) == 1
    assert {"-normal-1.jpg", "-similar-1.jpg"} <= set(names)
    assert run([*asked, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["event_id"] == event
    assert printed["heats"][0]["method"] == "cells"
    assert in_words(read_explanation(site.root, "site", "mine", event))["event"] == event


def test_what_is_like_an_event_is_found_at_another_camera(
    site: Site, tmp_path: Path, capsys
) -> None:
    event, other = strange_event(site), strange_event(site, "hall")
    found = similar(site.root, event["event_id"], k=4, out=str(tmp_path))
    assert found.searched == 12
    assert found.passed_over == 0
    assert found.moments[0].video == other["video"]
    assert found.moments[0].event_id == other["event_id"]
    distances = [moment.distance for moment in found.moments]
    assert distances == sorted(distances)
    assert not any(
        moment.video == event["video"] and 3.5 < moment.seconds < 6.5
        for moment in found.moments
    )
    assert len(list(tmp_path.glob("*.jpg"))) == 4
    assert run(["similar", event["event_id"], "-k", "2", "--root", site.url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["moments"]) == 2


def test_without_features_there_is_nothing_to_explain(site: Site, tmp_path: Path) -> None:
    root = open_root(str(shutil.copytree(site.url, tmp_path / "root")))
    event = strange_event(site)["event_id"]
    root.delete("features")
    with pytest.raises(StoreError, match="extract it first"):
        explain(root, event)
    with pytest.raises(StoreError, match="extract it first"):
        similar(root, event)
    with pytest.raises(SpecError, match="expected one"):
        explain(root, "0123456789abcdef")


def test_without_the_video_the_kept_picture_is_drawn_on(site: Site, tmp_path: Path) -> None:
    root = open_root(str(shutil.copytree(site.url, tmp_path / "root")))
    root.delete("explanations")
    catalog = Catalog(root, "site")
    catalog.look([])  # all videos are gone
    said = explain(root, strange_event(site)["event_id"])
    assert said.heat is not None
    assert root.exists(said.heat.picture)
    assert said.normals
    assert {moment.picture for moment in said.normals} == {None}


def test_a_network_without_the_video_says_that_it_cannot_be_asked(
    deep: Site, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(deep.url, tmp_path / "root")))
    Catalog(root, "site").look([])
    said = explain(root, deep.events[0]["event_id"])
    assert said.heats == ()
    assert "out of reach" in said.note
    assert said.strip is not None


def test_nothing_is_explained_twice_and_other_scores_make_it_stale(
    site: Site, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(site.url, tmp_path / "root")))
    bundle = load(root, "mine")
    scored = list(Catalog(root, "site").scored("mine").values())
    assert explain_new(root, "site", bundle, scored) == 0
    key = f"explanations/site/mine/{strange_event(site)['event_id']}.json"
    root.publish_json(key, {**root.read_json(key), "scores_digest": "old"})
    assert explain_new(root, "site", bundle, scored) == 1
    root.delete("explanations")
    assert explain_new(root, "site", bundle, scored, events=1) == 1
    highest = site.events[0]["event_id"]
    assert read_explanation(root, "site", "mine", highest) is not None


def test_a_night_has_so_much_time_for_it_and_never_fails_by_it(
    site: Site, tmp_path: Path, caplog
) -> None:
    root = open_root(str(shutil.copytree(site.url, tmp_path / "root")))
    bundle, scored = load(root, "mine"), list(Catalog(root, "site").scored("mine").values())
    root.delete("explanations")
    assert explain_new(root, "site", bundle, scored, seconds=0.0) == 0
    for key in root.keys("features"):
        if key.endswith("features/c/0/0"):
            root.publish(key, b"damaged")
    assert explain_new(root, "site", bundle, scored) == 0
    assert "Explaining events went wrong; the night goes on." in caplog.text


def test_features_that_were_imported_or_expired_leave_the_rest_of_the_night_alone(
    site: Site, videos: ArchiveSpec, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(site.url, tmp_path / "root")))
    bundle, scored = load(root, "mine"), list(Catalog(root, "site").scored("mine").values())
    root.delete("explanations")
    gone = [row.content for row in Catalog(root, "site").rows().values() if "0301" in row.uri]
    for folder in root.folders("features"):
        for content in gone:
            root.delete(f"features/{folder}/{content}")
    assert explain_new(root, "site", bundle, scored) > 0
    said = read_explanation(root, "site", "mine", strange_event(site)["event_id"])
    assert said.heat is not None
    assert (said.normals, said.searched) == ((), 0.0)
    assert "Features of training videos are no longer stored" in said.note
