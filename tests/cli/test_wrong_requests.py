"""A wrong request gets one clear line on stderr, exit status 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.end_to_end.story import stored


def refused(cli: Cli, *arguments: object) -> str:
    """Run a command that must be refused; return the line that says why."""
    answer = cli(*arguments)
    assert (answer.status, answer.out) == (2, ""), answer
    assert answer.err.startswith("anomaly: ")
    assert answer.err.count("\n") == 1, answer.err
    return answer.err


WRONG = {
    "an unknown detector": (["train", "--detector", "knm"], "Did you mean 'knn'?"),
    "an unknown backbone": (["extract", "--backbone", "moton"], "Did you mean 'motion'?"),
    "an unknown backbone to train": (
        ["train", "--backbone", "moton"],
        "Did you mean 'motion'?",
    ),
    "an unknown decoder": (["extract", "--decoder", "pyaf"], "Did you mean 'pyav'?"),
    "an unknown parameter": (["train", "--detector-option", "neigbours=3"], "neigbours"),
    "a parameter without a value": (["train", "--detector-option", "bank"], "KEY=VALUE"),
    "a parameter of the wrong kind": (["train", "--backbone-option", "stride=often"], "stride"),
    "a glob that matches nothing": (["extract", "--videos", "east/*"], "gate/1.mp4"),
    "a glob to train on that matches nothing": (["train", "--videos", "east/*"], "gate/1.mp4"),
    "an unknown camera": (["train", "--camera", "gatte"], "Did you mean 'gate'?"),
    "no checkpoint to score with": (["score"], "anomaly train ARCHIVE"),
    "no checkpoint for the night": (["nightly"], "anomaly train ARCHIVE"),
    "no checkpoint to report": (["report"], "anomaly train ARCHIVE"),
    "an unknown checkpoint": (["score", "--checkpoint", "his"], "No checkpoint named 'his'"),
    "no labels": (["train", "--labels", "nowhere.csv"], "nowhere.csv"),
    "a pattern that is none": (["scan", "--pattern", "(?P<camera"], "regular expression"),
    "an unknown time zone": (["scan", "--time-zone", "Europe/Rom"], "'Europe/Rome'"),
    "times that cannot be read": (["scan", "--pattern", "(?P<time>[a-z]+)/"], "start time"),
    "a hidden name of a bundle": (["train", "--into", ".mine"], "'.mine'"),
    "an unknown option": (["scan", "--vidoes", "x"], "--vidoes"),
    "an option without a value": (["train", "--detector"], "--detector"),
    "too few workers": (["extract", "--workers", "-1"], "-1"),
    "no budget of false alarms": (["train", "--alarms-per-camera-day", "0"], "alarms"),
    "a smoothing before its time": (["train", "--smoothing-seconds", "-1"], "smoothing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_is_refused_before_anything_is_written(
    what: str, cli: Cli, archive: Path, tmp_path: Path
) -> None:
    (verb, *options), hint = WRONG[what]
    root = tmp_path / "root"
    assert hint in refused(cli, verb, archive, "--root", root, *options)
    assert not root.exists()


@pytest.mark.parametrize("verb", ["scan", "extract", "train"])
def test_an_archive_that_is_not_there_or_empty_is_refused(
    cli: Cli, verb: str, tmp_path: Path
) -> None:
    root, empty = tmp_path / "root", tmp_path / "empty"
    empty.mkdir()
    assert "does not exist" in refused(cli, verb, tmp_path / "nowhere", "--root", root)
    assert "No video found" in refused(cli, verb, empty, "--root", root)
    assert "No video found" in refused(cli, verb, empty / "*.mp4", "--root", root)
    assert not root.exists()


def test_one_video_is_no_archive(cli: Cli, archive: Path, tmp_path: Path) -> None:
    line = refused(cli, "scan", archive / "gate/1.mp4", "--root", tmp_path / "root")
    assert "is one file; name its folder" in line
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("verb", ["scan", "extract", "train"])
def test_a_root_that_cannot_be_written_is_refused(
    cli: Cli, verb: str, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("a file in the way")
    for root in (tmp_path / "note", tmp_path / "note" / "root", Path("/proc/nobody")):
        assert str(root) in refused(cli, verb, archive, "--root", root)
    assert (tmp_path / "note").read_text() == "a file in the way"


def test_results_do_not_go_into_the_archive_itself(cli: Cli, archive: Path) -> None:
    before = sorted(archive.rglob("*"))
    assert "name another --root" in refused(cli, "scan", archive, "--root", archive)
    assert sorted(archive.rglob("*")) == before


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_labels_of_an_unknown_video_are_refused(
    cli: Cli, verb: str, archive: Path, trained: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("video,n_frames,start_frame,stop_frame,category\ngate/3.mp4,12,,,\n")
    everything = _everything(trained)
    line = refused(cli, verb, archive, "--root", trained, "--labels", labels)
    assert "Labels name the video 'gate/3.mp4'" in line
    assert "Did you mean 'gate/" in line
    assert _everything(trained) == everything
    if verb == "train":
        refused(cli, verb, archive, "--root", tmp_path / "new", "--labels", labels)
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--detector", "gaussian", "--backbone-option", "stride=2"], "stride"),
        (["--detector", "knn"], "detector"),
        (["--detector", "gaussian", "--smoothing-seconds", "1"], "smoothing_seconds"),
    ],
)
def test_a_camera_of_another_recipe_may_not_join_a_bundle(
    cli: Cli, options: list[str], field: str, archive: Path, trained: Path
) -> None:
    everything = _everything(trained)
    hall = ["--root", trained, "--camera", "hall", "--into", "mine"]
    line = refused(cli, "train", archive, *hall, *options)
    assert field in line
    assert "found" in line
    assert "expected" in line
    assert _everything(trained) == everything


@pytest.mark.parametrize("verb", ["score", "nightly", "report"])
def test_the_nearest_checkpoint_is_suggested(
    cli: Cli, verb: str, archive: Path, trained: Path
) -> None:
    line = refused(cli, verb, archive, "--root", trained, "--checkpoint", "mime")
    assert "Did you mean 'mine'?" in line


def test_a_glob_for_the_night_that_matches_nothing_writes_nothing(
    cli: Cli, archive: Path, trained: Path
) -> None:
    everything = _everything(trained)
    for verb in ("score", "nightly"):
        refused(cli, verb, archive, "--root", trained, "--videos", "east/*")
    assert _everything(trained) == everything


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["lits"], "Did you mean 'list'?"),
        (["list", "detector"], "Did you mean 'detectors'?"),
        (["show", "detector", "knm"], "Did you mean 'knn'?"),
        (["show", "thing", "knn"], "kind of thing"),
        (["show", "video", "x.mp4"], "scan its archive first"),
        (["retry", "x.mp4"], "in quarantine"),
        (["retry", "--archive", "nowhere"], "No archive named"),
        (["query", "SELECT nothing"], "nothing"),
        (["evaluate", "--labels", "x.csv"], "Name an ARCHIVE"),
        (["evaluate"], "--labels"),
        (["scan"], "ARCHIVE"),
    ],
)
def test_other_verbs_refuse_what_they_do_not_know(
    cli: Cli, arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint in refused(cli, *arguments)
    assert list(tmp_path.iterdir()) == []


def _everything(root: Path) -> dict[str, bytes]:
    return stored(root, ".")
