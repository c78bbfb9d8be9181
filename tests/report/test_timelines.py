"""Timelines: thinned out without losing a peak, finer around events, with notes on their stretches."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.catalog import Catalog
from anomaly.features import GateSpec, vector_block
from anomaly.features.store import FeatureStore
from anomaly.report.contents import gather
from anomaly.report.timelines import stretches_of, thin, timelines_of
from anomaly.scores.tables import SCORES_SCHEMA, iterate, merge_scores, read_scores
from anomaly.storage import open_root
from anomaly.video import DecodeReport, Video
from tests.report.conftest import recipe_of

scores = hnp.arrays(
    np.float64, st.integers(1, 200), elements=st.one_of(st.floats(-5, 50), st.just(np.nan))
)


@given(scores, st.integers(1, 60))
def test_thinning_a_timeline_loses_neither_the_highest_nor_the_lowest_score(
    score_T: np.ndarray, bins: int
) -> None:
    seconds_T = np.arange(len(score_T)) / 10
    edges = np.linspace(0, max(seconds_T[-1], 1.0), bins + 1)
    seconds_K, lowest_K, highest_K = thin(seconds_T, score_T, edges)
    assert seconds_K.shape == lowest_K.shape == highest_K.shape
    assert len(seconds_K) <= bins
    assert (np.diff(seconds_K) > 0).all()
    known = score_T[~np.isnan(score_T)]
    if not len(known):
        assert np.isnan(highest_K).all()
        return
    assert np.nanmax(highest_K) == known.max()
    assert np.nanmin(lowest_K) == known.min()
    assert np.array_equal(np.isnan(lowest_K), np.isnan(highest_K))


def test_a_stretch_without_scores_stays_empty() -> None:
    score_T = np.ones(100)
    score_T[40:60] = np.nan
    _, _, highest_K = thin(np.arange(100) / 25, score_T, np.arange(-0.5, 101, 10) / 25)
    assert np.isnan(highest_K).tolist() == [False] * 4 + [True] * 2 + [False] * 4


@given(hnp.arrays(np.bool_, st.integers(1, 300)))
def test_stretches_hold_every_moment_that_is_so_and_are_few(is_so_T: np.ndarray) -> None:
    seconds_T = np.arange(len(is_so_T)) / 5
    found = list(stretches_of(is_so_T, seconds_T, "lost"))
    for seconds in seconds_T[is_so_T]:
        assert any(one.start_seconds <= seconds <= one.stop_seconds for one in found)
    assert all(
        before.stop_seconds < after.start_seconds for before, after in itertools.pairwise(found)
    )


def test_many_short_stretches_become_few() -> None:
    is_so_T = np.arange(100_000) % 2 == 0
    assert len(list(stretches_of(is_so_T, np.arange(100_000) / 25, "gated"))) <= 300


def test_a_timeline_is_finer_around_its_event_and_tells_what_was_lost(scanned: Any) -> None:
    contents = gather(scanned.root, "site & co", "knn-1", time_zone="UTC")
    assert len(contents.timelines) == 3
    for line in contents.timelines:
        (event,) = (one.row for one in contents.events if one.row["video"] == line.video)
        assert np.nanmax(line.highest_K) == event["score"]
        assert [one.kind for one in line.stretches] == ["lost"]
        lost = line.stretches[0]
        assert lost.stop_seconds == line.duration_seconds
        assert 0.5 < lost.stop_seconds - lost.start_seconds < 1.2


def test_what_a_camera_out_of_domain_showed_is_marked_with_the_reason(
    scanned: Any, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    catalog = Catalog(root, "site & co")
    ledger = catalog.scored("knn-1")
    day, table = next(iterate(root, "site & co", "knn-1", "events"))
    (event,) = table.to_pylist()
    rows = read_scores(root, "site & co", "knn-1", videos=[event["video"]])
    covered = np.arange(len(rows)) > 50
    place = SCORES_SCHEMA.get_field_index("covered")
    uncovered = rows.set_column(place, SCORES_SCHEMA.field("covered"), [covered])
    merge_scores(root, day, {event["video"]: uncovered.cast(SCORES_SCHEMA)})
    for outside, kind in (("dark, noisy", "outside"), ("", "borrowed")):
        known = {event["video"]: replace(ledger[event["video"]], outside=outside)}
        (line,) = timelines_of(root, [(day, event)], known, [])
        marked = [one for one in line.stretches if one.kind != "lost"]
        assert [(one.kind, one.reason) for one in marked] == [(kind, outside)]
        assert marked[0].start_seconds == 0
        assert marked[0].stop_seconds == 51 / 12.5


def test_what_a_gate_reused_is_marked(scanned: Any, tmp_path: Path) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    day, table = next(iterate(root, "site & co", "knn-1", "events"))
    (event,) = table.to_pylist()
    recipe = recipe_of("timm_frames", gate=GateSpec(tolerance=0.1))
    decision_T = np.zeros(100, np.float32)
    decision_T[20:70] = 1
    seconds_T = np.arange(100) / 10
    rows = vector_block(np.arange(100), seconds_T, np.zeros((100, 4), np.float32))
    gate_T2 = np.stack([decision_T, -np.ones(100, np.float32)], axis=1)
    writer = FeatureStore(root).writer(recipe, event["content"])
    writer.append(replace(rows, gate_T2=gate_T2))
    video = Video(
        n_frames=100, rate=Fraction(10), height=96, width=128, codec="h264", rotation=0
    )
    report = DecodeReport(
        video=video, n_frames=100, n_decoded=100, n_damaged=0, duration_seconds=10.0,
        decoder="pyav",
    )  # fmt: skip
    writer.close(report)
    (line,) = timelines_of(root, [(day, event)], {}, [recipe])
    (gated,) = [one for one in line.stretches if one.kind == "gated"]
    assert (gated.start_seconds, gated.stop_seconds) == (2.0, 7.0)
