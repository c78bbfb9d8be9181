"""A sweep compares by what it was told to compare by, and never by test videos unasked."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from anomaly.checkpoints import current, names
from anomaly.cli import anomaly
from anomaly.errors import SpecError
from anomaly.fanout import one_by_one
from anomaly.report.render import render
from anomaly.storage import open_root
from anomaly.verbs.sweep import SweepSpec, TrialSpec, read_sweep, sweep
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec

FRAMES = 24
WHERE = ("video", "n_frames", "start_frame", "stop_frame", "category", "group")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video) -> ArchiveSpec:
    folder = tmp_path_factory.mktemp("videos") / "site"
    for number in range(4):
        make_video(
            folder / "train" / f"{number}.mp4", frames=FRAMES, height=48, width=64, seed=number
        )
    for side in ("validation", "test"):
        for number in range(2):
            path = folder / side / f"{number}.mp4"
            make_video(path, frames=FRAMES, height=48, width=64, seed=len(side) + number)
    return ArchiveSpec(root=str(folder), pattern="(?P<camera>)")


@pytest.fixture(scope="module")
def labels(archive: ArchiveSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(f"train/{number}.mp4", FRAMES, "", "", "", f"t{number}") for number in range(4)]
    for side in ("validation", "test"):
        rows += [
            (f"{side}/{number}.mp4", FRAMES, 8, 16, "fall", f"{side}{number}")
            for number in range(2)
        ]
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in [WHERE, *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def request_(archive: ArchiveSpec, labels: Path) -> SweepSpec:
    return SweepSpec(
        archive=archive,
        labels=str(labels),
        train=("train/*",),
        validation=("validation/*",),
        test=("test/*",),
        trials=(
            TrialSpec(detector="gaussian", options={"components": ["all", "npca"]}),
            TrialSpec(detector="knn", options={"bank": [5]}),
        ),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("root"))


def test_every_combination_is_compared_on_validation_and_the_best_alone_judged_on_test(
    request_, archive, root
):
    train(root, archive, TrainRequest(detector="gaussian", into="mine"), fan_out=one_by_one)
    found = sweep(root, request_, fan_out=one_by_one)
    tried = {(trial.detector, str(trial.options)) for trial in found.trials}
    assert tried == {
        ("gaussian", "{'components': 'all'}"),
        ("gaussian", "{'components': 'npca'}"),
        ("knn", "{'bank': 5}"),
    }
    values = [trial.value for trial in found.trials]
    assert values == sorted(values, reverse=True)
    assert all(0 <= trial.low <= trial.value <= trial.high <= 1 for trial in found.trials)
    assert found.test["checkpoint"] == found.trials[0].checkpoint
    assert {row["video"] for row in found.test["per_video"]} == {"test/0.mp4", "test/1.mp4"}
    assert (found.chosen_by, found.warning) == ("validation", "")
    assert current(open_root(root)) == "mine"
    with Path(found.table).open(newline="") as file:
        assert [row["checkpoint"] for row in csv.DictReader(file)] == [
            trial.checkpoint for trial in found.trials
        ]


def test_choosing_by_the_test_videos_has_to_be_asked_for_and_shows_for_ever_after(
    request_, archive, root
):
    blind = replace(request_, validation=(), trials=request_.trials[:1])
    with pytest.raises(SpecError, match=r"neither folds nor validation.*--select-on-test"):
        sweep(root, blind, fan_out=one_by_one)
    found = sweep(root, blind, select_on_test=True, fan_out=one_by_one)
    assert found.test is None
    assert "Selected on test: this checkpoint was chosen among 2" in found.warning
    assert found.to_json()["selected_on_test"] is True
    page = Path(
        open_root(root).address(render(open_root(root), "site", found.trials[0].checkpoint))
    )
    assert '<p class="note flattering">Selected on test' in page.read_text()
    other = Path(
        open_root(root).address(render(open_root(root), "site", found.trials[1].checkpoint))
    )
    assert "flattering" not in other.read_text().split("</style>")[1]


def test_the_command_line_prints_a_choice_on_test_in_red(request_, labels, root, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        f"""
        labels = "{labels}"
        train = ["train/*"]
        test = ["test/*"]
        archive = {{ root = "{request_.archive.root}", pattern = "(?P<camera>)" }}
        [[trials]]
        detector = "gaussian"
        options = {{ components = ["all"] }}
        """
    )
    assert read_sweep(file).trials[0].options == {"components": ["all"]}
    told = CliRunner().invoke(
        anomaly,
        ["sweep", str(file), "--root", root, "--select-on-test", "--workers", "1"],
        color=True,
    )
    assert told.exit_code == 0, told.output
    assert "\x1b[31mSelected on test" in told.stderr
    assert "sweep-" in told.stdout


@pytest.mark.parametrize(
    ("change", "on_test", "message"),
    [
        ({"folds": 2}, False, "compared by one thing"),
        ({}, True, "compared by one thing"),
        ({"validation": (), "test": ()}, True, "name them as `test`"),
        ({"test": ("validation/1.mp4",)}, False, r"validation and test share 'validation1'"),
        ({"validation": ("train/0.mp4",)}, False, r"train and validation share 't0'"),
        ({"test": ("nowhere/*",)}, False, r"No video matches 'nowhere/\*'"),
    ],
)
def test_sides_that_are_not_apart_are_refused_before_anything_is_trained(
    request_, root, change, on_test, message
):
    before = names(open_root(root))
    with pytest.raises(SpecError, match=message):
        sweep(root, replace(request_, **change), select_on_test=on_test, fan_out=one_by_one)
    assert names(open_root(root)) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = ", "is no TOML"),
        ("lables = 'x'", "SweepSpec: .*Known fields: archive, labels, trials"),
        ("labels = 'x'\narchive = {root = '.'}\ntrials = []", "trials"),
        (
            "labels = 'x'\narchive = {root = '.'}\n[[trials]]\noptions = {bank = 5}",
            r"trials\.0\.options\.bank: Input should be a valid list",
        ),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_by_field(tmp_path, text, message):
    (tmp_path / "sweep.toml").write_text(text)
    with pytest.raises(SpecError, match=message):
        read_sweep(tmp_path / "sweep.toml")


def test_labelled_detectors_are_compared_by_cross_validation(request_, labels, root):
    quick = {"epochs": 2, "batch": 4}
    taught = replace(
        request_,
        train=(),
        validation=(),
        test=(),
        folds=2,
        trials=(
            TrialSpec(
                detector="mil_ranking",
                options={"training": [quick], "segments": [2, 4], "snippet_rows": [2]},
            ),
        ),
    )
    found = sweep(root, taught, fan_out=one_by_one)
    assert [trial.metric for trial in found.trials] == ["video_auc"] * 2
    assert found.chosen_by == "folds"
    page = Path(
        open_root(root).address(render(open_root(root), "site", found.trials[0].checkpoint))
    )
    assert '<polyline class="learnt" points="0.0,' in page.read_text()
