"""The comparison page: what it shows, and that names can do nothing."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.datasets.labels import Interval, LabelSet, Truth
from anomaly.evaluation.changes import changes_between
from anomaly.evaluation.compare import compare_scores
from anomaly.evaluation.evaluate import VideoScores
from anomaly.report.comparison import MAX_CHANGES, render_comparison
from anomaly.scores.tables import read_events
from tests.report.conftest import HOSTILE


def scores(seed: int) -> dict[str, VideoScores]:
    generator = np.random.default_rng(seed)
    return {
        name: VideoScores(np.arange(50), generator.random(50) + (np.arange(50) > 30) * seed)
        for name in ("a", HOSTILE, "c")
    }


TRUTH = LabelSet(
    "cafe", {name: Truth(50, (Interval(30, 50, "<b>"),)) for name in ("a", HOSTILE, "c")}
)


def written(scanned: Any, names: tuple[str, str], changes: Any) -> str:
    comparison = compare_scores({name: scores(n) for n, name in enumerate(names)}, TRUTH)
    key = render_comparison(
        scanned.root, "site & co", comparison, [(*names, changes)], time_zone="Europe/Rome"
    )
    return Path(scanned.root.address(key)).read_text()


def test_events_of_both_are_shown_with_their_pictures(scanned: Any) -> None:
    rows = [
        {**row, "camera": "gate", "date": "2026-03-02"}
        for row in read_events(scanned.root, "site & co", "knn-1").to_pylist()
    ]
    moved = [
        {**row, "start_frame": row["stop_frame"] - 2, "stop_frame": row["stop_frame"] + 90}
        for row in rows[:1]
    ]
    page = written(scanned, ("old", "new"), changes_between(rows, moved, TRUTH))
    assert "0 gained, 2 lost, 1 moved" in page
    assert page.count("data:image/jpeg;base64,") == 4
    assert page.count("no event") == 2


def test_hostile_names_are_text_and_nothing_may_be_loaded_or_run(scanned: Any) -> None:
    row = {
        "video": HOSTILE,
        "camera": "<i>",
        "start_frame": 1,
        "stop_frame": 9,
        "start_seconds": 0.1,
        "stop_seconds": 0.9,
        "score": 3.0,
        "threshold": 2.0,
        "picture_peak": None,
    }
    page = written(scanned, ("<u>", "new"), changes_between([], [row], TRUTH))
    assert "<script" not in page
    assert not any(tag in page for tag in ("<b>broken", "<i>", "<u>", "<b></td>"))
    policy = html.unescape(page)
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_of_many_changes_the_highest_are_shown_and_the_rest_are_counted(scanned: Any) -> None:
    rows = [
        {
            "video": "a",
            "camera": "gate",
            "start_frame": 100 * n,
            "stop_frame": 100 * n + 9,
            "start_seconds": 10.0 * n,
            "stop_seconds": 10.0 * n + 1,
            "score": float(n),
            "threshold": 0.5,
            "picture_peak": None,
        }
        for n in range(MAX_CHANGES + 40)
    ]
    page = written(scanned, ("old", "new"), changes_between([], rows))
    assert page.count('<li class="card">') == MAX_CHANGES
    assert f"{len(rows)} gained" in page
    assert f"The {MAX_CHANGES} highest are shown" in page
