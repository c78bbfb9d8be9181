"""Evaluates a table of scores made elsewhere: `video,frame,score` as CSV or Parquet.

A column `seconds` (presentation time) makes figures in hours and seconds possible, a column
`camera` those per camera; with a threshold, alarms are found as `score` finds them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from anomaly.datasets.labels import IGNORED, LabelSet, read_labels
from anomaly.errors import SpecError
from anomaly.evaluation.evaluate import Evaluation, VideoScores, evaluate_scores
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import find_events

_SCHEMA = pa.schema([("video", pa.string()), ("frame", pa.int64()), ("score", pa.float64())])
_OPTIONAL = pa.schema([("seconds", pa.float64()), ("camera", pa.string())])


def evaluate_file(
    scores: Path,
    labels: Path,
    *,
    only_scored: bool = False,
    threshold: float | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return all figures of a table of scores.

    With `only_scored`, labelled frames without a score do not count; without it they are an
    error, since leaving out the hard ones flatters. Without `threshold` there are no figures of
    alarms and no accuracy.

    Raises:
        SpecError: a file cannot be read, a frame is scored twice, or labelled frames have no
        score.
    """
    truth = read_labels(labels)
    found = read_score_file(scores)
    if not only_scored:
        _check_complete(found, truth)
    if threshold is not None:
        found = {video: _with_alarms(one, threshold) for video, one in found.items()}
    return evaluate_scores(found, truth, seed=seed)


def _with_alarms(scores: VideoScores, threshold: float) -> VideoScores:
    """Return the scores with the threshold, and with the alarms if the times of frames are known."""
    if scores.seconds_N is None:
        return replace(scores, threshold=threshold)
    there = ~np.isnan(scores.score_N)
    frames = FrameScores(
        scores.score_N, scores.score_N, covered_T=there, seconds_T=scores.seconds_N
    )
    return replace(
        scores,
        threshold=threshold,
        alarms=tuple(
            (
                int(scores.frame_N[event.start_frame]),
                int(scores.frame_N[event.stop_frame - 1]) + 1,
            )
            for event in find_events(frames, threshold, ScoreSpec())
        ),
    )


def read_score_file(path: Path) -> dict[str, VideoScores]:
    """Return the scores of each video in a CSV or Parquet file; a null score is NaN.

    Raises:
        SpecError: the file cannot be read, or a frame is negative or scored twice.
    """
    table = _read(path).sort_by([("video", "ascending"), ("frame", "ascending")])
    names = table["video"].combine_chunks().dictionary_encode()
    ends = np.cumsum(np.bincount(names.indices.to_numpy(), minlength=len(names.dictionary)))
    found: dict[str, VideoScores] = {}
    for video, start, stop in zip(
        names.dictionary.to_pylist(), [0, *ends[:-1]], ends, strict=True
    ):
        rows = table.slice(start, stop - start)
        found[video] = VideoScores(
            rows["frame"].to_numpy(),
            rows["score"].to_numpy(),
            seconds_N=_times(path, video, rows) if "seconds" in rows.column_names else None,
            camera=(rows["camera"][0].as_py() or "") if "camera" in rows.column_names else "",
        )
        _check_frames(path, video, found[video].frame_N)
    return found


def _times(path: Path, video: str, rows: pa.Table) -> np.ndarray:
    seconds_N: np.ndarray = rows["seconds"].to_numpy()
    if np.isnan(seconds_N).any() or (np.diff(seconds_N) < 0).any():
        raise SpecError(
            f"Scores {str(path)!r}: the seconds of {video!r} are missing or fall, expected "
            "presentation times that grow with the frames."
        )
    return seconds_N


def _read(path: Path) -> pa.Table:
    from pyarrow import csv, parquet

    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            types = csv.ConvertOptions(column_types=pa.schema([*_SCHEMA, *_OPTIONAL]))
            table = csv.read_csv(path, convert_options=types)
        there = [field for field in _OPTIONAL if field.name in table.column_names]
        schema = pa.schema([*_SCHEMA, *there])
        table = table.select(schema.names).cast(schema)
    except (OSError, KeyError, pa.ArrowException) as error:
        first = str(error).splitlines()[0]
        raise SpecError(
            f"Cannot read scores {str(path)!r}: {first} Expected columns video,frame,score."
        ) from error
    if table["video"].null_count or table["frame"].null_count:
        raise SpecError(f"Scores {str(path)!r}: a row lacks its video or frame.")
    return table


def _check_frames(path: Path, video: str, frame_N: np.ndarray) -> None:
    if frame_N[0] < 0:
        raise SpecError(
            f"Scores {str(path)!r}: {video!r} has frame {frame_N[0]}, expected 0 or more."
        )
    twice = frame_N[1:][np.diff(frame_N) == 0]
    if len(twice):
        raise SpecError(f"Scores {str(path)!r}: frame {twice[0]} of {video!r} is scored twice.")


def _check_complete(scores: dict[str, VideoScores], truth: LabelSet) -> None:
    missing = {}
    nothing = VideoScores(np.zeros(0, dtype=np.int64), np.zeros(0))
    for video, labels in truth.videos.items():
        found = scores.get(video, nothing)
        if labels.n_frames is None:
            count = int(np.isnan(found.score_N).all() and truth.video_class(video) is not None)
        else:
            score_T = found.by_frame(labels.n_frames)
            count = int((np.isnan(score_T) & (labels.labels_T != IGNORED)).sum())
        if count:
            missing[video] = count
    if missing and truth.of_whole_videos:
        raise SpecError(
            f"{len(missing)} labelled videos have no score, the first is {next(iter(missing))!r}. Score "
            "them, or leave them out with --only-scored."
        )
    if missing:
        first = next(iter(missing))
        raise SpecError(
            f"{sum(missing.values())} labelled frames of {len(missing)} videos have no score, the first "
            f"{missing[first]} in {first!r}. Score them, or leave them out with --only-scored."
        )
