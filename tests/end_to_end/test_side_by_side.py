"""Two runs at once: nothing is lost, nothing is there twice; and no process outlives its run."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.kills import Reader
from tests.end_to_end.roots import FRAMES
from tests.end_to_end.story import NAMES, Command, copy_of, differences, done, stored

pytestmark = pytest.mark.slow


def test_two_nights_at_once_leave_what_one_leaves(
    campus: Path, bare: Path, scored: Path, tmp_path: Path
) -> None:
    root = copy_of(bare, tmp_path)
    night = ("nightly", str(campus), "--root", str(root), *NAMES, "--json")
    with Reader(root, FRAMES["campus"]) as reader:
        answers = [command.answer() for command in (Command(night), Command(night))]
    assert [(answer.status, answer.err) for answer in answers] == [(0, ""), (0, "")]
    assert differences(stored(root), stored(scored)) == []
    assert reader.complaints == []
    assert done(*night[:-1])["scored"] == 0


def test_two_scorings_of_the_same_camera_days_lose_no_row(
    campus: Path, trained: Path, scored: Path, tmp_path: Path
) -> None:
    root = copy_of(trained, tmp_path)

    def score(*globs: str) -> Command:
        videos = [part for glob in globs for part in ("--videos", glob)]
        return Command(("score", str(campus), "--root", str(root), *NAMES, *videos, "--json"))

    with Reader(root, FRAMES["campus"]) as reader:
        commands = score("*_080000*", "*_110000*"), score("*_090000*", "*_100000*")
        answers = [command.answer() for command in commands]
    assert [answer.json["scored"] for answer in answers] == [8, 8]
    assert differences(stored(root), stored(scored)) == []
    assert reader.complaints == []
    assert done(*("score", campus, "--root", root, *NAMES))["scored"] == 0


def test_an_interrupted_run_says_so_in_one_line_and_goes_on_from_there(
    campus: Path, extracted: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    extract = ("extract", str(campus), "--root", str(root), *NAMES, "--backbone", "motion")
    command = Command(extract, {"ANOMALY_WORKERS": "2"})
    while len(list(root.glob("features/*/*/zarr.json"))) < 3:
        time.sleep(0.005)
    command.process.send_signal(signal.SIGINT)
    answer = command.answer()
    assert (answer.status, answer.out) == (130, "")
    says = "anomaly: interrupted; run the same command again to go on from here"
    assert answer.err.strip() == says
    again = done(*extract)
    assert again["skipped"] > 0
    assert again["skipped"] + again["ok"] == 16
    assert differences(stored(root), stored(extracted)) == []


def test_workers_that_are_just_starting_end_with_a_run_that_is_killed(
    campus: Path, tmp_path: Path
) -> None:
    extract = ("extract", str(campus), "--root", str(tmp_path / "root"), *NAMES)
    command = Command(extract, {"ANOMALY_WORKERS": "2"})
    main = psutil.Process(command.process.pid)
    while not any(map(_is_importing, main.children())):
        time.sleep(0.001)
    main.kill()
    command.process.wait()
    deadline = time.monotonic() + 30
    while (orphans := command.family()) and time.monotonic() < deadline:
        time.sleep(0.1)
    command.close()
    assert orphans == []


def _is_importing(process: psutil.Process) -> bool:
    """Say whether a worker has begun to load our code, after which nothing but itself can stop it."""
    try:
        is_worker = "spawn_main" in " ".join(process.cmdline())
        return is_worker and process.memory_info().rss > 25 * 2**20
    except psutil.Error:  # it has just ended
        return False
