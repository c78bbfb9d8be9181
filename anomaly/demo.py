"""`demo`: a small archive is made, learnt, scanned, evaluated and reported, and the truth is told.

The archive is drawn, not downloaded; what was planted is known, so the demo says what was found, what
was missed and what was a false alarm.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly.fanout import FanOut
from anomaly.nightly import NightlySummary, nightly
from anomaly.scores import ScoreSpec
from anomaly.storage import open_root
from anomaly.verbs.evaluate import EvaluateSummary, evaluate
from anomaly.verbs.query import query
from anomaly.verbs.report import report
from anomaly.verbs.train import TrainRequest, TrainSummary, train
from anomaly.video import ArchiveSpec
from anomaly.video.synthetic import (
    NORMAL_GLOB,
    PATTERN,
    SCAN_GLOB,
    TIME_ZONE,
    Planted,
    make_archive,
)

BUDGET = 24.0
"""false alarms a camera-day, one an hour: three minutes of normal video say too little of a whole day"""
TOP_VIDEOS = """
SELECT camera, video, round(max(score), 1) AS peak, count(*) AS frames
FROM current_scores GROUP BY ALL ORDER BY peak DESC LIMIT 5
""".strip()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One planted event, and the best event that overlaps it."""

    planted: Planted
    rank: int | None
    """place among all events, from 1; None when it was missed"""


@dataclass(frozen=True, kw_only=True)
class DemoSummary:
    """What the demo came to."""

    training: TrainSummary
    night: NightlySummary
    evaluation: EvaluateSummary
    findings: tuple[Finding, ...]
    false_alarms: tuple[dict[str, Any], ...]
    query: str
    query_rows: tuple[dict[str, Any], ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "checkpoint": self.training.checkpoint,
            "planted": [
                {
                    "video": f.planted.video,
                    "kind": f.planted.kind,
                    "start_frame": f.planted.start_frame,
                    "stop_frame": f.planted.stop_frame,
                    "found": f.rank is not None,
                    "rank": f.rank,
                }
                for f in self.findings
            ],
            "found": sum(f.rank is not None for f in self.findings),
            "missed": sum(f.rank is None for f in self.findings),
            "false_alarms": len(self.false_alarms),
            "frame_auc_micro": self.evaluation.to_json()["frame_auc_micro"],
            "frame_auc_micro_interval": self.evaluation.to_json()["frame_auc_micro_interval"],
            "report": self.night.report,
            "seconds": round(self.seconds, 1),
        }


def demo(root: str, *, seed: int = 0, fan_out: FanOut) -> DemoSummary:
    """Make the archive beside the root's tables and run everything over it."""
    begun = time.monotonic()
    folder = Path(open_root(root).url) / "demo-archive"
    planted = make_archive(folder, seed=seed, fan_out=fan_out)
    archive = ArchiveSpec(root=str(folder), name="demo", pattern=PATTERN, time_zone=TIME_ZONE)
    request = TrainRequest(
        videos=(NORMAL_GLOB,), scores=ScoreSpec(alarms_per_camera_day=BUDGET)
    )
    training = train(root, archive, request, fan_out=fan_out)
    night = nightly(root, archive, videos=(SCAN_GLOB,), fan_out=fan_out)
    labels = str(folder / "labels.csv")
    evaluation = evaluate(root, archive, labels=labels, videos=(SCAN_GLOB,))
    report(root, archive)
    events = _events(root, training.checkpoint)
    findings = tuple(_find(one, events) for one in planted)
    return DemoSummary(
        training=training,
        night=night,
        evaluation=evaluation,
        findings=findings,
        false_alarms=tuple(e for e in events if not any(_overlaps(e, p) for p in planted)),
        query=TOP_VIDEOS,
        query_rows=tuple(query(open_root(root), TOP_VIDEOS).to_pylist()),
        seconds=time.monotonic() - begun,
    )


def _events(root: str, checkpoint: str) -> list[dict[str, Any]]:
    rows = query(
        open_root(root), "SELECT * FROM events ORDER BY score DESC, event_id"
    ).to_pylist()
    return [row for row in rows if row["archive"] == "demo" and row["checkpoint"] == checkpoint]


def _find(planted: Planted, events: Sequence[dict[str, Any]]) -> Finding:
    ranks = (rank for rank, event in enumerate(events, 1) if _overlaps(event, planted))
    return Finding(planted=planted, rank=next(ranks, None))


def _overlaps(event: dict[str, Any], planted: Planted) -> bool:
    return (
        event["video"] == planted.video
        and event["start_frame"] < planted.stop_frame
        and planted.start_frame < event["stop_frame"]
    )
