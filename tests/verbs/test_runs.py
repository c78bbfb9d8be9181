"""What runs leave of themselves: one row each, whatever became of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from anomaly.errors import TransientError
from anomaly.fanout import Item, Result, process_pool
from anomaly.features import recipe
from anomaly.outcome import Outcome
from anomaly.runs import Stopwatch, commit, extraction_facts, runs_of
from anomaly.verbs.extract import extract
from anomaly.verbs.query import query
from tests.verbs.conftest import House


def test_every_run_leaves_exactly_one_row(house: House) -> None:
    extract(house.url, house.archive, [recipe("motion")], fan_out=process_pool(2))
    house.train()
    house.score()
    house.night()
    runs = runs_of(house.root, "site")
    assert [(run.verb, run.status) for run in runs] == [
        (verb, "finished") for verb in ("extract", "train", "score", "nightly")
    ]
    assert [run.checkpoint for run in runs] == ["", "mine", "mine", "mine"]
    assert len({run.run_id for run in runs}) == 4


def test_a_run_tells_what_it_went_through_and_how_long_its_stages_took(house: House) -> None:
    house.train("*/1.mp4")
    summary = house.score()
    train, score = runs_of(house.root, "site")
    assert (train.videos, train.extracted_videos) == (2, 2)
    assert (score.videos, score.extracted_videos) == (4, 2)
    assert score.frames == sum(row.n_frames for row in summary.scored) == 4 * 12
    assert score.video_seconds == pytest.approx(4 * 1.2)
    assert score.extracted_seconds == pytest.approx(2 * 1.2)
    assert score.events == sum(row.n_events for row in summary.scored)
    assert {one.video for one in score.slowest} == {"gate/2.mp4", "hall/2.mp4"}
    stages = {stage.name: stage for stage in score.stages}
    assert list(stages) == ["look", "extract", "score"]
    assert (stages["extract"].items, stages["score"].items) == (2, 4)
    assert 0 < sum(stage.wall_seconds for stage in stages.values()) <= score.wall_seconds
    assert score.speed == pytest.approx(score.video_seconds / score.wall_seconds)


def test_a_run_that_found_nothing_to_do_says_so(settled: House) -> None:
    settled.night()
    idle = runs_of(settled.root, "site")[-1]
    assert (idle.videos, idle.video_seconds, idle.speed, idle.slowest) == (0, 0.0, None, ())
    assert not {"extract", "score"} & {stage.name for stage in idle.stages}


def test_a_run_that_ends_in_an_error_stays_unfinished(house: House) -> None:
    house.train()

    def broken(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        raise TransientError(f"{label}: the world ended")
        yield

    with pytest.raises(TransientError):
        house.night(broken)
    assert [(run.verb, run.status) for run in runs_of(house.root, "site")] == [
        ("train", "finished"),
        ("nightly", "unfinished"),
    ]
    house.night()
    assert [run.status for run in runs_of(house.root, "site")][1:] == ["unfinished", "finished"]


def test_a_run_that_is_killed_leaves_at_most_a_row_marked_unfinished(house: House) -> None:
    house.train()
    night = f"""
import sys, time
from anomaly.fanout import one_by_one
from anomaly.nightly import nightly
from anomaly.video import ArchiveSpec

def stuck(function, items, *, label):
    print(label, flush=True)
    time.sleep(60)
    yield from one_by_one(function, items, label=label)

nightly({house.url!r}, ArchiveSpec(root={house.archive.root!r}), fan_out=stuck)
"""
    with subprocess.Popen([sys.executable, "-c", night], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"score"
        child.kill()
    house.night()
    runs = runs_of(house.root, "site")[1:]
    assert [run.status for run in runs] == ["unfinished", "finished"]
    assert runs[0].ended_at is None


def test_runs_can_be_asked_for(settled: House) -> None:
    found = query(
        settled.root,
        "SELECT verb, s.name AS stage, s.items AS items FROM runs, unnest(stages) AS t(s) "
        "WHERE s.name = 'score'",
    ).to_pylist()
    assert found == [{"verb": "nightly", "stage": "score", "items": 4}]


def _burn(seconds: float) -> float:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return seconds


def test_processor_time_of_workers_is_counted() -> None:
    watch = Stopwatch()
    pool = watch.timed(process_pool(2))
    assert sorted(pool(_burn, [0.4, 0.4, 0.4], label="burn")) == [0.4] * 3
    (stage,) = watch.stages
    assert (stage.name, stage.items) == ("burn", 3)
    assert 1.2 <= stage.cpu_seconds < 1.2 + 20  # workers start, too
    assert watch.cpu_seconds >= stage.cpu_seconds


def test_what_is_slow_is_slow_for_its_length() -> None:
    outcomes = [
        Outcome(uri=f"{number}.mp4", status="ok", seconds=work, duration_seconds=length)
        for number, (work, length) in enumerate(
            [(10.0, 600.0), (5.0, 10.0), (8.0, 80.0), (0.0, 60.0), (3.0, 0.0)]
        )
    ]
    facts = extraction_facts(outcomes)
    assert [one.video for one in facts["slowest"]] == ["1.mp4", "2.mp4", "0.mp4"]
    assert facts["extracted_videos"] == 3
    assert facts["work_seconds"] == 26.0


def test_the_commit_is_that_of_this_checkout() -> None:
    if not (Path(__file__).parents[2] / ".git").exists():
        pytest.skip("this checkout has no history")
    known = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "cat-file", "-t", commit()[:12]],
        capture_output=True,
        check=True,
    )
    assert known.stdout == b"commit\n"
