"""A pixel detector the whole way: from videos to boxes, a clip and an animation."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from anomaly.cli import run
from anomaly.scores.regularity import regularity
from anomaly.storage import open_root
from anomaly.verbs.explain import explain
from anomaly.verbs.query import query
from anomaly.video.encode import write_video

pytestmark = pytest.mark.slow

HEIGHT, WIDTH, FRAMES = 96, 128, 40
STRANGE = range(20, 30)


def film(path, seed, *, strange=False):
    """A square that walks along; once, something large and dark jumps about in the upper corner."""
    generator = np.random.default_rng(0)
    wall = np.kron(generator.integers(60, 180, (12, 16)), np.ones((8, 8))).astype(np.uint8)
    pictures = []
    for number in range(FRAMES):
        picture = wall.copy()
        left = (number * 3 + 17 * seed) % (WIDTH - 20)
        picture[56:80, left : left + 16] = 230
        if strange and number in STRANGE:
            shift = 3 * (number % 3)
            picture[4 + shift : 36 + shift, 84:120] = (
                250 - picture[4 + shift : 36 + shift, 84:120]
            )
        pictures.append(np.repeat(picture[:, :, None], 3, axis=2))
    write_video(path, pictures, 10)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    for seed in range(3):
        film(folder / f"videos/cam/normal{seed}.mp4", seed)
    film(folder / "videos/cam/strange.mp4", 9, strange=True)
    root, archive = str(folder / "root"), str(folder / "videos")
    options = [
        "channels=0.1", "block=8", "clips=60", "step=2", "score=cell_max",
        'training={"epochs": 12, "patience": 12, "batch": 4, "optimiser": "adam", "learning_rate": 0.003}',
    ]  # fmt: skip
    told = [part for option in options for part in ("--detector-option", option)]
    small = [
        "--backbone",
        "frames",
        "--backbone-option",
        "height=32",
        "--backbone-option",
        "width=48",
    ]
    train = [
        "train",
        archive,
        "--root",
        root,
        "--videos",
        "*normal*",
        "--detector",
        "unet_predict",
    ]
    budget = [
        "--alarms-per-camera-day",
        "5000",
        "--block-seconds",
        "1",
    ]  # seconds of normal video are too few for fewer
    assert run([*train, *small, *told, *budget, "--workers", "1"]) == 0
    assert run(["score", archive, "--root", root, "--workers", "1"]) == 0
    return root


def peak(root):
    sql = "SELECT * FROM events WHERE video = 'cam/strange.mp4' ORDER BY score DESC LIMIT 1"
    (event,) = query(open_root(root), sql).to_pylist()
    return event


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_strange_thing_is_an_event_whose_boxes_say_where(scored):
    event = peak(scored)
    assert event["peak_frame"] in range(STRANGE.start - 2, STRANGE.stop + 6)
    worst = event["boxes"][0]
    assert worst["left"] < 102 < worst["right"] <= WIDTH
    assert worst["top"] < 24 < worst["bottom"] < 80


def test_it_is_explained_by_the_error_of_each_pixel_and_the_slope_in_time(scored):
    said = explain(open_root(scored), peak(scored)["event_id"])
    assert said.heat.method == "errors"
    raw = np.array(said.heat.raw)
    hot = np.argwhere(raw >= np.quantile(raw, 0.95)).mean(axis=0) / raw.shape
    assert hot[0] < 0.5 < hot[1]
    assert said.strip.method == "gradient x input"
    assert sum(said.strip.contribution) == pytest.approx(1, abs=1e-3)
    assert {moment.video for moment in said.normals} <= {f"cam/normal{n}.mp4" for n in range(3)}
    assert open_root(scored).exists(said.heat.picture)


def test_a_clip_shows_every_frame_of_the_event_with_its_score_beside_it(
    scored, tmp_path, capsys
):
    event, path = peak(scored), tmp_path / "event.mp4"
    capsys.readouterr()
    asked = ["clip", event["event_id"][:8], "--root", scored, "--out", str(path), "--json"]
    assert run([*asked, "--margin-seconds", "0.5"]) == 0
    told = json.loads(capsys.readouterr().out)
    pictures = frames_of(path)
    assert told["frames"] == len(pictures)
    assert told["boxes"] > 0
    begin, end = (
        max(0, event["start_seconds"] - 0.5),
        min(FRAMES / 10, event["stop_seconds"] + 0.5),
    )
    wanted = (end - begin) * 10
    assert abs(len(pictures) - wanted) <= 2
    assert pictures[0].shape == (HEIGHT, WIDTH + 96, 3)
    assert pictures[0][:, WIDTH + 4 :].mean() < 60


def test_a_whole_video_becomes_an_mp4_or_a_gif(scored, tmp_path):
    for name, extra in (("a.mp4", []), ("a.gif", ["--show", "regularity"])):
        path = tmp_path / name
        asked = ["animate", "cam/strange.mp4", "--root", scored, "--out", str(path)]
        assert run([*asked, *extra]) == 0
        assert len(frames_of(path)) == FRAMES


def test_what_cannot_be_shown_is_told_in_one_line(scored, tmp_path, capsys):
    for asked, told in (
        (["clip", "zz"], "expected 4 to 16 hex digits"),
        (["clip", "0000000000000000"], "0 events have an id"),
        (["animate", "cam/none.mp4"], "has no scores of a video"),
        (["animate", "cam/strange.mp4", "--out", str(tmp_path / "a.avi")], ".mp4 or .gif"),
    ):
        capsys.readouterr()
        assert run([*asked, "--root", scored]) == 2
        assert told in capsys.readouterr().err


def test_regularity_is_stretched_over_the_video_in_both_variants():
    error = np.array([2.0, 4.0, np.nan, 3.0])
    assert regularity(error).tolist()[:2] == [1.0, 0.0]
    assert regularity(error)[3] == pytest.approx(0.5)
    assert regularity(error, "max")[:2] == pytest.approx([1.0, 0.5])
    assert regularity(np.full(3, 2.0)).tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(regularity(np.full(2, np.nan))).all()


def test_the_clip_of_a_detector_of_cells_has_boxes_where_the_part_that_spoke_saw_it(
    tmp_path, capsys
):
    for seed in range(3):
        film(tmp_path / f"videos/cam/normal{seed}.mp4", seed)
    film(tmp_path / "videos/cam/strange.mp4", 9, strange=True)
    archive, root = str(tmp_path / "videos"), ["--root", str(tmp_path / "root")]
    parts = ["--backbone", "motion", "--backbone", "static", "--detector", "fused"]
    budget = ["--alarms-per-camera-day", "50000"]
    assert run(["train", archive, *root, "--videos", "cam/normal*", *parts, *budget]) == 0
    assert run(["score", archive, *root, "--videos", "cam/strange*"]) == 0
    event = peak(root[1])
    capsys.readouterr()
    path = tmp_path / "event.mp4"
    asked = ["clip", event["event_id"], *root, "--out", str(path), "--json"]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["boxes"] > 0
    assert len(event["boxes"]) > 0
