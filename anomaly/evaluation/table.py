"""Evaluations as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomaly.evaluation.metrics import metrics

PLACES: dict[str, str] = {
    "pixel_level_auc": "frames, found where 40 % of their true pixels are reported (UCSD)",
    "pixel_level_eer": "errors of that curve where as many frames are missed as reported in vain",
    "pixel_level_detection_rate": "frames found there",
    "pixel_auc": "one ROC curve over all pixels of all frames",
    "region_overlap": "mean share of a true region found, up to 30 % of normal pixels reported (PRO)",
    "rbdc": "true regions found, over 0 to 1 false regions a frame",
    "tbdc": "their tracks found, over 0 to 1 false regions a frame",
}
"""figures of places, and what they are"""
PEEKS = (
    "The detector peeks: it uses statistics of the very videos that it is judged on, so its figures say "
    "nothing about the next night."
)


def to_markdown(summary: Mapping[str, Any]) -> str:
    """Return the figures of an evaluation's JSON as a Markdown table, what was counted below."""
    header = ["metric", "value", "95 % interval", "convention"]
    rows = [header, ["---", "---:", "---", "---"], *_rows(summary)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n{_counts(summary)}\n"


def to_text(summary: Mapping[str, Any]) -> str:
    """Return the same as aligned columns for a terminal."""
    rows = [
        ["metric", "value", "95 % interval", "convention"],
        *_rows(summary),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
        )
        for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", _counts(summary)])


def _rows(summary: Mapping[str, Any]) -> list[list[str]]:
    frames = {name: metrics().get(name).meaning for name in metrics().names()}
    places = summary.get("spatial") or {}
    return [*_figures(summary, frames), *_figures(places, PLACES), *_sanity(summary)]


def _figures(summary: Mapping[str, Any], meanings: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for name, meaning in meanings.items():
        if name in summary:
            around = summary.get(f"{name}_interval")
            shown = f"{around[0]:.3f} to {around[1]:.3f}" if around else "-"
            rows.append([name, _number(summary[name]), shown, meaning])
    return rows


def _sanity(summary: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            f"sanity: {name}",
            _number(value),
            "-",
            f"{summary['headline']} of a scorer that has learnt nothing",
        ]
        for name, value in summary.get("sanity", {}).items()
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _counts(summary: Mapping[str, Any]) -> str:
    counted = (
        f"{summary['frames']} frames of {summary['videos']} videos count; "
        f"{summary['frames_ignored']} are ignored, {summary['frames_without_score']} have no score. "
        f"Macro leaves out {summary['videos_left_out_of_macro']} videos with one class. "
        f"Labels {summary['label_set']}."
    )
    lines = [counted, summary["protocol"]]
    if places := summary.get("spatial"):
        lines.append(
            f"Places are the cells of {places['judged']}; {places['frames']} frames of {places['videos']} "
            f"videos have masks, {places['frames_abnormal']} of them not empty."
        )
    if summary.get("detector_peeks"):
        lines.append(PEEKS)
    if summary.get("threshold_verdicts"):
        lines.append(
            f"The thresholds rest on {summary['threshold_verdicts']} verdicts on scored video: where "
            "that is among these videos, figures of alarms and events peek."
        )
    if summary.get("reason"):
        lines.append(f"Figures are missing: {summary['reason']}.")
    return "\n".join(lines)
