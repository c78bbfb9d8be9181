"""What becomes of verdicts: stored, matched after new scores, a threshold, labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anomaly import checkpoints
from anomaly.cli import run
from anomaly.datasets.labels import read_labels
from anomaly.errors import SpecError
from anomaly.evaluation.table import to_text
from anomaly.scores import ScoreSpec
from anomaly.scores.tables import (
    read_scores,
)
from anomaly.scores.verdicts import Verdict, add_verdicts, read_verdicts, verdicts_for
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.train import TrainRequest, train
from anomaly.verbs.verdicts import (
    export_verdicts,
    give_verdict,
    import_verdicts,
    list_verdicts,
    threshold,
    write_verdict_labels,
)
from tests.verbs.conftest import House, one_by_one
from tests.verbs.given import events, with_events


def about(row: dict[str, Any], said: str, minute: int = 0, **more: Any) -> Verdict:
    return Verdict(
        event_id=row["event_id"],
        archive="site",
        camera="gate",
        video=row["video"],
        start_seconds=round(row["start_seconds"], 3),  # as the page does
        stop_seconds=round(row["stop_seconds"], 3),
        verdict=said,  # type: ignore[arg-type]
        decided_at=datetime(2026, 3, 2, 8, minute, tzinfo=UTC),
        **more,
    )


def test_a_page_s_file_is_taken_in_once_and_comes_out_as_it_went_in(
    copied: House, tmp_path: Path
) -> None:
    row = with_events(copied, [1.0])[0]
    file = tmp_path / "verdicts.json"
    record = about(row, "real", note="a fox").to_json()
    file.write_text(json.dumps({"archive": "site", "checkpoint": "mine", "verdicts": [record]}))
    first = import_verdicts(copied.root, file)
    again = import_verdicts(copied.root, file)
    assert (first.verdicts, first.new, again.new) == (1, 1, 0)
    assert first.archives == ("site",)
    assert export_verdicts(copied.root) == json.loads(file.read_text())
    assert [one.note for one in list_verdicts(copied.root, "site")] == ["a fox"]


def test_verdicts_about_another_root_s_archive_are_refused(
    copied: House, tmp_path: Path
) -> None:
    file = tmp_path / "verdicts.json"
    record = {**about(with_events(copied, [1.0])[0], "real").to_json(), "archive": "sight"}
    file.write_text(json.dumps({"archive": "sight", "verdicts": [record]}))
    with pytest.raises(SpecError, match="Did you mean 'site'"):
        import_verdicts(copied.root, file)
    with pytest.raises(SpecError, match=r"Cannot read verdicts .*nowhere.json"):
        import_verdicts(copied.root, tmp_path / "nowhere.json")


def test_a_verdict_is_given_by_the_beginning_of_an_event_s_id(copied: House) -> None:
    row = with_events(copied, [1.0])[0]
    given = give_verdict(copied.root, row["event_id"][:8], "false", "the wind")
    assert (given.video, given.archive) == (row["video"], "site")
    assert read_verdicts(copied.root, "site") == {row["event_id"]: given}
    with pytest.raises(SpecError, match=r"note: .*2000"):
        give_verdict(copied.root, row["event_id"], "false", "x" * 2001)


def test_verdicts_persist_when_another_checkpoint_finds_the_event_at_other_frames(
    copied: House,
) -> None:
    rows = with_events(copied, [1.0], stop_frame=12, stop_seconds=1.2)
    add_verdicts(copied.root, [about(row, "false") for row in rows])
    many = ScoreSpec(alarms_per_camera_day=400_000.0, smoothing_seconds=0.05)
    request = TrainRequest(detector="knn", into="other", scores=many)
    train(copied.url, copied.archive, request, fan_out=one_by_one)
    copied.score()
    found = events(copied, "other")
    said = verdicts_for(copied.root, "site", found)
    assert found
    assert [said[row["event_id"]].verdict for row in found] == ["false"] * len(found)
    assert not {row["event_id"] for row in found} & {row["event_id"] for row in rows}


FALSE_DAYS = [n * 1e-4 for n in range(1, 7)]


def judge(house: House) -> House:
    """24 false events of 6 rarities, and 8 real ones, all judged; 4.8 s of video."""
    rows = with_events(house, [*FALSE_DAYS, 1.0, 2.0])
    add_verdicts(
        house.root,
        [about(row, "real" if row["one_in_days"] >= 1 else "false") for row in rows],
    )
    return house


@pytest.fixture
def judged(copied: House) -> House:
    return judge(copied)


def test_a_threshold_is_proposed_with_what_it_rests_on_and_nothing_changes(
    judged: House,
) -> None:
    found = threshold(judged.root)
    proposal = found.proposal
    allowed = 50_000 * proposal.camera_days  # 2.8 false alarms: four come at once
    assert proposal.camera_days == pytest.approx(4 * 1.2 / 86_400)
    assert 2 < allowed < 4
    assert FALSE_DAYS[-1] < proposal.one_in_days < 1
    assert (proposal.real, proposal.false, proposal.real_kept) == (8, 24, 8)
    assert proposal.false_alarms_per_camera_day == 0
    for now, then in found.thresholds.values():
        assert then > now
    assert found.to_json()["peeks"] is True
    assert "32 verdicts (8 real, 24 false" in found.in_words
    assert "figures peek" in found.in_words
    assert checkpoints.names(judged.root) == ["mine"]


def test_the_proposed_threshold_is_set_in_a_new_checkpoint_that_scores_alike(
    settled: House, clips: Sequence[Path], tmp_path: Path
) -> None:
    judged = judge(settled)
    found = threshold(judged.root, into="quiet")
    assert checkpoints.current(judged.root) == "quiet"
    facts = checkpoints.load(judged.root, "quiet").describe(judged.root)["models"]
    for name, (_, then) in found.thresholds.items():
        assert facts[name]["threshold"] == then
        assert facts[name]["verdicts"] == {
            "archive": "site",
            "checkpoint": "mine",
            "real": 8,
            "false": 24,
            "peeks": True,
        }
        assert facts[name]["achieved_alarms_per_camera_day"] is None
    judged.score()
    assert {row["threshold"] for row in events(judged, "quiet")} <= {
        then for _, then in found.thresholds.values()
    }
    before, after = (read_scores(judged.root, "site", name) for name in ("mine", "quiet"))
    assert after.equals(before)
    labels = tmp_path / "labels.csv"
    labels.write_text("video,category\ngate/3.mp4,x\n")
    shutil.copy(clips[4], judged.folder / "gate/3.mp4")
    judged.score()
    told = evaluate(judged.url, judged.archive, labels=str(labels)).to_json()
    assert told["threshold_verdicts"] == 32
    assert "figures of alarms and events peek" in to_text(told)
    with pytest.raises(SpecError, match="'quiet' exists"):
        threshold(judged.root, checkpoint="mine", into="quiet")


def test_a_threshold_is_refused_with_too_few_verdicts_or_where_there_is_nothing_to_set(
    judged: House,
) -> None:
    with pytest.raises(SpecError, match="nothing to set"):
        threshold(judged.root, budget=1e6, into="quiet")
    judged.root.delete("verdicts")
    rows = with_events(judged, FALSE_DAYS)
    add_verdicts(judged.root, [about(row, "false") for row in rows[:7]])
    with pytest.raises(SpecError, match="7 events have a verdict of real or false"):
        threshold(judged.root)
    with pytest.raises(SpecError, match="scored no video of 'site' since vv"):
        threshold(judged.root, since="vv")


def test_labels_call_real_abnormal_false_normal_and_ignore_what_is_unsure_or_not_judged(
    copied: House, tmp_path: Path
) -> None:
    rows = with_events(copied, [1.0] * 8)
    first = [row for row in rows if row["video"] == "gate/1.mp4"]
    said = {0: "real", 2: "false", 4: "unsure"}  # 6 and 7 are not judged, nor 1, 3, 5
    add_verdicts(copied.root, [about(first[n], what) for n, what in said.items()])
    out = tmp_path / "labels.csv"
    summary = write_verdict_labels(copied.root, out)
    truth = read_labels(out).videos
    assert list(truth) == ["gate/1.mp4"]
    assert truth["gate/1.mp4"].labels_T.tolist() == [1, -1, 0, -1, -1, -1, -1, -1, 0, 0, 0, 0]
    assert summary.stretches == {"real": 1, "false": 1, "unsure": 1, "none": 5}
    write_verdict_labels(copied.root, out, judged_only=True)
    only = read_labels(out).videos["gate/1.mp4"].labels_T.tolist()
    assert only == [1, -1, 0, *[-1] * 9]


def test_labels_follow_the_latest_word_on_a_stretch_whichever_checkpoint_found_it(
    copied: House, tmp_path: Path
) -> None:
    rows = with_events(copied, [1.0])
    row = rows[0]
    earlier = {**row, "event_id": "f" * 16, "start_seconds": 0.0, "stop_seconds": 0.3}
    add_verdicts(copied.root, [about(earlier, "false"), about(row, "real", minute=1)])
    out = tmp_path / "labels.csv"
    write_verdict_labels(copied.root, out)
    labels_T = read_labels(out).videos[row["video"]].labels_T.tolist()
    assert labels_T == [1, 1, 1, *[0] * 9]  # what is real makes all of the stretch real


def test_labels_made_of_verdicts_can_be_trained_and_evaluated_on(
    copied: House, tmp_path: Path
) -> None:
    rows = with_events(copied, [1.0] * 2)
    add_verdicts(
        copied.root,
        [about(row, "real" if row["start_frame"] else "false") for row in rows],
    )
    out = tmp_path / "labels.csv"
    write_verdict_labels(copied.root, out)
    request = TrainRequest(
        detector="gaussian", labels=str(out), videos=("gate/*",), into="taught"
    )
    train(copied.url, copied.archive, request, fan_out=one_by_one)
    copied.score()
    found = evaluate(copied.url, copied.archive, labels=str(out), checkpoint="taught")
    assert found.evaluation.frames == 24


def test_videos_with_verdicts_that_nobody_has_scored_are_named(
    copied: House, tmp_path: Path
) -> None:
    row = with_events(copied, [1.0])[0]
    gone = {**row, "event_id": "e" * 16, "video": "gate/gone.mp4"}
    add_verdicts(copied.root, [about(gone, "real")])
    with pytest.raises(SpecError, match="has scores of none of them"):
        write_verdict_labels(copied.root, tmp_path / "labels.csv")
    add_verdicts(copied.root, [about(row, "real")])
    summary = write_verdict_labels(copied.root, tmp_path / "labels.csv")
    assert summary.left_out == ("gate/gone.mp4",)


def test_without_verdicts_every_use_of_them_says_so(copied: House, tmp_path: Path) -> None:
    for use in (
        lambda: threshold(copied.root),
        lambda: write_verdict_labels(copied.root, tmp_path / "labels.csv"),
        lambda: export_verdicts(copied.root),
    ):
        with pytest.raises(SpecError, match="Found none yet"):
            use()
    with pytest.raises(SpecError, match="Did you mean 'site'"):
        export_verdicts(copied.root, "sit")


def test_the_command_line_gives_lists_and_exports_verdicts(
    copied: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def said(*words: str) -> str:
        capsys.readouterr()
        assert run(["verdicts", *words, "--root", copied.url]) == 0
        return capsys.readouterr().out

    event = with_events(copied, [1.0])[0]["event_id"]
    assert "verdict: false" in said("give", event, "false", "--note", "the wind")
    assert "the wind" in said("list")
    file = tmp_path / "mine.json"
    file.write_text(said("export"))
    copied.root.delete("verdicts")
    assert json.loads(said("import", str(file), "--json"))["new"] == 1
    assert json.loads(said("list", "--json"))["verdicts"][0]["event_id"] == event
    assert "real" not in said("labels", "--out", str(tmp_path / "labels.csv"))
    assert run(["verdicts", "threshold", "--root", copied.url]) == 2
    assert "expected 20 at least" in capsys.readouterr().err
