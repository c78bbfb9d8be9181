"""Other alarm budgets: counted as `score` would count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.catalog import Catalog
from anomaly.checkpoints import Model, load, save
from anomaly.report import whatif
from anomaly.report.whatif import counts_of_events, what_if
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import find_events
from anomaly.scores.stages import ScoreStages
from anomaly.storage import open_root

scores = hnp.arrays(
    np.float64, st.integers(0, 120), elements=st.one_of(st.floats(0, 8), st.just(np.nan))
)
steps = st.lists(st.sampled_from([0.04, 0.5, 1.9, 4.0]), min_size=120, max_size=120)
thresholds = hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(0.5, 8))


@given(scores, steps, thresholds, st.floats(0.3, 1.0))
def test_counts_are_those_of_the_events_that_scoring_would_find(
    score_T: np.ndarray, steps: list[float], thresholds_K: np.ndarray, low_ratio: float
) -> None:
    spec = ScoreSpec(low_ratio=low_ratio)
    seconds_T = np.cumsum(steps)[: len(score_T)]
    frames = FrameScores(score_T, score_T, np.ones(len(score_T), np.bool_), seconds_T)
    expected = [len(find_events(frames, float(limit), spec)) for limit in thresholds_K]
    assert counts_of_events(frames, thresholds_K, spec).tolist() == expected


def test_the_budget_of_the_night_gives_the_events_of_the_night(scanned: Any) -> None:
    scored = Catalog(scanned.root, "site & co").scored("knn-1").values()
    found = what_if(scanned.root, "site & co", "knn-1", scored)
    assert found is not None
    assert found.budgets[found.present] == 24
    assert {day.camera: day.counts[found.present] for day in found.days} == {
        "entrance": 1,
        "loading-dock": 2,
    }
    for day in found.days:
        assert list(day.counts) == sorted(day.counts, reverse=True)
        assert np.isclose(day.hours * 3600, 14 * day.counts[found.present], atol=0.2)
    for limits in found.thresholds.values():
        assert list(limits) == sorted(limits)


def test_only_the_newest_days_are_read_when_there_are_too_many_scores(
    scanned: Any, monkeypatch: Any
) -> None:
    scored = Catalog(scanned.root, "site & co").scored("knn-1").values()
    monkeypatch.setattr(whatif, "MOST_ROWS", 400)
    found = what_if(scanned.root, "site & co", "knn-1", scored)
    assert found is not None
    assert [day.camera for day in found.days] == ["loading-dock"]


def test_a_camera_whose_model_is_no_more_is_left_out(
    scanned: Any, stages: ScoreStages, tmp_path: Path
) -> None:
    root = open_root(str(tmp_path))
    bundle = replace(load(scanned.root, "knn-1"), name="one-camera", models={})
    save(root, bundle, {"entrance": Model({}, stages.state(), {})})
    scored = Catalog(scanned.root, "site & co").scored("knn-1").values()
    found = what_if(root, "site & co", "one-camera", scored)
    assert found is not None
    assert list(found.thresholds) == [day.camera for day in found.days] == ["entrance"]


def test_nothing_is_counted_where_the_checkpoint_is_no_more(scanned: Any) -> None:
    scored = Catalog(scanned.root, "site & co").scored("knn-1").values()
    assert what_if(scanned.root, "site & co", "another", scored) is None
    assert what_if(scanned.root, "site & co", "knn-1", []) is None
