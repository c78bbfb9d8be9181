"""How many events other alarm budgets would give, counted on the stored scores, not guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly.catalog import LedgerRow
from anomaly.checkpoints import POOLED, load, names
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import find_events
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import Partition, read_partition
from anomaly.spec import from_dict
from anomaly.storage import Root

MOST_ROWS = 50_000_000
"""scores that are read for it, those of the newest days: about six million a second"""
_TENTHS_UP, _TENTHS_DOWN = 10, 40
"""Budgets are tried in steps of a tenth of a decade: from ten times the present one down to a ten
thousandth."""


@dataclass(frozen=True, kw_only=True)
class CountedDay:
    """One camera-day, and how many events it would have with each budget."""

    camera: str
    date: str
    hours: float
    """of footage with scores"""
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Counts of events for several alarm budgets, the most generous first."""

    budgets: tuple[float, ...]
    """false alarms that a camera may give in a day"""
    present: int
    """which of them the checkpoint has"""
    thresholds: Mapping[str, tuple[float, ...]]
    """of each camera, that the budgets lead to"""
    days: tuple[CountedDay, ...]


def what_if(
    root: Root, archive: str, checkpoint: str, scored: Iterable[LedgerRow]
) -> WhatIf | None:
    """Return what other budgets give, over the newest days with `MOST_ROWS` scores.

    Args:
        root: where tables and models lie.
        archive: name of the archive.
        checkpoint: name of the bundle; None comes back where it is no more.
        scored: videos that count, of its ledger; cameras whose model is no more are left out.
    """
    by_day: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    bundle = load(root, checkpoint) if checkpoint in names(root) else None
    for row in sorted(scored, key=lambda row: (row.date, row.camera), reverse=True):
        if bundle and {row.camera, POOLED} & set(bundle.models):
            by_day[row.date, row.camera].append(row)
    if bundle is None or not by_day:
        return None
    spec = from_dict(ScoreSpec, bundle.scores)
    tenths = np.arange(_TENTHS_UP, -_TENTHS_DOWN - 1, -1)
    budgets = spec.alarms_per_camera_day * 10.0 ** (tenths / 10)
    thresholds: dict[str, NDArray[np.float64]] = {}
    counted: list[CountedDay] = []
    left = MOST_ROWS
    for (date, camera), rows in by_day.items():
        left -= sum(row.n_frames for row in rows)
        if left < 0 and counted:
            break
        if camera not in thresholds:
            stages = ScoreStages.load(bundle.model_for(root, camera)[1].stages, spec)
            thresholds[camera] = np.array([stages.alarms.threshold(b) for b in budgets])
        day = Partition(archive=archive, checkpoint=checkpoint, camera=camera, date=date)
        counted.append(_counted(root, day, rows, thresholds[camera], spec))
    return WhatIf(
        budgets=tuple(budgets.tolist()),
        present=_TENTHS_UP,
        thresholds={camera: tuple(found.tolist()) for camera, found in thresholds.items()},
        days=tuple(counted),
    )


def counts_of_events(
    scores: FrameScores, thresholds_K: NDArray[np.float64], spec: ScoreSpec
) -> NDArray[np.int64]:
    """Return how many events one video has at each threshold, shape (K,).

    Only frames that the lowest threshold leaves in an event are looked at again for the others.
    """
    lowest = float(thresholds_K.min())
    high = _around(scores, min(lowest, lowest * spec.low_ratio))
    counts = [len(find_events(high, float(threshold), spec)) for threshold in thresholds_K]
    return np.array(counts, dtype=np.int64)


def _counted(
    root: Root,
    day: Partition,
    rows: Sequence[LedgerRow],
    thresholds_K: NDArray[np.float64],
    spec: ScoreSpec,
) -> CountedDay:
    table = read_partition(root, day, columns=["video", "seconds", "score", "covered"])
    wanted = {row.uri: row for row in rows}
    counts_K = np.zeros(len(thresholds_K), dtype=np.int64)
    seconds = 0.0
    for video, scores in _by_video(table):
        if video in wanted:
            seconds += float(scores.durations_T.sum())
            # what is out of domain makes no events
            judged = _only_covered(scores) if wanted[video].outside else scores
            counts_K += counts_of_events(judged, thresholds_K, spec)
    return CountedDay(
        camera=day.camera, date=day.date, hours=seconds / 3600, counts=tuple(counts_K.tolist())
    )


def _by_video(table: pa.Table) -> Iterator[tuple[str, FrameScores]]:
    """Yield the videos of a camera-day, whose rows lie together."""
    runs = pc.run_end_encode(table["video"].combine_chunks())
    start = 0
    for video, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        part = table.slice(start, stop - start)
        score_T = part["score"].to_numpy()
        seconds_T, covered_T = part["seconds"].to_numpy(), part["covered"].to_numpy()
        yield video, FrameScores(score_T, score_T, covered_T, seconds_T)
        start = stop


def _only_covered(scores: FrameScores) -> FrameScores:
    score_T = np.where(scores.covered_T, scores.score_T, np.nan)
    return FrameScores(score_T, score_T, scores.covered_T, scores.seconds_T)


def _around(scores: FrameScores, low: float) -> FrameScores:
    """Return the frames at or above `low`, their neighbours, and an empty frame where the video ends.

    Events depend on nothing else: where they begin, where they stop, how long each frame is shown.
    """
    near_T = scores.score_T >= low
    near_T[1:] |= scores.score_T[:-1] >= low
    near_T[:-1] |= scores.score_T[1:] >= low
    end = scores.seconds_T[-1:] + scores.durations_T[-1:]
    score_N = np.append(scores.score_T[near_T], np.full(len(end), np.nan))
    return FrameScores(
        score_N, score_N, np.ones(len(score_N), np.bool_),
        np.append(scores.seconds_T[near_T], end),
    )  # fmt: skip
