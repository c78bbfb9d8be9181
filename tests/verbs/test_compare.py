"""Evaluation and comparison of stored scores, over a small archive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anomaly.errors import SpecError
from anomaly.evaluation.results import RESULTS_KEY
from anomaly.fanout import one_by_one
from anomaly.scores import ScoreSpec
from anomaly.verbs.compare import compare
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.train import TrainRequest, train
from tests.verbs.conftest import House

LABELS = """video,n_frames,start_frame,stop_frame,category
gate/2.mp4,12,4,9,fall
hall/1.mp4,12,,,
hall/2.mp4,12,2,5,run
"""


@pytest.fixture
def judged(house: House, tmp_path: Path) -> tuple[House, str]:
    """A house with two checkpoints that learnt from one video, nothing scored, and labels."""
    budget = ScoreSpec(alarms_per_camera_day=50_000.0)
    for name in ("gmm", "gaussian"):
        request = TrainRequest(detector=name, videos=("gate/1.mp4",), into=name, scores=budget)
        train(house.url, house.archive, request, fan_out=one_by_one)
    (tmp_path / "labels.csv").write_text(LABELS)
    return house, str(tmp_path / "labels.csv")


def test_evaluation_scores_what_is_missing_only_when_it_may(judged: tuple[House, str]) -> None:
    house, labels = judged
    with pytest.raises(SpecError, match="3 have no scores of 'gaussian'"):
        evaluate(house.url, house.archive, labels=labels)
    found = evaluate(house.url, house.archive, labels=labels, fan_out=one_by_one).to_json()
    assert (found["videos"], found["frames"]) == (3, 36)
    assert {row["category"] for row in found["per_category"]} == {"fall", "run"}
    assert found["detection_delay_seconds"] is None or found["detection_delay_seconds"] >= 0
    assert found["accuracy_at_threshold"] is not None
    assert found["false_alarms_per_camera_hour"] is not None
    assert found["sanity"]["brightness"] is not None
    rows = {row["metric"]: row for row in found["figures"]}
    assert rows["frame_auc_per_camera"]["videos_left_out"] == 0
    assert {row["label_set"] for row in found["figures"]} == {found["label_set"]}


def test_checkpoints_are_compared_on_common_videos_and_a_page_tells_of_it(
    judged: tuple[House, str],
) -> None:
    house, labels = judged
    found = compare(
        house.url,
        house.archive,
        checkpoints=("gmm", "gaussian"),
        labels=labels,
        fan_out=one_by_one,
    )
    (pair,) = found.comparison.pairs
    assert (pair.first, pair.second) == ("gmm", "gaussian")
    assert "decisive difference" in pair.in_words or "is better than" in pair.in_words
    page = Path(found.report).read_text()
    assert pair.in_words in page.replace("&#39;", "'")
    assert page.count('class="curve series-1"') == 3  # the key and two charts
    assert len(re.findall(r"<td class=\"file\">", page)) == 3
    assert house.root.exists(RESULTS_KEY)
    again = compare(house.url, house.archive, checkpoints=("gmm", "gaussian"), labels=labels)
    assert again.to_json() == found.to_json()


def test_a_comparison_needs_two_checkpoints_and_their_scores(judged: tuple[House, str]) -> None:
    house, labels = judged
    for names, message in (
        (("gmm", "gmm"), "at least two checkpoints"),
        (("gmm", "gausian"), "Did you mean 'gaussian'"),
        (("gmm", "gaussian"), "0 have scores of 'gmm', 0 have scores of 'gaussian'"),
    ):
        with pytest.raises(SpecError, match=message):
            compare(house.url, house.archive, checkpoints=names, labels=labels)
