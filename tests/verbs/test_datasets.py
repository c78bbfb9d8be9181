"""`anomaly datasets`: what is known, and whether a copy is whole."""

from __future__ import annotations

import json

import pytest

from anomaly.cli import run
from anomaly.datasets.labels import read_labels
from anomaly.verbs.datasets import check


@pytest.fixture
def ped2(tmp_path):
    """Ped2 with the published numbers of clips and frames, and no pictures in it."""
    root = tmp_path / "UCSDped2"
    lengths = [180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180]
    clips = {f"Test/Test{n:03}": length for n, length in enumerate(lengths, 1)}
    clips |= {f"Train/Train{n:03}": 160 - (n > 15) * 10 for n in range(1, 17)}
    for clip, length in clips.items():
        (root / clip).mkdir(parents=True)
        for frame in range(1, length + 1):
            (root / clip / f"{frame:03}.tif").touch()
    ranges = [(1, length) for length in lengths]
    ranges[0] = (363, 363)
    code = "\n".join(f"TestVideoFile{{end+1}}.gt_frame = [{a}:{b}];" for a, b in ranges)
    (root / "Test/UCSDped2.m").write_text(code)
    return root


def test_a_copy_is_compared_with_the_published_counts_and_differences_are_named(ped2):
    summary = check("ucsd_ped2", str(ped2))
    assert summary.troubles == ("test: 1830 abnormal frames, published: 1648",)
    train, test = summary.splits
    assert (train.found.videos, train.found.frames) == (16, 2550)
    assert (test.found.videos, test.found.frames) == (12, 2010)


def test_what_is_missing_is_named_with_the_layout(ped2, capsys):
    (ped2 / "Test/UCSDped2.m").unlink()
    assert run(["datasets", "ucsd_ped2", "--check", str(ped2)]) == 3
    complaint = capsys.readouterr().err
    assert "lacks 'Test/UCSDped2.m'" in complaint
    assert "Expected layout: the folder UCSDped2" in complaint
    assert "and 2 more of the kind" in complaint


def test_labels_of_a_copy_are_written_for_evaluate(ped2, tmp_path, capsys):
    out = tmp_path / "labels.csv"
    run(["datasets", "ucsd_ped2", "--check", str(ped2), "--labels", str(out), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["labels"] == str(out)
    assert not told["whole"]
    labels = read_labels(out)
    assert len(labels.videos) == 12
    assert labels.videos["Test/Test001"].labels_T.sum() == 0
    assert labels.videos["Test/Test002"].labels_T.sum() == 180


def test_a_real_video_is_as_long_as_its_header_says(tmp_path, make_video, capsys):
    make_video(tmp_path / "a.mp4", frames=12)
    (tmp_path / "labels.csv").write_text(
        "video,n_frames,start_frame,stop_frame,category\na.mp4,13,2,5,x\n"
    )
    assert run(["datasets", "csv_folder", "--check", str(tmp_path)]) == 3
    assert "'a.mp4' has 12 frames, its labels 13" in capsys.readouterr().err


def test_a_folder_of_something_else_is_told_the_layout(tmp_path, capsys):
    assert run(["datasets", "ucsd_ped2", "--check", str(tmp_path)]) == 3
    told = capsys.readouterr().err
    assert "train: no video. Expected layout: " in told
    assert "test: unknown frames, published: 2010" in told


def test_a_lacking_folder_is_named_as_the_layout_names_it(tmp_path, capsys):
    (tmp_path / "normal").mkdir()
    assert run(["datasets", "normal_abnormal", "--check", str(tmp_path)]) == 3
    assert "lacks a folder 'abnormal'" in capsys.readouterr().err


def test_data_sets_are_listed_and_described(capsys):
    assert run(["datasets", "--json"]) == 0
    assert "avenue" in json.loads(capsys.readouterr().out)
    assert run(["datasets", "avenue", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["published"]["frames-3867 test"]["abnormal_frames"] == 3867


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["avenu"], "Did you mean 'avenue'"),
        (["avenue", "--check", "/nowhere"], "No folder '/nowhere'"),
        (["avenue", "--labels", "out.csv"], "--check PATH"),
        (["avenue", "--check", ".", "--split", "tests"], "Did you mean 'test'"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(arguments, complaint, capsys):
    assert run(["datasets", *arguments]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1
