"""The comparison of checkpoints as one HTML file: figures, differences, curves, videos, events.

It needs no script and no network; curves are drawn as SVG when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from anomaly.evaluation.changes import Change, Changes
from anomaly.evaluation.compare import HEADLINE, Comparison
from anomaly.evaluation.metrics import metrics
from anomaly.report.drawing import chart
from anomaly.report.page import assets, embed, fill
from anomaly.spec import fingerprint
from anomaly.storage import Root, quote

PAGE_BYTES = 9_500_000
"""size that pictures together fill at most"""
MAX_CHANGES = 60
"""events shown of each pair of checkpoints, the highest scores first"""
_LONGEST_NAME = 120


def render_comparison(
    root: Root,
    archive: str,
    comparison: Comparison,
    changes: Sequence[tuple[str, str, Changes]],
    *,
    time_zone: str = "UTC",
) -> str:
    """Write the report of a comparison; return its key under the root.

    Args:
        root: where the pictures lie, and the report goes.
        archive: name of the archive.
        comparison: figures of the checkpoints on labelled videos.
        changes: names of two checkpoints, and what differs between their events.
        time_zone: IANA name of the cameras' clock.
    """
    names = list(comparison.evaluations)
    shown = [
        (first, second, found, found.changes[:MAX_CHANGES]) for first, second, found in changes
    ]
    page = fill(
        "comparison.html",
        style=assets("page.css", "charts.css", "comparison.css"),
        archive=archive,
        names=names,
        now=datetime.now(ZoneInfo(time_zone)),
        comparison=comparison,
        any=next(iter(comparison.evaluations.values())),
        figures=_figures(comparison),
        sanity=_sanity(comparison),
        pairs=_pairs(comparison),
        roc=chart(
            comparison.roc,
            x="share of normal frames called abnormal",
            y="share of abnormal frames found",
            diagonal=True,
        ),
        precision_recall=chart(
            comparison.precision_recall, x="share of abnormal frames found", y="precision"
        ),
        videos=_videos(comparison),
        categories=_categories(comparison),
        changes=shown,
        embedded=embed(root, _pictures(shown), PAGE_BYTES),
    )
    title = "-".join(names)
    if len(title) > _LONGEST_NAME:
        title = fingerprint(names)
    key = f"reports/{quote(archive)}/compare-{quote(title)}.html"
    root.publish(key, page.encode())
    return key


def _ordered() -> list[str]:
    """Return the names of metrics: the headline, the others, and last those that peek."""
    names = metrics().names()
    return sorted(names, key=lambda name: (metrics().get(name).peeks, name != HEADLINE))


def _figures(comparison: Comparison) -> list[dict[str, Any]]:
    found = [one.figures for one in comparison.evaluations.values()]
    return [
        {
            "name": name,
            "meaning": metrics().get(name).meaning,
            "lower_is_better": metrics().get(name).lower_is_better,
            "peeks": metrics().get(name).peeks,
            "left_out": found[0][name].videos_left_out,
            "cells": [figures[name] for figures in found],
        }
        for name in _ordered()
    ]


def _sanity(comparison: Comparison) -> list[tuple[str, float | None]]:
    return list(next(iter(comparison.evaluations.values())).sanity.items())


def _pairs(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "pair": pair,
            "rows": [
                (name, pair.differences[name])
                for name in _ordered()
                if pair.differences[name].value is not None
            ],
        }
        for pair in comparison.pairs
    ]


def _videos(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row for each video, those on which the checkpoints differ most first."""
    rows = []
    found = [one.per_video for one in comparison.evaluations.values()]
    for same_video in zip(*found, strict=True):
        areas = [row["frame_auc"] for row in same_video]
        known = [area for area in areas if area is not None]
        rows.append(
            {
                **same_video[0],
                "areas": areas,
                "spread": areas[-1] - areas[0] if len(known) == len(areas) else None,
            }
        )
    return sorted(rows, key=lambda row: -abs(row["spread"] or 0.0))


def _categories(comparison: Comparison) -> list[tuple[dict[str, Any], ...]]:
    found = [one.per_category for one in comparison.evaluations.values()]
    return [tuple(dict(row) for row in rows) for rows in zip(*found, strict=True)]


def _pictures(
    shown: Iterable[tuple[str, str, Changes, Sequence[Change]]],
) -> Iterable[str | None]:
    for _, _, _, changes in shown:
        for change in changes:
            for row in (change.before, change.after):
                if row is not None:
                    yield row["picture_peak"]
