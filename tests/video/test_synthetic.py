"""The synthetic archive: what is planted is there, the rest is normal, and the seed decides all."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from anomaly.video.synthetic import (
    ENTRANCE,
    LOADING_DOCK,
    PATTERN,
    VIEWS,
    Clip,
    View,
    film,
    make_archive,
    paint,
)
from anomaly.video.synthetic.actors import in_picture, walkers
from anomaly.video.synthetic.camera import SUPERSAMPLING
from anomaly.video.synthetic.plots import EVENT_KINDS

SECONDS = 20.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    make_archive(folder, seed=1, train_clips=1, clip_seconds=6.0)
    return folder


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack(
            [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        )


def test_every_clip_is_labelled_and_every_label_names_a_clip(archive: Path) -> None:
    with (archive / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted(path.relative_to(archive).as_posix() for path in archive.rglob("*.mp4"))
    assert [row["video"] for row in rows] == names
    for row in rows:
        assert re.search(PATTERN, row["video"])
        assert len(pictures(archive / row["video"])) == int(row["n_frames"])
        if row["category"]:
            assert 0 <= int(row["start_frame"]) < int(row["stop_frame"]) <= int(row["n_frames"])
            assert "/20260302_" in row["video"]
    planted = {"fast_mover", "wrong_way", "loiterer", "left_object"}
    assert {row["category"] for row in rows} == {"", *planted}
    assert planted <= set(EVENT_KINDS)


def test_the_first_day_is_normal(archive: Path) -> None:
    with (archive / "labels.csv").open(newline="") as file:
        first_day = [row for row in csv.DictReader(file) if "/20260301_" in row["video"]]
    assert len(first_day) == len(VIEWS)
    assert not any(row["category"] for row in first_day)


def test_equal_seeds_give_equal_files_and_others_other_pictures(tmp_path: Path) -> None:
    def made(name: str, seed: int) -> bytes:
        clip = Clip(
            view=ENTRANCE, path=tmp_path / name, kind="loiterer", seconds=2.0, seed=(seed, 0)
        )
        film(clip)
        return clip.path.read_bytes()

    assert made("a.mp4", 1) == made("b.mp4", 1)
    assert made("a.mp4", 1) != made("c.mp4", 2)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("kind", list(EVENT_KINDS))
def test_an_event_is_in_the_picture_while_its_label_says_so(view: View, kind: str) -> None:
    for seed in range(10):
        plot = EVENT_KINDS[kind](view, SECONDS, np.random.default_rng(seed))
        assert 0 <= plot.start_seconds < plot.stop_seconds <= SECONDS
        assert plot.stop_seconds - plot.start_seconds >= 1.0
        inside_T = np.any([in_picture(view, figure) for figure in plot.figures], axis=0)
        seconds_T = np.arange(len(inside_T)) / view.frames_per_second
        labelled_T = (seconds_T >= plot.start_seconds) & (seconds_T < plot.stop_seconds)
        if kind == "removed_object":  # what was taken away is not in the picture
            assert inside_T[~labelled_T & (seconds_T < plot.start_seconds)].all()
        else:
            assert inside_T[labelled_T].mean() > 0.97
        for figure in plot.figures:
            height_T = figure.box_T4[:, 3] - figure.box_T4[:, 1]
            seen = height_T[in_picture(view, figure)]
            assert seen.min() > 8 * SUPERSAMPLING
            assert figure.box_T4[:, 3].max() < view.camera.height * SUPERSAMPLING


def test_kinds_differ_from_normal_in_the_way_they_are_named_for() -> None:
    def speeds(figure_boxes: np.ndarray) -> float:
        middle = figure_boxes[:, [0, 2]].mean(axis=1)
        return float(np.median(np.diff(middle)))

    view, generator = LOADING_DOCK, np.random.default_rng(0)
    normal = [
        speeds(f.box_T4[in_picture(view, f)])
        for f in walkers(view, 60.0, generator)
        if in_picture(view, f).sum() > 20
    ]
    assert min(normal) > 0, "everybody walks to the right"
    fast = EVENT_KINDS["fast_mover"](view, SECONDS, generator).figures[0]
    assert speeds(fast.box_T4[in_picture(view, fast)]) > 2 * np.median(normal)
    wrong = EVENT_KINDS["wrong_way"](view, SECONDS, generator).figures[0]
    assert speeds(wrong.box_T4[in_picture(view, wrong)]) < 0
    loiterer = EVENT_KINDS["loiterer"](view, SECONDS, generator).figures[0]
    assert in_picture(view, loiterer).sum() > 10 * view.frames_per_second
    bag = EVENT_KINDS["left_object"](view, SECONDS, generator).figures[1]
    assert bag.shown_T[-1]
    assert not bag.shown_T[0]
    assert len(np.unique(bag.box_T4, axis=0)) == 1
    taken = EVENT_KINDS["removed_object"](view, SECONDS, generator).figures[1]
    assert taken.shown_T[0]
    assert not taken.shown_T[-1]
    odd = EVENT_KINDS["odd_object"](view, SECONDS, generator).figures[0]
    assert speeds(odd.box_T4[in_picture(view, odd)]) < 1.3 * np.median(normal)
    fallen = EVENT_KINDS["person_falling"](view, SECONDS, generator).figures[0]
    height_T, width_T = (fallen.box_T4[:, k + 2] - fallen.box_T4[:, k] for k in (1, 0))
    assert height_T[-1] < 0.5 * height_T.max()
    assert width_T[-1] > height_T[-1]


def test_some_people_stop_on_their_way_where_the_view_says_so() -> None:
    def stand_seconds(view: View) -> float:
        figures = walkers(view, 60.0, np.random.default_rng(2))
        still = [
            (np.diff(f.box_T4[:, [0, 2]], axis=0) == 0).all(axis=1) & in_picture(view, f)[1:]
            for f in figures
        ]
        return max(float(s.sum()) for s in still) / view.frames_per_second

    assert stand_seconds(ENTRANCE) < 1
    assert 2 < stand_seconds(replace(ENTRANCE, pauses=0.5)) < 7


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_nothing_but_people_moves_in_a_normal_clip(view: View) -> None:
    generator = np.random.default_rng(4)
    still = np.stack(list(paint(replace(view, light_drift=0.0), [], 12, generator))).astype(
        float
    )
    assert still.shape[1:] == (view.camera.height, view.camera.width, 3)
    assert still.std(axis=0).mean() < 2 * view.noise_levels
    figures = walkers(view, 10.0, np.random.default_rng(4))
    moving = np.stack(list(paint(view, figures, 12, generator))).astype(float)
    changed = np.abs(moving[-1] - moving[0]).max(axis=2) > 40
    assert 0.002 < changed.mean() < 0.2


def test_the_two_cameras_do_not_look_alike() -> None:
    sizes = {(view.camera.height, view.camera.width) for view in VIEWS}
    assert len(sizes) == 2
    shades = [
        next(paint(view, [], 1, np.random.default_rng(0))).reshape(-1, 3).mean(axis=0)
        for view in VIEWS
    ]
    assert np.abs(shades[0] - shades[1]).max() > 15
