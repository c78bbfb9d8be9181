"""Writes the generic label file, which `labels` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from anomaly.datasets.labels import Truth
from anomaly.errors import SpecError

_FRAMES = ("video", "n_frames", "start_frame", "stop_frame", "category")
_WHOLE = ("video", "category")

Row = tuple[str | int, ...]


def write_labels(path: Path, videos: Mapping[str, Truth]) -> None:
    """Write a label file, whole or not at all.

    Raises:
        SpecError: some videos are labelled by frame and others as a whole, or the folder cannot
            be written to.
    """
    whole = {truth.n_frames is None for truth in videos.values()}
    if len(whole) != 1:
        raise SpecError(
            f"Labels of {len(videos)} videos do not make one file: some are labelled by frame, "
            "others as a whole. Write one split at a time."
        )
    is_whole = whole.pop()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_WHOLE if is_whole else _FRAMES)
    for video, truth in videos.items():
        writer.writerows([(video, truth.category)] if is_whole else _rows(video, truth))
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text.getvalue(), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise SpecError(f"Cannot write labels {str(path)!r}: {error}.") from error


def _rows(video: str, truth: Truth) -> Iterator[Row]:
    n_frames = truth.n_frames or 0
    if not truth.intervals:
        yield video, n_frames, "", "", ""
    for one in truth.intervals:
        yield video, n_frames, one.start, one.stop, one.category
