"""A small root with everything a report shows, made from real pictures by the real functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from anomaly.catalog import Catalog, LedgerRow, init_catalog
from anomaly.evaluation.results import RESULTS_SCHEMA
from anomaly.outcome import Outcome
from anomaly.report.media import cut_events
from anomaly.scores import FrameScores, Part, ScoreSpec
from anomaly.scores.events import Event, find_events
from anomaly.scores.tables import (
    Partition,
    event_rows,
    init_tables,
    merge_events,
    merge_scores,
    score_rows,
)
from anomaly.storage import Root, open_root
from anomaly.video import VideoFile
from anomaly.video.content import content_of
from anomaly.video.synthetic import ENTRANCE, LOADING_DOCK, TIME_ZONE, Clip, Planted, film

HOSTILE = "<script>document.title='owned'</script>\"'&.mp4"


@dataclass(frozen=True)
class Scanned:
    """A root after a scan."""

    root: Root
    files: tuple[VideoFile, ...]
    planted: tuple[Planted, ...]


def video_file(path: Path, camera: str, hour: int) -> VideoFile:
    zone = ZoneInfo(TIME_ZONE)
    return VideoFile(
        archive="site & co",
        uri=f"{camera}/{path.name}",
        location=str(path),
        bytes=path.stat().st_size,
        modified=str(path.stat().st_mtime_ns),
        camera=camera,
        start_time=datetime(2026, 3, 2, hour, tzinfo=zone),
    )


def scores_with(planted: Planted, rate: float) -> FrameScores:
    """Low noise, and a bump where the event is."""
    generator = np.random.default_rng(planted.n_frames)
    frames = np.arange(planted.n_frames)
    middle = (planted.start_frame + planted.stop_frame) / 2
    bump = 9 * np.exp(-(((frames - middle) / 14) ** 2))
    score_T = 0.4 + 0.3 * generator.random(planted.n_frames) + bump
    place_T2 = np.full((planted.n_frames, 2), 6, dtype=np.int16)
    covered_T = np.ones(planted.n_frames, dtype=bool)
    return FrameScores(
        score_T, score_T, covered_T, frames / rate, place_T2, (Part("motion", (13, 18)),)
    )


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, Planted], ...]:
    folder = tmp_path_factory.mktemp("archive")
    wanted = [
        (ENTRANCE, "fast_mover", "20260302_080000.mp4"),
        (LOADING_DOCK, "wrong_way", "20260302_090000.mp4"),
        (LOADING_DOCK, "left_object", HOSTILE.replace("/", "_")),
    ]
    made = []
    for number, (view, kind, name) in enumerate(wanted):
        path = folder / view.name / name
        clip = Clip(view=view, path=path, kind=kind, seconds=14.0, seed=(3, number))
        planted = film(clip)[1]
        assert planted is not None
        made.append((path, planted))
    return tuple(made)


@pytest.fixture(scope="session")
def scanned(
    clips: tuple[tuple[Path, Planted], ...], tmp_path_factory: pytest.TempPathFactory
) -> Scanned:
    root = open_root(str(tmp_path_factory.mktemp("root")))
    init_catalog(root)
    init_tables(root)
    files = tuple(
        video_file(path, planted.camera, 8 + number)
        for number, (path, planted) in enumerate(clips)
    )
    broken = clips[0][0].parent / "<b>broken.mp4"
    broken.write_bytes(b"not a video at all")
    bad = video_file(broken, "entrance", 12)
    catalog = Catalog(root, "site & co")
    catalog.look([*files, bad])
    outcomes = [
        Outcome(uri=file.uri, status="ok", content=content_of(Path(file.location), "file"))
        for file in files
    ]
    refusal = Outcome(
        uri=bad.uri, status="quarantined", code="unreadable", message="No <header> found."
    )
    facts = {outcome.content: {"duration_seconds": 14.0} for outcome in outcomes}
    catalog.record([*outcomes, refusal], facts)
    for file, outcome, (_, planted) in zip(files, outcomes, clips, strict=True):
        _score(root, catalog, file, outcome.content, planted)
    _evaluate(root)
    return Scanned(root, files, tuple(planted for _, planted in clips))


def _score(
    root: Root, catalog: Catalog, file: VideoFile, content: str, planted: Planted
) -> None:
    scores = scores_with(planted, 12.5)
    found: list[Event] = find_events(scores, 3.0, ScoreSpec())
    assert len(found) == 1
    found = [replace(event, one_in_days=planted.n_frames / 4) for event in found]
    found = cut_events(root, file, content, found)
    rows = score_rows(file, content, scores, file.camera)
    partition = Partition(
        archive=file.archive, checkpoint="knn-1", camera=file.camera, date="2026-03-02"
    )
    merge_scores(root, partition, {file.uri: rows})
    merge_events(
        root, partition, {file.uri: event_rows(file, content, found, file.camera, rows)}
    )
    ledger = LedgerRow(
        uri=file.uri,
        content=content,
        camera=file.camera,
        date="2026-03-02",
        model_digest="m",
        n_frames=len(scores),
        n_events=1,
    )
    catalog.record_scored("knn-1", [ledger])


def _evaluate(root: Root) -> None:
    import io

    import pyarrow.parquet as pq

    row = {
        "archive": "site & co",
        "checkpoint": "knn-1",
        "label_set": "labels",
        "metric": "frame_auc_micro",
        "value": 0.9712,
        "low": 0.95,
        "high": 0.99,
        "frames": 525,
        "videos": 3,
        "videos_left_out": 0,
        "evaluated_at": datetime(2026, 3, 3, tzinfo=ZoneInfo("UTC")) + timedelta(hours=1),
    }
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], schema=RESULTS_SCHEMA), sink)
    root.publish("evaluations/results.parquet", sink.getvalue())
