"""The whole story on one screen: what happens to an archive every night.

    look      find the videos, by name, size and time alone
    extract   decode what is new, store its features             (one job per video)
    score     model -> frame scores -> events, pictures, clips   (one job per camera-day)
    explain   where, when, like what: the highest new events, as far as a minute goes
    report    one HTML file for the morning

Each step skips what is done, so the night may be killed anywhere and started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anomaly.fanout import FanOut
from anomaly.features.store import FeatureStore
from anomaly.outcome import Outcome
from anomaly.report.render import render
from anomaly.runs import Stopwatch, recorded
from anomaly.storage import open_root
from anomaly.verbs.drift import measure_drift
from anomaly.verbs.explain import explain_new
from anomaly.verbs.look import look
from anomaly.verbs.score import ScoreSummary, choose_checkpoint, score_missing
from anomaly.video import ArchiveSpec
from anomaly.video.archive import select


@dataclass(frozen=True, kw_only=True)
class NightlySummary:
    """What a night came to."""

    new: int
    """videos that the catalog did not know, or knew in another state"""
    scoring: ScoreSummary
    report: str

    @property
    def troubled(self) -> tuple[Outcome, ...]:
        """Videos that newly gave no scores: bad files, and those to be tried again."""
        return self.scoring.extraction.troubled

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        extraction = self.scoring.extraction.to_json()
        return {
            "archive": self.scoring.archive,
            "checkpoint": self.scoring.checkpoint,
            "new": self.new,
            "scored": len(self.scoring.scored),
            "events": sum(row.n_events for row in self.scoring.scored),
            "quarantined": sum(outcome.status == "quarantined" for outcome in self.troubled),
            "failed": extraction["failed"],
            "frames": sum(row.n_frames for row in self.scoring.scored),
            "models": dict(self.scoring.models),
            "out_of_domain": [one.text for one in self.scoring.out_of_domain],
            "troubled": [
                {"video": o.uri, "status": o.status, "code": o.code, "message": o.message}
                for o in self.troubled
            ],
            "report": self.report,
        }


def nightly(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str = "",
    videos: Sequence[str] = (),
    keep_nights: int = 0,
    fan_out: FanOut,
) -> NightlySummary:
    """Scan, extract, score and report, only what is new; `keep_nights` > 0 drops older features.

    Raises:
        SpecError: the archive is missing or empty, the root cannot be written, or there is no
            checkpoint; nothing has been written then.
    """
    bundle = choose_checkpoint(open_root(root), checkpoint)
    watch = Stopwatch()
    with watch.stage("look"):
        seen = look(root, archive, check=lambda files: select(files, videos))
    files = seen.chosen(videos)
    new = [file for file in files if seen.rows[file.uri].status == "found"]
    with recorded(seen.root, seen.archive, "nightly", watch, checkpoint=bundle.name) as run:
        scoring = score_missing(seen, files, bundle, fan_out=watch.timed(fan_out))
        with watch.stage("drift"):
            cameras = {row.camera for row in scoring.scored}
            measure_drift(seen.root, seen.archive, bundle.name, cameras, fan_out=fan_out)
        with watch.stage("explain"):
            explain_new(seen.root, seen.archive, bundle, scoring.scored)
        run.tell(**scoring.run_facts(seen.catalog.rows()))  # for the report
        with watch.stage("report"):
            page = render(seen.root, seen.archive, bundle.name, time_zone=archive.time_zone)
        if keep_nights > 0:
            FeatureStore(seen.root).expire(nights=keep_nights)
    return NightlySummary(
        new=len(new),
        scoring=scoring,
        report=seen.root.address(page),
    )
