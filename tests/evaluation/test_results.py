from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from anomaly.datasets.labels import Interval, LabelSet, Truth
from anomaly.evaluation.compare import curves_of
from anomaly.evaluation.evaluate import Evaluation, VideoScores, evaluate_scores
from anomaly.evaluation.metrics import metrics
from anomaly.evaluation.results import (
    RESULTS_KEY,
    RESULTS_SCHEMA,
    init_results,
    read_curves,
    record,
    record_curves,
)
from anomaly.storage import open_root


def evaluation(label_set: str = "cafe", shift: float = 0.0) -> Evaluation:
    scores = {
        name: VideoScores(np.arange(9), np.arange(9.0) + shift * (name == "a"))
        for name in "abc"
    }
    truth = {name: Truth(9, (Interval(2, 5, "x"),)) for name in "ab"} | {"c": Truth(9)}
    return evaluate_scores(scores, LabelSet(label_set, truth))


def rows(folder: Path) -> list[dict]:
    return pq.read_table(folder / RESULTS_KEY).to_pylist()


def test_an_empty_root_has_a_table_with_all_columns(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    init_results(root)
    init_results(root)
    table = pq.read_table(tmp_path / RESULTS_KEY)
    assert table.schema.equals(RESULTS_SCHEMA)
    assert table.num_rows == 0


def test_every_figure_becomes_a_row(tmp_path: Path) -> None:
    record(open_root(str(tmp_path)), "archive", "knn", evaluation())
    found = {row["metric"]: row for row in rows(tmp_path)}
    assert set(found) == set(metrics().names())
    macro = found["frame_auc_macro"]
    assert macro["value"] == evaluation().figures["frame_auc_macro"].value
    assert (macro["frames"], macro["videos"], macro["videos_left_out"]) == (27, 3, 1)
    assert found["frame_auc_micro"]["videos_left_out"] == 0
    assert found["frame_auc_micro"]["low"] <= found["frame_auc_micro"]["high"]


def test_evaluating_again_changes_nothing_and_new_figures_replace_old(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    record(root, "archive", "knn", evaluation())
    before = (tmp_path / RESULTS_KEY).read_bytes()
    record(root, "archive", "knn", evaluation())
    assert (tmp_path / RESULTS_KEY).read_bytes() == before
    record(root, "archive", "knn", evaluation(shift=3.0))
    assert len(rows(tmp_path)) == len(metrics().names())
    assert (tmp_path / RESULTS_KEY).read_bytes() != before


def test_other_archives_checkpoints_and_labels_are_kept(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    for archive, checkpoint, labels in [("a", "x", "1"), ("b", "x", "1"), ("a", "y", "1")]:
        record(root, archive, checkpoint, evaluation(labels))
    record(root, "a", "x", evaluation("2"))
    assert len(rows(tmp_path)) == 4 * len(metrics().names())


def test_curves_of_labels_come_back_as_they_were(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    scores = {name: VideoScores(np.arange(9), np.arange(9.0)) for name in "ab"}
    truth = LabelSet("ca/fe", {name: Truth(9, (Interval(2, 5, "x"),)) for name in "ab"})
    curves = curves_of(scores, truth)
    assert curves is not None
    assert read_curves(root, "site", "a/b") == []
    record_curves(root, "site", "a/b", curves)
    (found,) = read_curves(root, "site", "a/b")
    assert found.label_set == "ca/fe"
    for name in ("roc", "precision_recall"):
        for mine, theirs in zip(getattr(found, name), getattr(curves, name), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_labels_of_one_class_have_no_curve() -> None:
    scores = {"a": VideoScores(np.arange(9), np.arange(9.0))}
    assert curves_of(scores, LabelSet("cafe", {"a": Truth(9)})) is None
