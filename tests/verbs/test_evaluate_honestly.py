"""Nobody is judged by what it was fitted on, but for a detector that has nothing else, and that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from anomaly.cli import anomaly
from anomaly.errors import SpecError
from anomaly.fanout import one_by_one
from anomaly.report.render import render
from anomaly.storage import open_root
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.query import query
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import House

FRAMES = 24


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video) -> ArchiveSpec:
    folder = tmp_path_factory.mktemp("videos") / "site"
    for number in range(4):
        make_video(folder / f"{number}.mp4", frames=FRAMES, height=48, width=64, seed=number)
    return ArchiveSpec(root=str(folder), pattern="(?P<camera>)")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("root"))


def labels_at(path: Path, groups: str) -> str:
    rows = [f"{n}.mp4,{FRAMES},8,16,fall,{group}" for n, group in enumerate(groups)]
    path.write_text("\n".join(["video,n_frames,start_frame,stop_frame,category,group", *rows]))
    return str(path)


def test_a_detector_of_the_batch_is_judged_on_the_batch_and_marked(archive, root, tmp_path):
    labels = labels_at(tmp_path / "labels.csv", "abcd")
    train(root, archive, TrainRequest(detector="mutual", into="batch"), fan_out=one_by_one)
    score(root, archive, fan_out=one_by_one)
    found = evaluate(root, archive, labels=labels)
    assert found.evaluation.videos == 4
    assert found.to_json()["detector_peeks"] is True
    told = CliRunner().invoke(
        anomaly,
        [
            "evaluate",
            archive.root,
            "--pattern",
            archive.pattern,
            "--labels",
            labels,
            "--root",
            root,
        ],
    )
    assert "The detector peeks" in told.stdout, told.output
    page = Path(open_root(root).address(render(open_root(root), "site", "batch")))
    assert '<p class="note flattering">The detector peeks' in page.read_text()


def test_videos_of_a_group_that_was_trained_on_are_left_out_with_it(archive, root, tmp_path):
    labels = labels_at(tmp_path / "labels.csv", "aabb")
    request = TrainRequest(detector="gaussian", videos=("0.mp4",), into="one")
    train(root, archive, request, fan_out=one_by_one)
    score(root, archive, fan_out=one_by_one)
    found = evaluate(root, archive, labels=labels)
    assert found.trained_on == ("0.mp4", "1.mp4")
    assert found.evaluation.videos == 2
    assert found.to_json()["detector_peeks"] is False
    with pytest.raises(SpecError, match="2 were trained on"):
        evaluate(root, archive, labels=labels, videos=["0.mp4", "1.mp4"])


def test_labels_of_whole_videos_are_enough_for_figures_of_whole_videos(
    settled: House, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("video,category\ngate/1.mp4,fight\nhall/1.mp4,\n")
    settled.train("*/2.mp4", into="other")
    settled.score()
    found = evaluate(settled.url, settled.archive, labels=str(labels), checkpoint="other")
    figures = found.evaluation.figures
    assert figures["video_auc_max"].value in {0.0, 0.5, 1.0}
    assert figures["frame_auc_micro"].value is None
    answer = query(
        settled.root, "SELECT metric, videos FROM evaluations WHERE value IS NOT NULL"
    )
    assert answer.to_pylist() == [{"metric": "video_auc_max", "videos": 2}]
