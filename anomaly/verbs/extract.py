"""`extract`: store the features of every video that has none yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from anomaly.fanout import EXTRACT, FanOut
from anomaly.features import FeatureSpec
from anomaly.features.extract import extract_video
from anomaly.features.store import FeatureStore
from anomaly.outcome import Outcome
from anomaly.runs import Stopwatch, extraction_facts, recorded
from anomaly.storage import open_root
from anomaly.verbs.forecast import Forecast, known_forecast
from anomaly.verbs.look import Look, look
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import select

RECORD_SECONDS = 10.0
"""how often outcomes of a running stage reach the catalog"""


@dataclass(frozen=True, kw_only=True)
class ExtractJob:
    """The features of one video."""

    root: str
    file: VideoFile
    recipes: tuple[FeatureSpec, ...]
    cross_check: float = 0.0
    """share of videos that a second decoder reads too"""


@dataclass(frozen=True, kw_only=True)
class ExtractSummary:
    """What an extraction came to."""

    archive: str
    outcomes: tuple[Outcome, ...]
    recipes: tuple[FeatureSpec, ...]
    seconds: float
    known_bad: frozenset[str] = frozenset()
    """videos that were in quarantine before and were left alone"""
    forecast: Forecast | None = None
    """what was expected of the videos that were to be extracted; None where no pace was known"""

    def and_then(self, more: ExtractSummary) -> ExtractSummary:
        """Return what both extractions came to."""
        outcomes = sorted((*self.outcomes, *more.outcomes), key=lambda outcome: outcome.uri)
        return replace(
            self,
            outcomes=tuple(outcomes),
            seconds=self.seconds + more.seconds,
            known_bad=self.known_bad | more.known_bad,
        )

    @property
    def contents(self) -> dict[str, str]:
        """Content of each video whose features are in the store, by uri."""
        good = {"ok", "skipped", "partial"}
        return {o.uri: o.content for o in self.outcomes if o.status in good}

    @property
    def troubled(self) -> tuple[Outcome, ...]:
        """Videos that newly gave no features: the file is bad, or the world was."""
        return tuple(
            o
            for o in self.outcomes
            if o.status in {"quarantined", "failed"} and o.uri not in self.known_bad
        )

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        return {
            "archive": self.archive,
            "videos": len(self.outcomes),
            "frames": sum(outcome.frames for outcome in self.outcomes),
            "frames_lost": sum(outcome.frames_lost for outcome in self.outcomes),
            "bytes_written": sum(outcome.bytes_written for outcome in self.outcomes),
            "seconds": round(self.seconds, 3),
            "forecast": self._against_forecast(),
            "cross_check": self._cross_check(),
            **{s: counts[s] for s in ("ok", "skipped", "partial", "quarantined", "failed")},
            "troubled": [
                {"video": o.uri, "status": o.status, "code": o.code, "message": o.message}
                for o in self.troubled
            ],
        }

    def run_facts(self) -> dict[str, Any]:
        """Return the columns of `runs` that tell of this extraction."""
        return {
            **extraction_facts(self.outcomes),
            "videos_bad": len(self.troubled),
            **({} if self.forecast is None else self.forecast.run_facts()),
        }

    def _cross_check(self) -> dict[str, int] | None:
        """Return what second decoders saw; None where none was asked."""
        checked = [outcome for outcome in self.outcomes if outcome.frames_compared]
        if not checked:
            return None
        return {
            "videos": len(checked),
            "videos_disagreeing": sum(o.code == "decoders_disagree" for o in checked),
            "frames": sum(o.frames_compared for o in checked),
            "frames_disagreeing": sum(o.frames_disagreeing for o in checked),
        }

    def _against_forecast(self) -> dict[str, Any] | None:
        """Return what was expected beside what it came to; seconds are those of all workers together."""
        if self.forecast is None:
            return None
        done = [outcome for outcome in self.outcomes if outcome.seconds]
        expected, actual = self.forecast.work_hours * 3600, sum(o.seconds for o in done)
        return {
            "work_seconds": round(expected, 1),
            "actual_work_seconds": round(actual, 1),
            "actual_over_forecast": round(actual / expected, 3) if expected else None,
            "hours": round(self.forecast.hours, 4),
            "actual_hours": round(sum(o.duration_seconds for o in done) / 3600, 4),
            "bytes_written": self.forecast.bytes_written,
            "actual_bytes_written": sum(o.bytes_written for o in done),
        }


@dataclass
class _Recorder:
    """Brings outcomes to the catalog in batches: one write for many videos."""

    seen: Look
    recipe: FeatureSpec
    waiting: list[Outcome] = field(default_factory=list)
    last: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        self.waiting.append(outcome)
        if time.monotonic() - self.last > RECORD_SECONDS:
            self.flush()

    def flush(self) -> None:
        store = FeatureStore(self.seen.root)
        facts = {}
        for outcome in self.waiting:
            if outcome.status in {"ok", "partial"} or (
                outcome.status == "skipped" and self.seen.rows[outcome.uri].n_frames is None
            ):
                group = store.open(self.recipe, outcome.content)
                facts[outcome.content] = {} if group is None else group.catalog_facts()
        self.seen.catalog.record(self.waiting, facts, self.seen.rows)
        self.waiting.clear()
        self.last = time.monotonic()


def extract(
    root: str,
    archive: ArchiveSpec,
    recipes: Sequence[FeatureSpec],
    *,
    videos: Sequence[str] = (),
    cross_check: float = 0.0,
    fan_out: FanOut,
) -> ExtractSummary:
    """Extract the features of all (or the named) videos that the store does not hold yet.

    A second decoder reads the share `cross_check` of them too, to compare.
    """
    watch = Stopwatch()
    with watch.stage("look"):
        seen = look(root, archive, check=lambda files: select(files, videos))
    with recorded(seen.root, seen.archive, "extract", watch) as run:
        summary = extract_missing(
            seen,
            seen.chosen(videos),
            recipes,
            cross_check=cross_check,
            fan_out=watch.timed(fan_out),
        )
        done = [outcome for outcome in summary.outcomes if outcome.status in {"ok", "partial"}]
        run.tell(
            videos=len(done),
            frames=sum(outcome.frames for outcome in done),
            video_seconds=sum(outcome.duration_seconds for outcome in done),
            **summary.run_facts(),
        )
    return summary


def extract_missing(
    seen: Look,
    files: Sequence[VideoFile],
    recipes: Sequence[FeatureSpec],
    *,
    cross_check: float = 0.0,
    fan_out: FanOut,
) -> ExtractSummary:
    """Extract what is missing for `files`; quarantined ones are left alone."""
    begun = time.monotonic()
    done, jobs = _deal(seen, files, recipes, cross_check)
    recorder = _Recorder(seen, recipes[0])
    outcomes = list(done)
    expected = known_forecast(seen, [job.file for job in jobs], recipes)
    try:
        for outcome in fan_out(extract_job, jobs, label=EXTRACT):
            outcomes.append(outcome)
            recorder.add(outcome)
    finally:
        recorder.flush()
    return ExtractSummary(
        archive=seen.archive,
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.uri)),
        recipes=tuple(recipes),
        seconds=time.monotonic() - begun,
        known_bad=frozenset(o.uri for o in done if o.status == "quarantined"),
        forecast=expected,
    )


def extract_job(job: ExtractJob) -> Outcome:
    """Extract one video, wherever this runs."""
    return extract_video(
        open_root(job.root), job.file, job.recipes, cross_check=job.cross_check
    )


def _deal(
    seen: Look, files: Sequence[VideoFile], recipes: Sequence[FeatureSpec], cross_check: float
) -> tuple[list[Outcome], list[ExtractJob]]:
    """Say what is done (or hopeless) already, and make jobs of the rest."""
    store = FeatureStore(seen.root)
    stored = {content for f in files if (content := seen.rows[f.uri].content)}
    for recipe in recipes:
        stored &= store.complete(recipe, stored)
    done, jobs = [], []
    for file in files:
        row = seen.rows[file.uri]
        if row.status == "quarantined":
            code, message = row.code or "", row.message or ""
            done.append(Outcome(uri=file.uri, status="quarantined", code=code, message=message))
        elif row.content in stored:
            done.append(_skipped(file.uri, row.content or "", row.n_frames, row.frames_lost))
        else:
            job = ExtractJob(
                root=seen.root.url, file=file, recipes=tuple(recipes), cross_check=cross_check
            )
            jobs.append(job)
    return done, _largest_first(jobs)


def _largest_first(jobs: list[ExtractJob]) -> list[ExtractJob]:
    """Put the largest files first: the last one to finish decides how long the stage takes."""
    return sorted(jobs, key=lambda job: (-job.file.bytes, job.file.uri))


def _skipped(uri: str, content: str, frames: int | None, lost: int | None) -> Outcome:
    return Outcome(
        uri=uri, status="skipped", content=content, frames=frames or 0, frames_lost=lost or 0
    )
