"""Evaluates a table of scores made elsewhere: `video,frame,score` as CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from anomaly.datasets.labels import IGNORED, LabelSet, read_labels
from anomaly.errors import SpecError
from anomaly.evaluation.evaluate import Evaluation, VideoScores, evaluate_scores

_SCHEMA = pa.schema([("video", pa.string()), ("frame", pa.int64()), ("score", pa.float64())])


def evaluate_file(
    scores: Path, labels: Path, *, only_scored: bool = False, seed: int = 0
) -> Evaluation:
    """Return all figures of a table of scores.

    With `only_scored`, labelled frames without a score do not count; without it they are an
    error, since leaving out the hard ones flatters.

    Raises:
        SpecError: a file cannot be read, a frame is scored twice, or labelled frames have no
        score.
    """
    truth = read_labels(labels)
    found = read_score_file(scores)
    if not only_scored:
        _check_complete(found, truth)
    return evaluate_scores(found, truth, seed=seed)


def read_score_file(path: Path) -> dict[str, VideoScores]:
    """Return the scores of each video in a CSV or Parquet file; a null score is NaN.

    Raises:
        SpecError: the file cannot be read, or a frame is negative or scored twice.
    """
    table = _read(path).sort_by([("video", "ascending"), ("frame", "ascending")])
    names = table["video"].combine_chunks().dictionary_encode()
    frame_N = table["frame"].to_numpy()
    score_N = table["score"].to_numpy()
    found: dict[str, VideoScores] = {}
    for number, video in enumerate(names.dictionary.to_pylist()):
        mine = names.indices.to_numpy() == number
        found[video] = VideoScores(frame_N[mine], score_N[mine])
        _check_frames(path, video, found[video].frame_N)
    return found


def _read(path: Path) -> pa.Table:
    from pyarrow import csv, parquet

    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path, columns=_SCHEMA.names)
        else:
            types = csv.ConvertOptions(column_types=_SCHEMA, include_columns=_SCHEMA.names)
            table = csv.read_csv(path, convert_options=types)
        table = table.cast(_SCHEMA)
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
        labels_T = labels.labels_T
        score_T = scores.get(video, nothing).by_frame(len(labels_T))
        count = int((np.isnan(score_T) & (labels_T != IGNORED)).sum())
        if count:
            missing[video] = count
    if missing:
        first = next(iter(missing))
        raise SpecError(
            f"{sum(missing.values())} labelled frames of {len(missing)} videos have no score, the first "
            f"{missing[first]} in {first!r}. Score them, or leave them out with --only-scored."
        )
