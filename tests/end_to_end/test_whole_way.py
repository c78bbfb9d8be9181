"""From a folder of videos to ranked events with the commands of the manual, each its own process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.story import MANY_EVENTS, anomaly, done

LABELS = """\
video,n_frames,start_frame,stop_frame,category
test/1.mp4,40,10,20,fast
test/2.mp4,40,,,
test/3.mp4,40,30,40,ignore
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Videos to learn from, videos to judge, and one that is none."""
    folder = tmp_path_factory.mktemp("videos") / "yard"
    for seed in range(6):
        place = "train" if seed < 3 else "test"
        make_video(folder / place / f"{seed % 3 + 1}.mp4", frames=40, seed=seed)
    (folder / "test" / "4.mp4").write_bytes(b"no video " * 100)
    return folder


@pytest.fixture(scope="module")
def way(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each command of the way printed, in order."""
    root = ("--root", str(tmp_path_factory.mktemp("way") / "root"))
    labels = archive.parent / "labels.csv"
    labels.write_text(LABELS)
    train = ("--videos", "train/*", "--backbone", "motion", "--detector", "knn", *MANY_EVENTS)
    top = "SELECT video, max(score) FROM scores GROUP BY 1 ORDER BY 2 DESC LIMIT 5"
    way: dict[str, Any] = {"root": Path(root[1])}
    way["empty query"] = done("query", *root, top)
    way["scan"] = done("scan", archive, *root)
    way["extract"] = done(
        "extract", archive, *root, "--backbone", "motion", "--videos", "train/*"
    )
    way["train"] = done("train", archive, *root, *train)
    checkpoint = ("--checkpoint", way["train"]["checkpoint"])
    way["score"] = done("score", archive, *root, "--videos", "test/[123].mp4", *checkpoint)
    way["evaluate"] = done("evaluate", archive, *root, *checkpoint, "--labels", labels)
    night = anomaly("nightly", archive, *root, *checkpoint, "--json")
    way["nightly"], way["nightly status"], way["nightly err"] = (
        night.json,
        night.status,
        night.err,
    )
    way["second nightly"] = done("nightly", archive, *root)
    way["report"] = done("report", archive, *root)
    way["query"] = done("query", *root, top)
    way["list"] = done("list", *root)
    way["show detector"] = done("show", *root, "detector", "knn")
    way["show backbone"] = done("show", *root, "backbone", "motion")
    way["show checkpoint"] = done("show", *root, "checkpoint", checkpoint[1])
    way["show video"] = done("show", *root, "video", "test/1.mp4")
    way["show bad video"] = done("show", *root, "video", "test/4.mp4")
    way["retry"] = done("retry", *root)
    way["doctor"] = done("doctor", *root)
    return way


def test_an_empty_root_answers_a_query_and_stays_empty(way: dict[str, Any]) -> None:
    assert way["empty query"] == []


def test_scan_counts_what_there_is(way: dict[str, Any]) -> None:
    assert {key: way["scan"][key] for key in ("videos", "new", "quarantined")} == {
        "videos": 7, "new": 7, "quarantined": 0,
    }  # fmt: skip
    assert way["scan"]["cameras"] == {"test": 4, "train": 3}


def test_extract_counts_videos_and_frames(way: dict[str, Any]) -> None:
    assert (way["extract"]["ok"], way["extract"]["frames"]) == (3, 120)
    assert way["extract"]["bytes_written"] > 0


def test_train_names_its_checkpoint_and_what_it_learnt_from(way: dict[str, Any]) -> None:
    name = way["train"]["checkpoint"]
    assert name.startswith("knn-motion-")
    assert way["train"]["extraction"]["skipped"] == 3
    videos = [video["video"] for video in way["train"]["models"]["train"]["videos"]]
    assert videos == ["train/1.mp4", "train/2.mp4", "train/3.mp4"]
    assert way["show checkpoint"]["models"]["train"]["videos"][0]["video"] == "train/1.mp4"


def test_score_counts_videos_and_frames(way: dict[str, Any]) -> None:
    score = way["score"]
    assert (score["videos"], score["frames"], score["scored"]) == (3, 120, 3)
    assert score["models"] == {"pooled": 3}


def test_evaluate_gives_figures_with_intervals(way: dict[str, Any]) -> None:
    found = way["evaluate"]
    low, high = found["frame_auc_micro_interval"]
    assert 0 <= low <= found["frame_auc_micro"] <= high <= 1
    assert found["videos_without_scores"] == 0


def test_a_night_scores_the_rest_and_names_the_bad_file(way: dict[str, Any]) -> None:
    night = way["nightly"]
    assert {key: night[key] for key in ("new", "scored", "quarantined")} == {
        "new": 1, "scored": 3, "quarantined": 1,
    }  # fmt: skip
    assert night["events"] >= 0
    assert Path(night["report"]).read_text().lstrip().lower().startswith("<!doctype html")
    assert way["nightly status"] == 3
    lines = way["nightly err"].splitlines()
    assert [line for line in lines if line.startswith("quarantined: test/4.mp4 (unreadable)")]
    assert "Traceback" not in way["nightly err"]


def test_the_next_night_is_a_quiet_one(way: dict[str, Any]) -> None:
    night = way["second nightly"]
    figures = (night["new"], night["scored"], night["quarantined"], night["troubled"])
    assert figures == (0, 0, 0, [])


def test_the_report_is_where_the_night_put_it(way: dict[str, Any]) -> None:
    assert way["report"]["report"] == way["nightly"]["report"]


def test_a_query_ranks_videos(way: dict[str, Any]) -> None:
    scores = [row["max(score)"] for row in way["query"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


def test_list_shows_names_and_stored_things(way: dict[str, Any]) -> None:
    found = way["list"]
    assert {"motion", "timm_frames"} <= set(found["backbones"])
    assert {"gaussian", "knn", "predictor"} <= set(found["detectors"])
    assert {"images", "pyav"} <= set(found["decoders"])
    assert found["checkpoints"]["current"] == way["train"]["checkpoint"]
    assert [bad["video"] for bad in found["quarantine"]] == ["test/4.mp4"]


def test_show_tells_of_names_and_videos(way: dict[str, Any]) -> None:
    assert "options" in way["show detector"]
    assert "options" in way["show backbone"]
    video = way["show video"]
    assert (video["status"], video["n_frames"]) == ("ok", 40)
    assert video["scored"][way["train"]["checkpoint"]]["frames"] == 40
    assert (way["show bad video"]["status"], way["show bad video"]["code"]) == (
        "quarantined",
        "unreadable",
    )


def test_retry_frees_the_bad_file(way: dict[str, Any]) -> None:
    assert way["retry"] == {"freed": ["test/4.mp4"]}


def test_doctor_finds_a_root_that_can_be_written(way: dict[str, Any]) -> None:
    assert way["doctor"]["root_writable"] is True
    assert way["doctor"]["packages"]["pyarrow"]


def test_help_is_quick_and_a_mistake_is_one_line(tmp_path: Path) -> None:
    assert anomaly("--help").status == 0
    wrong = anomaly("nightly", tmp_path / "nowhere", "--root", tmp_path / "root", "--json")
    assert (wrong.status, wrong.out, wrong.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "root").exists()
