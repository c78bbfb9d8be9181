"""`score`: give every frame of every video a score, find events, cut their pictures and clips."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from anomaly.catalog import CatalogRow, Condition, LedgerRow, OutOfDomain, out_of_domain
from anomaly.checkpoints import POOLED, Checkpoint, Model, current, load, names
from anomaly.detectors import Detector, detectors
from anomaly.errors import SpecError, VideoError
from anomaly.explain.places import located
from anomaly.fanout import FanOut
from anomaly.features.store import FeatureStore
from anomaly.registry import unknown_name
from anomaly.report.media import cut_events
from anomaly.runs import Stopwatch, recorded
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.conditions import conditions, light
from anomaly.scores.domain import Domain, Outside, summed_up
from anomaly.scores.events import Event
from anomaly.scores.fit import score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import (
    Partition,
    event_rows,
    merge_events,
    merge_scores,
    partition_date,
    score_rows,
)
from anomaly.spec import fingerprint, from_dict
from anomaly.storage import Root, open_root
from anomaly.verbs.bags import clock_of, open_bag, open_group
from anomaly.verbs.context import Before, Contexts, context_seconds
from anomaly.verbs.extract import RECORD_SECONDS, ExtractSummary, extract_missing
from anomaly.verbs.look import Look, look
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import select

Place = tuple[str, str]
"""camera and date: a camera-day of one archive and checkpoint"""
Video = tuple[VideoFile, str]
"""a file and its content"""


@dataclass(frozen=True, kw_only=True)
class ScoreJob:
    """One camera-day: the unit in which scores become visible."""

    root: str
    partition: Partition
    videos: tuple[Video, ...]
    """videos to score now"""
    remove: tuple[str, ...] = ()
    """videos whose old rows go: renamed, or moved to another camera or day"""
    before: Mapping[str, tuple[Before, ...]] = field(default_factory=dict)
    """what each video's scores take into account of earlier videos"""


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """What a scoring run came to."""

    archive: str
    checkpoint: str
    videos: int
    """videos with scores, those of earlier runs counted"""
    scored: tuple[LedgerRow, ...]
    """videos scored now"""
    frames: int
    """frames with scores over all `videos`"""
    models: Mapping[str, int]
    """videos scored now by the model that scored them"""
    extraction: ExtractSummary
    seconds: float
    out_of_domain: tuple[OutOfDomain, ...] = ()
    """when cameras were unlike their training video, as far as videos scored now tell"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "archive": self.archive,
            "checkpoint": self.checkpoint,
            "videos": self.videos,
            "frames": self.frames,
            "scored": len(self.scored),
            "events": sum(row.n_events for row in self.scored),
            "models": dict(self.models),
            "out_of_domain": [one.text for one in self.out_of_domain],
            "seconds": round(self.seconds, 3),
            "extraction": self.extraction.to_json(),
        }

    def run_facts(self, rows: Mapping[str, CatalogRow]) -> dict[str, Any]:
        """Return the columns of `runs` that tell of this run; `rows` are those of the catalog."""
        lengths = [rows[row.uri].duration_seconds or 0.0 for row in self.scored]
        return {
            "videos": len(self.scored),
            "frames": sum(row.n_frames for row in self.scored),
            "video_seconds": sum(lengths),
            "events": sum(row.n_events for row in self.scored),
            **self.extraction.run_facts(),
        }


def score(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str = "",
    videos: Sequence[str] = (),
    fan_out: FanOut,
) -> ScoreSummary:
    """Score all (or the named) videos that the checkpoint has not scored yet.

    Raises:
        SpecError: there is no such checkpoint, or none to take when none is named.
    """
    bundle = choose_checkpoint(open_root(root), checkpoint)
    watch = Stopwatch()
    with watch.stage("look"):
        seen = look(root, archive, check=lambda files: select(files, videos))
    with recorded(seen.root, seen.archive, "score", watch, checkpoint=bundle.name) as run:
        summary = score_missing(seen, seen.chosen(videos), bundle, fan_out=watch.timed(fan_out))
        run.tell(**summary.run_facts(seen.catalog.rows()))
    return summary


def choose_checkpoint(root: Root, name: str) -> Checkpoint:
    """Return the named bundle, or the root's current one.

    Raises:
        SpecError: none is named and none is current; the message says how to train one.
    """
    chosen = name or current(root)
    if not chosen:
        raise SpecError(
            f"No checkpoint in {root.url!r} yet. Train one on normal video first: "
            f"anomaly train ARCHIVE --root {root.url} --videos 'GLOB OF NORMAL VIDEOS'"
        )
    if chosen not in names(root):
        raise unknown_name("checkpoint", chosen, names(root))
    return load(root, chosen)


def score_missing(
    seen: Look, files: Sequence[VideoFile], bundle: Checkpoint, *, fan_out: FanOut
) -> ScoreSummary:
    """Score those of `files` whose scores are missing or of another model; extract what they need."""
    begun = time.monotonic()
    ledger = seen.catalog.scored(bundle.name)
    stale, contexts, extraction = _stale(seen, files, bundle, ledger, fan_out)
    removals, jobs = _jobs(seen, stale, extraction.contents, bundle, ledger, contexts)
    _run(seen, bundle, removals, fan_out)
    scored = _run(seen, bundle, jobs, fan_out)
    chosen = {file.uri for file in files}
    rows_now = {
        uri: row
        for uri, row in {**ledger, **{r.uri: r for r in scored}}.items()
        if uri in chosen
    }
    now = {row.uri for row in scored}
    outside = [
        one
        for one in out_of_domain(seen.catalog.rows() if now else {}, rows_now.values())
        if now & set(one.videos)
    ]
    return ScoreSummary(
        archive=seen.archive,
        checkpoint=bundle.name,
        videos=len(rows_now),
        scored=tuple(sorted(scored, key=lambda row: row.uri)),
        frames=sum(row.n_frames for row in rows_now.values()),
        models=Counter(bundle.model_name(row.camera) for row in scored),
        extraction=extraction,
        seconds=time.monotonic() - begun,
        out_of_domain=tuple(outside),
    )


def _stale(
    seen: Look,
    files: Sequence[VideoFile],
    bundle: Checkpoint,
    ledger: Mapping[str, LedgerRow],
    fan_out: FanOut,
) -> tuple[list[VideoFile], Mapping[str, tuple[Before, ...]], ExtractSummary]:
    """Return what must be scored now, with its context, and the extraction of what that needs.

    What has just been extracted may belong to the context of videos that are scored already: those are
    stale too.
    """
    recipes = list(bundle.inputs.values())
    stale = [file for file in files if not _is_scored(seen, file, bundle, ledger)]
    reach = context_seconds(bundle.inputs)
    if not reach:
        return stale, {}, extract_missing(seen, stale, recipes, fan_out=fan_out)
    known = {file.uri for file in stale}
    contexts = Contexts.of(seen.catalog.rows().values(), reach)
    earlier = contexts.missing(file.uri for file in files) - known
    needed = [file for file in seen.files if file.uri in earlier]
    extraction = extract_missing(seen, [*stale, *needed], recipes, fan_out=fan_out)
    rows = seen.catalog.rows()
    contexts = Contexts.of(rows.values(), reach)
    late = [
        file
        for file in files
        if file.uri not in known and ledger[file.uri].context != contexts.digest(rows[file.uri])
    ]
    if late:
        extraction = extraction.and_then(extract_missing(seen, late, recipes, fan_out=fan_out))
    return (
        [*stale, *late],
        {file.uri: contexts.before(rows[file.uri]) for file in (*stale, *late)},
        extraction,
    )


def _run(
    seen: Look, bundle: Checkpoint, jobs: Sequence[ScoreJob], fan_out: FanOut
) -> list[LedgerRow]:
    """Run the jobs; what is published reaches the ledger every few seconds and at the end."""
    present = {file.uri for file in seen.files}
    scored: list[LedgerRow] = []
    waiting: list[LedgerRow] = []
    removed: set[str] = set()
    last = time.monotonic()

    def flush() -> None:
        nonlocal last
        if waiting or removed:
            seen.catalog.record_scored(bundle.name, waiting, removed - present)
        scored.extend(waiting)
        waiting.clear()
        removed.clear()
        last = time.monotonic()

    try:
        for job, rows in fan_out(score_job, jobs, label="score"):
            waiting += rows
            removed |= set(job.remove)
            if time.monotonic() - last > RECORD_SECONDS:
                flush()
    finally:
        flush()
    return scored


def score_job(job: ScoreJob) -> tuple[ScoreJob, list[LedgerRow]]:
    """Score one camera-day and publish it, wherever this runs."""
    root = open_root(job.root)
    bundle = load(root, job.partition.checkpoint)
    scorer = Scorer(root, bundle, job.partition.camera)
    tables: dict[str, pa.Table] = {}
    events: dict[str, pa.Table] = {}
    rows: list[LedgerRow] = []
    for file, content in job.videos:
        before = job.before.get(file.uri, ())
        scores, found, outside = scorer.score(file, content, before)
        tables[file.uri] = score_rows(file, content, scores, scorer.model_name)
        found = _with_media(root, file, content, found)
        seconds_outside, reasons = summed_up(outside, scores)
        troubles, brightness = scorer.seen(file, content, outside)
        events[file.uri] = event_rows(file, content, found, scorer.model_name, tables[file.uri])
        rows.append(
            LedgerRow(
                uri=file.uri,
                content=content,
                camera=job.partition.camera,
                date=job.partition.date,
                model_digest=bundle.digest(job.partition.camera),
                n_frames=len(scores),
                n_events=len(found),
                context=fingerprint(list(before)) if before else "",
                seconds_outside=seconds_outside,
                outside=", ".join(reasons),
                conditions=troubles,
                light=brightness,
            )
        )
    merge_events(root, job.partition, events, remove=set(job.remove))
    merge_scores(root, job.partition, tables, remove=set(job.remove))
    return replace(job, videos=()), rows


class Scorer:
    """The model of one camera, ready to score its videos."""

    def __init__(self, root: Root, bundle: Checkpoint, camera: str) -> None:
        self.store = FeatureStore(root)
        self.bundle = bundle
        self.camera = camera
        self.model_name, model = bundle.model_for(root, camera)
        self.detector = build_detector(bundle, model)
        self.stages = ScoreStages.load(model.stages, from_dict(ScoreSpec, bundle.scores))
        # What other cameras show says nothing of this one.
        self.domain = None if self.model_name == POOLED else Domain.from_state(model.domain)

    def score(
        self, file: VideoFile, content: str, before: Sequence[Before] = ()
    ) -> tuple[FrameScores, list[Event], tuple[Outside, ...]]:
        """Return frame scores, events and stretches out of domain of one video, from stored features."""
        inputs = self.bundle.inputs
        clock = clock_of(file.start_time)
        bag = open_bag(
            self.store,
            inputs,
            file.uri,
            self.camera,
            content,
            before=before,
            clock_hours=clock,
        )
        group = open_group(self.store, next(iter(inputs.values())), file.uri, content)
        picture = group.picture()
        outside: tuple[Outside, ...] = ()
        if self.domain is not None and picture is not None:
            outside = self.domain.outside(picture, group.seconds_T())
        scores, events = score_bag(self.detector, bag, group, self.stages, outside)
        size = int(group.attributes["height"]), int(group.attributes["width"])
        return scores, located(self.detector, bag, group.index_T(), events, size), outside

    def seen(
        self, file: VideoFile, content: str, outside: Sequence[Outside]
    ) -> tuple[tuple[Condition, ...], tuple[int, ...] | None]:
        """Return when the picture was not as it should be, and the course of its light."""
        recipe = next(iter(self.bundle.inputs.values()))
        group = open_group(self.store, recipe, file.uri, content)
        picture, seconds_T = group.picture(), group.seconds_T()
        if picture is None:
            return (), None
        return conditions(picture, seconds_T, outside), light(picture, seconds_T)


def build_detector(bundle: Checkpoint, model: Model) -> Detector:
    """Return the fitted detector of one model of a bundle."""
    detector = detectors().get(bundle.detector).build(bundle.parameters, bundle.inputs)
    detector.load_state(model.detector)
    return detector


def _is_scored(
    seen: Look, file: VideoFile, bundle: Checkpoint, ledger: Mapping[str, LedgerRow]
) -> bool:
    row = ledger.get(file.uri)
    return (
        row is not None
        and row.content == seen.rows[file.uri].content
        and row.camera == file.camera
        and row.date == partition_date(file.date, row.content)
        and row.model_digest == bundle.digest(file.camera)
    )


def _jobs(
    seen: Look,
    files: Sequence[VideoFile],
    contents: Mapping[str, str],
    bundle: Checkpoint,
    ledger: Mapping[str, LedgerRow],
    contexts: Mapping[str, tuple[Before, ...]],
) -> tuple[list[ScoreJob], list[ScoreJob]]:
    """Return the jobs that only take old rows away, then those that score; one for each camera-day.

    Old rows of a renamed video go in the same step that brings the new ones when both lie in one
    camera-day. Else they go first: a reader may miss a video for a while, but never sees it twice.
    """
    arriving: dict[Place, list[Video]] = defaultdict(list)
    for file in files:
        if file.uri in contents:
            content = contents[file.uri]
            arriving[file.camera, partition_date(file.date, content)].append((file, content))
    place_of = {file.uri: place for place, videos in arriving.items() for file, _ in videos}
    places = {(place, content) for place, videos in arriving.items() for _, content in videos}
    fresh = {content for _, content in places}
    present = {file.uri for file in seen.files}
    first: dict[Place, list[str]] = defaultdict(list)
    together: dict[Place, list[str]] = defaultdict(list)
    for uri, row in ledger.items():
        old = (row.camera, row.date)
        renamed = uri not in present and row.content in fresh
        if place_of.get(uri, old) != old or (renamed and (old, row.content) not in places):
            first[old].append(uri)
        elif renamed:
            together[old].append(uri)

    def job(place: Place, videos: Sequence[Video], remove: Sequence[str]) -> ScoreJob:
        camera, date = place
        day = Partition(archive=seen.archive, checkpoint=bundle.name, camera=camera, date=date)
        before = {file.uri: contexts[file.uri] for file, _ in videos if file.uri in contexts}
        return ScoreJob(
            root=seen.root.url,
            partition=day,
            videos=tuple(videos),
            remove=tuple(remove),
            before=before,
        )

    return (
        [job(place, (), uris) for place, uris in sorted(first.items())],
        [job(place, arriving[place], together[place]) for place in sorted(arriving)],
    )


def _with_media(root: Root, file: VideoFile, content: str, events: list[Event]) -> list[Event]:
    """Cut pictures and clips of the events; a video that went away meanwhile leaves none."""
    if not events:
        return events
    try:
        return cut_events(root, file, content, events)
    except VideoError:
        return events
