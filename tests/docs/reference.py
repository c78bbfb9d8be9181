"""Writes the reference pages that follow from the source: `python -m tests.docs.reference`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from anomaly.cli import anomaly
from anomaly.evaluation.metrics import metrics
from anomaly.evaluation.table import PLACES
from anomaly.storage import open_root
from anomaly.verbs.query import VIEWS, connect
from flows.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
NOTE = "<!-- Written by `python -m tests.docs.reference`; edit the source, not this page. -->"
WIDTH = 100

PARTITION = {
    "archive": "name of the archive",
    "checkpoint": "bundle that scored",
    "camera": "name of the camera",
    "date": "camera-local date of the video's start, or `undated-<hh>`",
}
UNITS = {
    "seconds": "s",
    "days": "days",
    "bytes": "bytes",
    "frame": "frame number",
    "frames": "frames",
    "lost": "frames",
    "rate": "frames/s",
    "height": "pixels",
    "width": "pixels",
    "score": "-log10 p",
    "threshold": "-log10 p",
    "boxes": "pixels",
    "row": "cells",
    "col": "cells",
    "rows": "cells",
    "cols": "cells",
    "utc": "UTC",
    "at": "UTC",
    "seen": "UTC",
    "date": "local day",
}
"""by a column's name, or by its last word"""

MEANINGS = {
    "scores": {
        "video": "path relative to the archive",
        "content": "hash of all bytes of the video",
        "frame": "rank of the frame's presentation time in the file, from 0",
        "seconds": "presentation time from the first frame",
        "time_utc": "when the frame was recorded; null when unknown",
        "raw": "the detector's own score; null where nothing could be decoded",
        "score": "smoothed and calibrated: -log10 of the tail probability among normal frames",
        "covered": "false: borrowed from the nearest measured frame",
        "model": "whose model scored: the camera's, or `pooled`",
    },
    "events": {
        "event_id": "stays the same while content and frames do",
        "video": "path relative to the archive",
        "content": "hash of all bytes of the video",
        "start_frame": "first frame",
        "stop_frame": "first frame after the event",
        "peak_frame": "frame of the highest score",
        "start_seconds": "from the first frame of the video",
        "stop_seconds": "from the first frame of the video",
        "peak_seconds": "from the first frame of the video",
        "start_time_utc": "null when unknown",
        "score": "the highest",
        "mean_score": "over the event's frames",
        "threshold": "that the event began with",
        "one_in_days": "in how many days normal video scores as high once; at most 1,000,000",
        "part": "which backbone's features spoke at the peak; null where an earlier version found it",
        "peak_row": "row of the most anomalous grid cell at the peak",
        "peak_col": "its column",
        "grid_rows": "rows of that grid",
        "grid_cols": "columns of that grid",
        "boxes": "strange parts of the frame at the peak in its pixels, the worst first, each with the "
        "score of its highest cell; null when the detector does not tell",
        "model": "whose model scored: the camera's, or `pooled`",
        "scores_digest": "digest of the video's score rows that the event was found in",
        "clip": "key below the root of a short MP4; null when none could be cut",
        "picture_start": "key of a JPEG at the start",
        "picture_peak": "key of a JPEG at the peak, the cell marked",
        "picture_stop": "key of a JPEG at the end",
    },
    "catalog": {
        "archive": "name of the archive",
        "uri": "path relative to the archive",
        "location": "where it is opened: a local path or s3:// url",
        "bytes": "size",
        "modified": "time of change in nanoseconds, or etag",
        "camera": "name of the camera",
        "date": "camera-local date of the start; null when unknown",
        "start_time_utc": "null when unknown",
        "kind": "`file`, or `frames` for a folder of images",
        "content": "hash of all bytes; null until extracted",
        "n_frames": "length in frames, holes counted",
        "rate": "frames a second, as the container says",
        "height": "pixels",
        "width": "pixels",
        "codec": "name of the codec",
        "duration_seconds": "playing time",
        "frames_lost": "frames inside the length that could not be decoded",
        "status": "`found`, `ok`, `partial` or `quarantined`",
        "code": "[reason code](codes.md) when it is neither found nor ok",
        "message": "the reason in words",
        "first_seen": "first look that saw it",
        "last_seen": "latest look that saw it",
        "present": "false: no longer in the archive",
    },
    "evaluations": {
        "archive": "name of the archive, or of the score file",
        "checkpoint": "bundle whose scores were evaluated",
        "label_set": "digest of the label file",
        "metric": "name, with its convention",
        "value": "the figure",
        "low": "lower end of the 95 % interval over videos",
        "high": "upper end",
        "frames": "frames that counted",
        "videos": "videos that counted",
        "videos_left_out": "videos of one class, which the metric cannot use",
        "evaluated_at": "when",
    },
    "runs": {
        "run_id": "32 hex digits",
        "archive": "name of the archive",
        "verb": "`extract`, `train`, `score` or `nightly`",
        "checkpoint": "bundle that it scored with, or made; empty: none",
        "status": "`finished`; `unfinished` while it runs and for ever after a crash",
        "started_at": "when it began",
        "ended_at": "null until it has ended",
        "wall_seconds": "by the clock",
        "cpu_seconds": "of all its processes on the machine it was started on",
        "stages": "the same for each stage; items: jobs done (videos, camera-days, models)",
        "videos": "scored; extracted where it only extracts; trained on",
        "frames": "of them",
        "video_seconds": "their playing time",
        "events": "found in them",
        "videos_bad": "videos that newly gave nothing",
        "extracted_videos": "decoded now",
        "extracted_seconds": "their playing time",
        "work_seconds": "that took, summed over workers",
        "forecast_work_seconds": "the same as it was forecast; null where no pace was known",
        "decode_alone_seconds": "what decoding alone was forecast to take; null where not measured",
        "model_alone_seconds": "what describing the frames was, were they there at once",
        "slowest": "videos that took the longest for their length",
        "version": "of this package",
        "commit": "of its checkout, `-dirty` behind it where files differ; empty where it was installed",
        "cpu": "model of the processor",
        "cores": "of the machine",
        "gpu": "whether there is an NVIDIA one",
    },
    "verdicts": {
        "event_id": "event that was looked at",
        "archive": "name of the archive",
        "camera": "name of the camera",
        "video": "path relative to the archive",
        "start_seconds": "begin of what was looked at, from the first frame of the video",
        "stop_seconds": "its end",
        "verdict": "`real`, `false` or `unsure`",
        "note": "in somebody's words; empty: none",
        "decided_at": "when; of two verdicts about an event the later one is kept",
    },
}


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {
        "cli.md": _cli(),
        "tables.md": _tables(),
        "settings.md": _settings(),
        "metrics.md": _metrics(),
    }


def _cli() -> str:
    top = click.Context(anomaly, info_name="anomaly", terminal_width=WIDTH)
    parts = ["# Command line", NOTE, _shown(anomaly.get_help(top))]
    for name in anomaly.list_commands(top):
        verb = anomaly.get_command(top, name)
        if verb is None:
            raise LookupError(f"the command line lists {name!r} and does not know it")
        parts += _verb(
            verb, click.Context(verb, info_name=name, parent=top, terminal_width=WIDTH)
        )
    return "\n\n".join(parts) + "\n"


def _verb(verb: click.Command, context: click.Context) -> list[str]:
    """Return the help of a verb, and of the verbs below it."""
    parts = [f"## {context.command_path}", _shown(verb.get_help(context))]
    for name, inner in sorted(getattr(verb, "commands", {}).items()):
        below = click.Context(inner, info_name=name, parent=context, terminal_width=WIDTH)
        parts += _verb(inner, below)
    return parts


def _shown(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _tables() -> str:
    told = [
        "The views of `anomaly query` and of `infra/duckdb/views.sql`. Columns stay: new ones may come,",
        "and none goes or changes its type or unit without a new major version. Times are UTC.",
        "",
        "`current_scores` has the columns of `scores`, of the current checkpoint alone; `current_events`",
        "those of `events`, and `verdict` and `note` of the verdict that counts, null where none does.",
    ]
    parts = [
        "# Tables",
        NOTE,
        "\n".join(told),
        "How to ask: [queries](../how-to/query-with-duckdb.md).",
    ]
    for view, columns in columns_of_views().items():
        meanings = {**PARTITION, **MEANINGS[view]}
        rows = [
            (column, kind, _unit(column), meanings[column]) for column, kind in columns.items()
        ]
        parts += [f"## {view}", _table(("column", "type", "unit", "what"), rows)]
    return "\n\n".join(parts) + "\n"


def columns_of_views() -> dict[str, dict[str, str]]:
    """Return the type of each column of each view, as an empty root answers."""
    with connect(open_root("/nowhere")) as connection:
        return {
            view: dict(
                connection.sql(
                    f"SELECT column_name, column_type FROM (DESCRIBE {view})"
                ).fetchall()
            )
            for view in VIEWS
            if not view.startswith("current_")
        }


def _unit(column: str) -> str:
    last = column.rsplit("_", 1)[-1]
    return UNITS.get(column, UNITS.get(last, ""))


def _metrics() -> str:
    told = [
        "Every figure of `anomaly evaluate` bears its convention in its name: the same scores differ by",
        "twenty points between conventions. Frames marked `ignore` and frames without a score never count.",
        "Intervals draw videos again, 1,000 times, never frames. A metric that *peeks* uses the future of",
        "the clip it judges: comparable with papers, of no use for a nightly scan.",
    ]
    parts = ["# Metrics", NOTE, "\n".join(told)]
    for name in metrics().names():
        metric = metrics().get(name)
        marks = [
            metric.unit,
            "lower is better" if metric.lower_is_better else "higher is better",
        ]
        marks += ["**peeks**"] if metric.peeks else []
        rows = [
            ("convention", metric.meaning),
            ("formula", metric.formula),
            ("source", metric.source),
            ("unit", ", ".join(marks)),
        ]
        parts += [f"## {name}", _table((f"`{name}`", ""), rows)]
    places = [(f"`{name}`", what) for name, what in PLACES.items()]
    parts += ["## Places, with `--masks`", _table(("figure", "what"), places)]
    return "\n\n".join(parts) + "\n"


def _settings() -> str:
    rows = [
        (
            f"`{PREFIX}{name.upper()}`",
            _default(field.default),
            " ".join((field.description or "").split()),
        )
        for name, field in Settings.model_fields.items()
    ]
    parts = [
        "# Settings of the Prefect flows",
        NOTE,
        "Environment variables, read where a flow runs; the command line reads none of them.",
        "They say where and how fast, and never change a number.",
        _table(("variable", "default", "what"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _default(value: Any) -> str:
    return "" if value is None or value == "" else f"`{value}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    for file_name, text in pages().items():
        (FOLDER / file_name).write_text(text)
