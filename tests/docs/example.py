"""The small root that the page of queries speaks of: two cameras, two days, two checkpoints.

Its tables are written by the functions that write those of a real root; scores are drawn by hand, so that
answers are the same to the last digit on any machine.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from anomaly import parquet
from anomaly.catalog import Catalog, LedgerRow
from anomaly.evaluation.results import RESULTS_KEY, RESULTS_SCHEMA
from anomaly.outcome import Outcome
from anomaly.runs import RUNS_SCHEMA, Run, SlowFile
from anomaly.scores import FrameScores, Part, ScoreSpec
from anomaly.scores.events import Event, find_events
from anomaly.scores.tables import (
    Partition,
    event_rows,
    merge_events,
    merge_scores,
    score_rows,
)
from anomaly.scores.verdicts import Verdict, add_verdicts
from anomaly.storage import Root, open_root
from anomaly.verbs.look import init_root
from anomaly.video import VideoFile

ZONE = ZoneInfo("Europe/Amsterdam")
RATE = 5
SECONDS = 600
PARTS = (Part("motion", (6, 8)), Part("static", (6, 8)))

# camera, day of March, hour, and what happens: from second, to second, height, part, grid place
VIDEOS = (
    ("gate", 2, 8, ((120, 131, 6.2, 0, (3, 4)),)),
    ("gate", 2, 9, ((40, 44, 3.9, 0, (3, 5)), (400, 430, 5.1, 1, (1, 1)))),
    ("gate", 3, 8, ((300, 306, 4.2, 0, (3, 4)),)),
    ("yard", 2, 8, ((131, 140, 4.8, 0, (2, 6)),)),
    ("yard", 2, 21, ((10, 14, 3.6, 0, (5, 0)), (200, 205, 3.7, 0, (5, 0)))),
    ("yard", 3, 21, ((60, 66, 3.5, 0, (5, 0)),)),
)
SAID = (
    ("gate/20260302_080000.mp4", "real", "climbs the fence"),
    ("gate/20260302_090000.mp4", "real", ""),
    ("yard/20260302_210000.mp4", "false", "moth at the lamp"),
)


def make_example(url: str) -> Root:
    """Fill the root at `url` and return it."""
    root = open_root(url)
    init_root(root)
    files = [_file(camera, day, hour) for camera, day, hour, _ in VIDEOS]
    bad = replace(_file("yard", 3, 22), bytes=1_048_576)
    catalog = Catalog(root, "site")
    catalog.look([*files, bad])
    found = [Outcome(uri=f.uri, status="ok", content=_content(n)) for n, f in enumerate(files)]
    found[3] = replace(found[3], status="partial", code="frames_lost", message="30 frames lost")
    refused = Outcome(uri=bad.uri, status="quarantined", code="unreadable", message="no stream")
    facts = {
        one.content: {
            "n_frames": RATE * SECONDS,
            "rate": float(RATE),
            "height": 480,
            "width": 640,
            "codec": "h264",
            "duration_seconds": float(SECONDS),
            "frames_lost": 30 * (number == 3),
        }
        for number, one in enumerate(found)
    }
    catalog.record([*found, refused], facts)
    for checkpoint, shift in (("may", -0.4), ("june", 0.0)):
        for number, file in enumerate(files):
            _score(root, catalog, checkpoint, file, number, shift)
    root.publish_json("checkpoints/current.json", {"checkpoint": "june"})
    _judge(root)
    _evaluate(root)
    _run(root)
    return root


def _file(camera: str, day: int, hour: int) -> VideoFile:
    start = datetime(2026, 3, day, hour, tzinfo=ZONE)
    uri = f"{camera}/{start:%Y%m%d_%H%M%S}.mp4"
    return VideoFile(
        archive="site", uri=uri, location=f"/archive/{uri}", bytes=52_428_800, modified="0",
        camera=camera, start_time=start,
    )  # fmt: skip


def _content(number: int) -> str:
    return f"{number:064x}"


def _score(
    root: Root, catalog: Catalog, checkpoint: str, file: VideoFile, number: int, shift: float
) -> None:
    scores = _scores(number, shift)
    threshold = 3.0
    events = [
        replace(event, one_in_days=_rarity(event))
        for event in find_events(scores, threshold, ScoreSpec())
    ]
    content, camera = _content(number), file.camera
    date = str(file.date)
    day = Partition(archive="site", checkpoint=checkpoint, camera=camera, date=date)
    rows = score_rows(file, content, scores, camera)
    merge_scores(root, day, {file.uri: rows})
    merge_events(root, day, {file.uri: event_rows(file, content, events, camera, rows)})
    row = LedgerRow(
        uri=file.uri, content=content, camera=camera, date=date, model_digest="m",
        n_frames=len(scores), n_events=len(events),
    )  # fmt: skip
    catalog.record_scored(checkpoint, [row])


def _scores(number: int, shift: float) -> FrameScores:
    """A calm course with what happens in the video on top of it."""
    n_frames = RATE * SECONDS
    score_T = ((np.arange(n_frames) * 7 + number * 3) % 20) / 20
    part_T = np.zeros(n_frames, dtype=np.int8)
    place_T2 = np.full((n_frames, 2), (0, 0), dtype=np.int16)
    for start, stop, height, part, place in VIDEOS[number][3]:
        inside = slice(start * RATE, stop * RATE)
        score_T[inside] = height + shift * part - 0.1
        score_T[(start + stop) * RATE // 2] = height + shift * part
        part_T[inside], place_T2[inside] = part, place
    covered_T = np.ones(n_frames, dtype=bool)
    if number == 3:
        covered_T[100:130] = False
    seconds_T = np.arange(n_frames) / RATE
    return FrameScores(score_T, score_T, covered_T, seconds_T, place_T2, PARTS, part_T)


def _rarity(event: Event) -> float:
    return round(float(10 ** (event.score - 3.5)), 2)


def _judge(root: Root) -> None:
    from anomaly.scores.tables import read_events

    events = read_events(root, "site", "june").to_pylist()
    for number, (video, said, note) in enumerate(SAID):
        row = next(row for row in events if row["video"] == video)
        verdict = Verdict(
            event_id=row["event_id"], archive="site", camera=video.split("/", maxsplit=1)[0], video=video,
            start_seconds=row["start_seconds"], stop_seconds=row["stop_seconds"],
            verdict=said, note=note,  # type: ignore[arg-type]
            decided_at=datetime(2026, 3, 4, 7, number, tzinfo=UTC),
        )  # fmt: skip
        add_verdicts(root, [verdict])


def _evaluate(root: Root) -> None:
    figures = (("may", 0.912, 0.871, 0.95), ("june", 0.934, 0.902, 0.961))
    rows = [
        {
            "archive": "site", "checkpoint": checkpoint, "label_set": "5a1c0e77b2d4",
            "metric": "frame_auc_micro", "value": value, "low": low, "high": high,
            "frames": 18_000, "videos": 6, "videos_left_out": 0,
            "evaluated_at": datetime(2026, 3, 4, 6, tzinfo=UTC),
        }
        for checkpoint, value, low, high in figures
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)
    root.publish(RESULTS_KEY, parquet.encoded(table))


def _run(root: Root) -> None:
    runs = [
        Run(
            run_id=f"{night:032x}", archive="site", verb="nightly", checkpoint="june", status="finished",
            started_at=datetime(2026, 3, 2 + night, 1, tzinfo=UTC),
            ended_at=datetime(2026, 3, 2 + night, 1, tzinfo=UTC) + timedelta(seconds=wall),
            wall_seconds=wall, videos=videos, video_seconds=600.0 * videos, events=events,
            extracted_videos=videos, extracted_seconds=600.0 * videos, work_seconds=work,
            slowest=(SlowFile(video=slow, work_seconds=work / 2, video_seconds=600.0),),
        )
        for night, wall, videos, events, work, slow in (
            (1, 40.0, 4, 6, 64.0, "gate/20260302_090000.mp4"),
            (2, 25.0, 2, 2, 38.0, "yard/20260303_210000.mp4"),
        )
    ]  # fmt: skip
    table = pa.Table.from_pylist([asdict(run) for run in runs], schema=RUNS_SCHEMA)
    root.publish("runs/archive=site/runs.parquet", parquet.encoded(table))


if __name__ == "__main__":
    import sys

    make_example(str(Path(sys.argv[1]).absolute()))
