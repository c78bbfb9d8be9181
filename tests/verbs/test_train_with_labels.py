"""Labels go from the file through `train` into detectors, and nobody learns from what it may not see."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly.detectors import detectors
from anomaly.errors import SpecError
from anomaly.fanout import one_by_one
from anomaly.scores import ScoreSpec
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, TrainSummary, train
from anomaly.video import ArchiveSpec

FRAMES = 24
QUICK = {
    "training": {"epochs": 3, "batch": 8, "optimiser": "adam", "learning_rate": 1e-3},
    "segments": 4,
    "snippet_rows": 2,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video) -> Path:
    """Eight small clips of two cameras; those of camera b are larger, and shall be the abnormal ones."""
    folder = tmp_path_factory.mktemp("archive")
    for seed in range(4):
        make_video(folder / "a" / f"{seed}.mp4", frames=FRAMES, height=48, width=64, seed=seed)
        make_video(folder / "b" / f"{seed}.mp4", frames=FRAMES, height=96, width=96, seed=seed)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("root"))


@pytest.fixture
def taught(archive: Path, root: str, tmp_path: Path):
    def taught(labels: str, detector: str = "mil_ranking", **choices) -> TrainSummary:
        path = tmp_path / "labels.csv"
        path.write_text(labels)
        request = TrainRequest(
            detector=detector,
            labels=str(path),
            scores=ScoreSpec(alarms_per_camera_day=1000.0),
            **{"detector_parameters": QUICK, **choices},
        )
        return train(root, ArchiveSpec(root=str(archive)), request, fan_out=one_by_one)

    return taught


WHOLE = "video,category\n" + "".join(
    f"a/{n}.mp4,\nb/{n}.mp4,{'fall' if n % 2 else 'fight'}\n" for n in range(4)
)
FRAME_HEADER = "video,n_frames,start_frame,stop_frame,category\n"
FRAME = FRAME_HEADER + "".join(
    f"a/{n}.mp4,{FRAMES},,,\nb/{n}.mp4,{FRAMES},12,20,fight\n" for n in range(4)
)


def test_a_weakly_supervised_detector_learns_one_model_from_all_cameras(taught, archive, root):
    summary = taught(WHOLE)
    assert list(summary.models) == ["pooled"]
    known = {v["video"]: v["label"] for v in summary.models["pooled"]["videos"]}
    assert known == {
        **{f"a/{n}.mp4": 0 for n in range(4)},
        **{f"b/{n}.mp4": 1 if n % 2 else 2 for n in range(4)},
    }
    scored = score(root, ArchiveSpec(root=str(archive)), fan_out=one_by_one)
    assert len(scored.scored) == 8


def test_videos_without_a_label_are_not_learnt_from(taught):
    summary = taught("\n".join(WHOLE.splitlines()[:7]) + "\n")
    videos = [video["video"] for video in summary.models["pooled"]["videos"]]
    assert videos == ["a/0.mp4", "a/1.mp4", "a/2.mp4", "b/0.mp4", "b/1.mp4", "b/2.mp4"]


def test_calibration_rests_on_normal_video_only(taught):
    hours = taught(WHOLE).models["pooled"]["held_out_hours"]
    assert hours == pytest.approx(FRAMES / 10 / 3600, rel=0.2)


def test_a_frame_supervised_detector_learns_from_normal_rows_of_abnormal_videos_too(taught):
    parameters = {"training": QUICK["training"], "rows": 4}
    summary = taught(FRAME, "lstm", detector_parameters=parameters)
    videos = summary.models["pooled"]["videos"]
    assert [v["ranges"] for v in videos if v["video"].startswith("a/")] == [None] * 4
    for ranges in (v["ranges"] for v in videos if v["video"].startswith("b/")):
        rows = {row for start, stop in ranges for row in range(start, stop)}
        assert rows >= {0, *range(12, 20)}
        assert not rows & {11, 20}, "rows beside the fight see some of it"


def test_cross_validation_judges_every_video_by_a_fold_that_has_not_seen_its_group(taught):
    groups = "video,category,group\n" + "".join(
        f"a/{n}.mp4,,a{n // 2}\nb/{n}.mp4,fight,b{n // 2}\n" for n in range(4)
    )
    with pytest.raises(SpecError, match="3 folds: normal videos come from 2 sources"):
        taught(groups, folds=3)
    found = taught(WHOLE, folds=2).folds
    assert found["videos"] == 8
    assert found["groups"] == 8
    assert found["abnormal_videos"] == 4
    low, high = found["video_auc_interval"]
    assert 0 <= low <= found["video_auc"] <= high <= 1
    low, high = found["video_auc_by_mean_interval"]
    assert 0 <= low <= found["video_auc_by_mean"] <= high <= 1
    assert len(found["video_auc_of_folds"]) == 2


@pytest.mark.parametrize(
    ("detector", "labels", "message"),
    [
        ("gaussian", WHOLE, r"'b/0\.mp4' is labelled abnormal as a whole.*normal frames only"),
        ("lstm", WHOLE, r"'b/0\.mp4' is labelled abnormal as a whole.*each labelled.*bn_wvad"),
        ("rtfm", "video,category\na/0.mp4,\na/1.mp4,\n", "2 normal videos, none abnormal"),
        ("rtfm", "video,category\nb/0.mp4,x\n", "no normal video or frame, 1 abnormal"),
        ("rtfm", "video,category\nc/0.mp4,x\n", r"Labels name the video 'c/0\.mp4'"),
    ],
)
def test_labels_that_do_not_suit_the_detector_are_refused_before_anything_is_done(
    taught, detector, labels, message
):
    with pytest.raises(SpecError, match=message):
        taught(labels, detector, detector_parameters={})


@pytest.mark.parametrize(
    "name", [n for n in detectors().names() if "labels" in detectors().get(n).supervision]
)
def test_a_detector_that_learns_from_labels_asks_for_them(archive, root, name):
    request = TrainRequest(detector=name)
    with pytest.raises(SpecError, match="learns from labels: name a file with --labels"):
        train(root, ArchiveSpec(root=str(archive)), request, fan_out=one_by_one)


def test_one_class_detectors_have_nothing_to_cross_validate(taught):
    with pytest.raises(SpecError, match="does not learn from labels"):
        taught(FRAME, "gaussian", detector_parameters={}, folds=2)
