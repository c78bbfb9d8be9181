"""The flows in this process, over one root; what they leave equals what the library's verbs leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import State

from anomaly.errors import SpecError
from anomaly.spec import to_dict
from anomaly.video import ArchiveSpec
from flows.compare_checkpoints import compare_checkpoints
from flows.evaluate import NO_LABELS, evaluate
from flows.extract_features import extract_features
from flows.nightly_scan import nightly_scan
from flows.runs import WITH_FAILURES
from flows.score_archive import score_archive
from flows.sweep_detectors import sweep_detectors
from flows.train_detector import train_detector
from tests.flows.conftest import REQUEST, TRAINING

Story = dict[str, State[dict[str, Any]]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flows")


@pytest.fixture(scope="module")
def story(campus: ArchiveSpec, root: Path, prefect_server: None) -> Story:
    """The final state of each flow, run one after the other, and of a second night."""
    labels = root / "labels.csv"
    labels.write_text(
        "video,n_frames,start_frame,stop_frame,category\n"
        "gate/20260302_080000.mp4,40,10,20,test\n"
        "hall/20260302_080000.mp4,40,,,\n"
    )
    here = {"archive": campus, "root": str(root), "return_state": True}
    return {
        "extract": extract_features(**here),
        "train": train_detector(**here, request=REQUEST),
        "nightly": nightly_scan(**here),
        "again": nightly_scan(**here),
        "score": score_archive(**here),
        "evaluate": evaluate(**here, labels=str(labels)),
        "unlabelled": evaluate(**here, after_training=True),
    }


@pytest.fixture(scope="module")
def compared(
    campus: ArchiveSpec, root: Path, story: Story, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """The final states of a training of another detector, its evaluation, and a comparison."""
    copy = tmp_path_factory.mktemp("compared") / "root"
    shutil.copytree(root, copy)
    here = {"archive": campus, "root": str(copy), "return_state": True}
    labels = str(copy / "labels.csv")
    first = story["train"].result()["checkpoint"]
    request = replace(REQUEST, detector="gmm", into="gmm")
    return {
        "train": train_detector(**here, request=request),
        "evaluate": evaluate(**here, labels=labels, checkpoint="gmm"),
        "compare": compare_checkpoints(**here, checkpoints=(first, "gmm"), labels=labels),
    }


def artifacts_of(state: State[Any]) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        run_id = ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id])
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=run_id))
    return {artifact.key: artifact for artifact in found}


def test_every_flow_completes(story: Story):
    assert {name: state.type.value for name, state in story.items()} == dict.fromkeys(
        story, "COMPLETED"
    )


@pytest.mark.parametrize("folder", ["features", "checkpoints", "scores", "events"])
def test_flows_leave_what_the_librarys_verbs_leave_byte_for_byte(
    story: Story,
    root: Path,
    reference: Path,
    stored: Callable[..., dict[str, bytes]],
    folder: str,
):
    found, expected = stored(root, folder), stored(reference, folder)
    assert expected
    assert list(found) == list(expected)
    assert [key for key in found if found[key] != expected[key]] == []


def test_there_are_events_to_compare(story: Story):
    assert story["nightly"].result()["events"] > 0
    assert story["nightly"].result()["scored"] == 8


def test_a_bad_file_ends_a_run_completed_with_a_name_and_a_message(story: Story):
    assert story["extract"].name == WITH_FAILURES
    assert "gate/20260302_100000.mp4" in story["extract"].message


def test_a_bad_file_that_was_known_is_no_news_to_the_night(story: Story):
    assert story["nightly"].name == "Completed"


def test_a_second_night_has_nothing_to_do(story: Story):
    assert (story["again"].result()["new"], story["again"].result()["scored"]) == (0, 0)


def test_a_run_is_named_after_flow_archive_and_date(story: Story):
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(story["nightly"].state_details.flow_run_id)
    assert run.name.startswith("nightly-scan campus 20")


def test_a_night_leaves_summary_events_bad_files_and_progress(story: Story):
    found = artifacts_of(story["nightly"])
    assert {key: artifact.type for key, artifact in found.items()} == {
        "nightly-scan-score-progress": "progress",
        "nightly-scan-summary": "markdown",
        "nightly-scan-top-events": "table",
        "nightly-scan-bad-files": "table",
    }
    assert found["nightly-scan-score-progress"].data == 100.0
    assert "| events |" in found["nightly-scan-summary"].data


def test_extraction_leaves_a_table_of_bad_files_with_reasons(story: Story):
    table = artifacts_of(story["extract"])["extract-features-bad-files"].data
    assert "gate/20260302_100000.mp4" in table
    assert "unreadable" in table


def test_evaluation_figures_are_the_flows_result(story: Story):
    assert 0.0 <= story["evaluate"].result()["frame_auc_micro"] <= 1.0


def test_a_sweep_compares_a_grid_and_leaves_the_current_bundle(
    campus: ArchiveSpec, reference: Path, tmp_path: Path, prefect_server: None
):
    place = tmp_path / "root"
    shutil.copytree(reference, place)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "video,n_frames,start_frame,stop_frame,category\nhall/20260302_080000.mp4,40,10,20,test\n"
    )
    request = {
        "archive": to_dict(campus),
        "labels": str(labels),
        "train": TRAINING,
        "validation": ["*/20260302_080000.mp4"],
        "trials": [{"detector": "gaussian", "options": {"components": ["all", "npca"]}}],
    }
    state = sweep_detectors(request=request, root=str(place), return_state=True)
    assert state.type.value == "COMPLETED"
    assert [trial["metric"] for trial in state.result()["trials"]] == ["frame_auc_micro"] * 2
    current = Path("checkpoints/current.json")
    assert (place / current).read_bytes() == (reference / current).read_bytes()


def test_a_run_after_training_without_labels_has_nothing_to_do(story: Story):
    assert story["unlabelled"].name == NO_LABELS
    assert "ANOMALY_LABELS" in story["unlabelled"].message


def test_without_labels_a_run_that_was_asked_for_is_refused(
    prefect_server: None, campus: ArchiveSpec
):
    with pytest.raises(SpecError, match="ANOMALY_LABELS"):
        evaluate(archive=campus)


def test_evaluation_scores_what_a_new_checkpoint_has_not_scored(compared: Story):
    found = compared["evaluate"].result()
    assert (found["checkpoint"], found["videos"], found["videos_without_scores"]) == (
        "gmm",
        2,
        0,
    )


def test_checkpoints_are_compared_in_a_report(compared: Story):
    found = compared["compare"].result()
    assert list(found["checkpoints"])[1] == "gmm"
    assert found["pairs"][0]["in_words"].startswith("No decisive difference")
    assert "gmm" in Path(found["report"]).read_text()


def test_an_archive_shows_as_a_form_with_its_documented_fields():
    schema = nightly_scan.parameters.model_dump()
    form = schema["definitions"]["ArchiveSpec"]
    assert form["type"] == "object"
    assert "IANA name" in form["properties"]["time_zone"]["description"]
    assert "videos are" in schema["properties"]["archive"]["description"]


def test_a_request_from_a_form_is_plain_json(campus: ArchiveSpec):
    values = {
        "archive": {"root": "/videos", "time_zone": "Europe/Rome"},
        "request": {"detector": "knn", "videos": ["a/*"], "scores": {"smoothing_seconds": 1.0}},
    }
    checked = train_detector.validate_parameters(values)
    assert checked["archive"] == ArchiveSpec(root="/videos", time_zone="Europe/Rome")
    assert checked["request"].scores.smoothing_seconds == 1.0
    assert to_dict(checked["archive"])["time_zone"] == "Europe/Rome"


def test_without_any_archive_the_message_says_how_to_name_one(prefect_server: None):
    with pytest.raises(SpecError, match="ANOMALY_ARCHIVE__ROOT"):
        score_archive()


def test_an_archive_set_in_the_environment_is_taken_when_none_is_given(
    campus: ArchiveSpec, story: Story, root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANOMALY_ROOT", str(root))
    monkeypatch.setenv("ANOMALY_ARCHIVE__ROOT", campus.root)
    monkeypatch.setenv("ANOMALY_ARCHIVE__PATTERN", campus.pattern)
    monkeypatch.setenv("ANOMALY_ARCHIVE__TIME_ZONE", campus.time_zone)
    assert nightly_scan()["new"] == 0
