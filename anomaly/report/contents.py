"""What a report says: ranked events, score timelines, bad files, evaluation. Tables in, plain nouns out."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly import parquet
from anomaly.catalog import Catalog, CatalogRow, OutOfDomain, out_of_domain
from anomaly.evaluation.results import RESULTS_KEY
from anomaly.report.learning import LearningCurve, curves_of, warnings_of
from anomaly.scores.tables import Partition, read_partition
from anomaly.storage import Root

TIMELINE_BINS = 240
"""most points of a score timeline, each with the lowest and highest score of its stretch"""


@dataclass(frozen=True, kw_only=True)
class ReportedEvent:
    """One row of the table of events with the camera-day it stands in."""

    rank: int
    """1 is the most anomalous"""
    camera: str
    date: str
    row: dict[str, Any]
    """the columns of the events table"""
    local_start: datetime | None
    """start in the cameras' time zone; None when the file name does not tell the time"""

    @property
    def duration_seconds(self) -> float:
        """How long the event lasts."""
        return float(self.row["stop_seconds"] - self.row["start_seconds"])


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The scores of one video, thinned out so that no peak is lost."""

    video: str
    camera: str
    duration_seconds: float
    lowest_K: NDArray[np.float64]
    """NaN in a stretch without scores"""
    highest_K: NDArray[np.float64]
    threshold: float


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """A video that gave no scores, or lost frames, and how to try it again."""

    uri: str
    camera: str
    status: str
    code: str
    message: str
    retry: str
    """shell command; empty where trying again changes nothing"""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that one report shows."""

    archive: str
    checkpoint: str
    cameras: tuple[str, ...]
    videos: int
    """scored by this checkpoint"""
    hours: float
    """playing time of those videos"""
    events: tuple[ReportedEvent, ...]
    """by score, highest first"""
    events_in_all: int
    """how many there are, shown or not"""
    timelines: tuple[Timeline, ...]
    """of the videos with events shown, by camera and name"""
    out_of_domain: tuple[OutOfDomain, ...]
    """when cameras were unlike their training video, those that still are first"""
    bad_files: tuple[BadFile, ...]
    evaluations: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    """what a reader of the evaluations must know"""
    learning: tuple[LearningCurve, ...]
    """how the networks of the checkpoint learnt"""


def gather(
    root: Root,
    archive: str,
    checkpoint: str,
    *,
    time_zone: str,
    since: str = "",
    max_events: int = 200,
) -> Contents:
    """Return what is known of an archive's scores by one checkpoint.

    Args:
        root: where the tables lie.
        archive: name of the archive.
        checkpoint: name of the bundle.
        time_zone: IANA name of the cameras' clock.
        since: first camera-local date, `YYYY-MM-DD`; empty for all. Undated videos always count.
        max_events: how many of the highest-scoring events are shown.
    """
    catalog = Catalog(root, archive)
    rows = catalog.rows()
    scored = [row for row in catalog.scored(checkpoint).values() if not row.date < since]
    eventful = {(row.camera, row.date) for row in scored if row.n_events}
    found = [
        (partition, row)
        for partition in (
            Partition(archive=archive, checkpoint=checkpoint, camera=camera, date=date)
            for camera, date in sorted(eventful)
        )
        for row in read_partition(root, partition, "events").to_pylist()
    ]
    found.sort(key=lambda pair: (-pair[1]["score"], pair[1]["event_id"]))
    shown = found[:max_events]
    hours = (
        sum((rows[row.uri].duration_seconds or 0) for row in scored if row.uri in rows) / 3600
    )
    return Contents(
        archive=archive,
        checkpoint=checkpoint,
        cameras=tuple(sorted({row.camera for row in scored})),
        videos=len(scored),
        hours=hours,
        events=tuple(
            ReportedEvent(
                rank=rank,
                camera=partition.camera,
                date=partition.date,
                row=row,
                local_start=_local(row["start_time_utc"], time_zone),
            )
            for rank, (partition, row) in enumerate(shown, 1)
        ),
        events_in_all=len(found),
        timelines=tuple(_timelines(root, shown)),
        out_of_domain=tuple(
            sorted(out_of_domain(rows, scored), key=lambda one: (one.is_over, one.camera))
        ),
        bad_files=tuple(_bad_files(root, archive, rows.values())),
        evaluations=tuple(_evaluations(root, archive, checkpoint)),
        warnings=tuple(warnings_of(root, checkpoint)),
        learning=curves_of(root, checkpoint),
    )


def thin(
    seconds_T: NDArray[np.float64], score_T: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest score of `bins` equal stretches of time, NaN where there is none.

    The highest of all scores is the highest of the result: nothing that matters is averaged away.
    """
    lowest_K, highest_K = np.full(bins, np.inf), np.full(bins, -np.inf)
    known_T = ~np.isnan(score_T)
    length = float(seconds_T.max(initial=0.0)) or 1.0
    bin_T = np.minimum((seconds_T / length * bins).astype(np.int64), bins - 1)
    np.minimum.at(lowest_K, bin_T[known_T], score_T[known_T])
    np.maximum.at(highest_K, bin_T[known_T], score_T[known_T])
    empty_K = np.isinf(lowest_K)
    lowest_K[empty_K] = highest_K[empty_K] = np.nan
    return lowest_K, highest_K


def _timelines(
    root: Root, shown: Sequence[tuple[Partition, dict[str, Any]]]
) -> Iterable[Timeline]:
    """Yield the timelines of the videos with events, reading only their camera-days."""
    thresholds: dict[Partition, dict[str, float]] = defaultdict(dict)
    for partition, row in shown:
        thresholds[partition][row["video"]] = row["threshold"]
    for partition in sorted(thresholds, key=lambda p: (p.camera, p.date)):
        table = _scores_of(root, partition, list(thresholds[partition]))
        for video in sorted(thresholds[partition]):
            rows = table.filter(pa.compute.equal(table["video"], video))
            if not len(rows):
                continue
            seconds_T = rows["seconds"].to_numpy()
            score_T = rows["score"].to_numpy()
            bins = max(1, min(TIMELINE_BINS, len(rows) // 2))
            lowest_K, highest_K = thin(seconds_T, score_T, bins)
            yield Timeline(
                video=video,
                camera=partition.camera,
                duration_seconds=float(seconds_T.max()),
                lowest_K=lowest_K,
                highest_K=highest_K,
                threshold=thresholds[partition][video],
            )


def _scores_of(root: Root, partition: Partition, videos: list[str]) -> pa.Table:
    table = read_partition(root, partition, columns=["video", "seconds", "score"])
    return table.filter(pc.is_in(table["video"], pa.array(videos, pa.string())))


def _bad_files(root: Root, archive: str, rows: Iterable[CatalogRow]) -> Iterable[BadFile]:
    for row in sorted(rows, key=lambda row: (row.status != "quarantined", row.uri)):
        if row.present and row.status in {"quarantined", "partial"}:
            words = ["anomaly", "retry", row.uri, "--archive", archive, "--root", root.url]
            yield BadFile(
                uri=row.uri,
                camera=row.camera,
                status=row.status,
                code=row.code or "",
                message=row.message or _lost(row),
                retry=shlex.join(words) if row.status == "quarantined" else "",
            )


def _lost(row: CatalogRow) -> str:
    return f"{row.frames_lost or 0} of {row.n_frames or 0} frames could not be decoded."


def _evaluations(root: Root, archive: str, checkpoint: str) -> list[dict[str, Any]]:
    data = root.read(RESULTS_KEY)
    rows = [] if data is None else parquet.decoded(data).to_pylist()
    return [row for row in rows if (row["archive"], row["checkpoint"]) == (archive, checkpoint)]


def _local(time_utc: datetime | None, time_zone: str) -> datetime | None:
    return None if time_utc is None else time_utc.astimezone(ZoneInfo(time_zone))
