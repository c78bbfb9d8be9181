"""How far cameras have drifted from what their models were fitted and judged on; a part of each night.

A camera's latest days are compared with held-out scores that the checkpoint keeps, and with stored features
of its training video. What is read does not grow with the archive: some camera-days of scores, and a few
stretches of features on either side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anomaly.catalog import Catalog, LedgerRow
from anomaly.checkpoints import load
from anomaly.errors import StoreError
from anomaly.fanout import FanOut, one_by_one
from anomaly.features import FeatureSpec
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.scores import ScoreSpec
from anomaly.scores.camera_drift import CameraDrift, publish_drift
from anomaly.scores.drift import (
    UNIT_SECONDS,
    Drift,
    Floats,
    Sample,
    feature_drift,
    score_drift,
    standardised,
    units_of,
)
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import Partition, read_partition
from anomaly.spec import from_dict
from anomaly.storage import Root, open_root
from anomaly.verbs.stored import by_video

RECENT_UNITS = 12
"""so many units of the latest days are wanted"""
RECENT_DAYS = 7
FEATURE_UNITS = 20
"""stretches of features that are read on either side"""
_UNIT_ROWS = 128
_UNIT_VECTORS = 10
_FEW_CAMERAS = 8
"""up to so many are measured here: to start workers would take longer"""
_LEAST_UNITS = 2


@dataclass(frozen=True, kw_only=True)
class DriftJob:
    """One camera."""

    root: str
    archive: str
    checkpoint: str
    camera: str
    learnt: tuple[_Video, ...]
    """that its model was fitted on"""
    recent: tuple[LedgerRow, ...]
    """what was scored on its latest days"""
    fresh: tuple[_Video, ...]
    """the same videos"""


@dataclass(frozen=True)
class _Video:
    content: str
    seconds: float
    ranges: Sequence[tuple[int, int]] | None = None
    """rows that may be looked at; None: all"""


def measure_drift(
    root: Root, archive: str, checkpoint: str, cameras: Collection[str], *, fan_out: FanOut
) -> None:
    """Measure and store the drift of some cameras."""
    jobs = _jobs(root, archive, checkpoint, cameras) if cameras else []
    spread = fan_out if len(jobs) > _FEW_CAMERAS else one_by_one
    for _ in spread(drift_job, jobs, label="drift"):
        pass


def _jobs(
    root: Root, archive: str, checkpoint: str, cameras: Collection[str]
) -> list[DriftJob]:
    """Return a job a camera; catalog and ledger are read once for all of them."""
    bundle = load(root, checkpoint)
    facts = bundle.facts(root)
    catalog = Catalog(root, archive)
    lengths = {row.content: row.duration_seconds or 1.0 for row in catalog.rows().values()}
    scored: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in catalog.scored(checkpoint).values():
        scored[row.camera].append(row)

    def job(camera: str) -> DriftJob:
        learnt = tuple(
            _Video(video["content"], lengths.get(video["content"], 1.0), video["ranges"])
            for video in facts[bundle.model_name(camera)].get("videos", [])
        )
        recent = _recent(scored[camera], {video.content for video in learnt}, lengths)
        return DriftJob(
            root=root.url,
            archive=archive,
            checkpoint=checkpoint,
            camera=camera,
            learnt=learnt,
            recent=tuple(recent),
            fresh=tuple(_Video(row.content, lengths.get(row.content, 1.0)) for row in recent),
        )

    return [job(camera) for camera in sorted(cameras)]


def drift_job(job: DriftJob) -> CameraDrift:
    """Measure and store the drift of one camera, wherever this runs; what is damaged gives a reason."""
    root = open_root(job.root)
    bundle = load(root, job.checkpoint)
    name, model = bundle.model_for(root, job.camera)
    seed = hashlib.sha256(f"{job.checkpoint}\n{job.camera}".encode()).hexdigest()[:15]
    generator = np.random.default_rng(int(seed, 16))
    found = CameraDrift(camera=job.camera, model=name)
    try:
        if job.recent:
            dates = sorted(row.date for row in job.recent)
            found = replace(found, first_date=dates[0], last_date=dates[-1])
            stages = ScoreStages.load(model.stages, from_dict(ScoreSpec, bundle.scores))
            found = _with_scores(found, root, job, stages, generator)
            found = _with_features(found, root, bundle.inputs, job, generator)
        else:
            found = replace(
                found, reason="no video was scored that the model has not learnt from"
            )
    except StoreError as error:
        found = replace(found, reason=str(error))
    publish_drift(root, job.archive, job.checkpoint, found)
    return found


def _recent(
    scored: Iterable[LedgerRow], learnt: Collection[str], lengths: Mapping[str | None, float]
) -> list[LedgerRow]:
    """Return the scored videos of a camera's latest days that its model has not learnt from."""
    of_day: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in scored:
        if row.content not in learnt:
            of_day[row.date].append(row)
    chosen: list[LedgerRow] = []
    units = 0
    for day in sorted(of_day, reverse=True)[:RECENT_DAYS]:
        if units < RECENT_UNITS:
            chosen += of_day[day]
            units += sum(
                1 + int(lengths.get(row.content, 1.0) // UNIT_SECONDS) for row in of_day[day]
            )
    return chosen


def _with_scores(
    found: CameraDrift,
    root: Root,
    job: DriftJob,
    stages: ScoreStages,
    generator: np.random.Generator,
) -> CameraDrift:
    if stages.reference is None:
        return replace(found, reason="the model was trained before reference scores were kept")
    recent = Sample.of(_score_units(root, job))
    if not recent.units:
        return replace(found, reason="no frame of the latest days is covered")
    return replace(found, scores=score_drift(stages.reference, recent, generator))


def _score_units(root: Root, job: DriftJob) -> Iterator[Floats]:
    of_day: dict[str, list[str]] = defaultdict(list)
    for row in job.recent:
        of_day[row.date].append(row.uri)
    for day, uris in of_day.items():
        partition = Partition(
            archive=job.archive, checkpoint=job.checkpoint, camera=job.camera, date=day
        )
        columns = ("video", "seconds", "score", "covered")
        for table in by_video(read_partition(root, partition, columns=columns), uris).values():
            score_T = table["score"].to_numpy()
            covered_T = table["covered"].to_numpy() & ~np.isnan(score_T)
            if len(score_T):
                yield from units_of(score_T, table["seconds"].to_numpy(), covered_T)


def _with_features(
    found: CameraDrift,
    root: Root,
    inputs: Mapping[str, FeatureSpec],
    job: DriftJob,
    generator: np.random.Generator,
) -> CameraDrift:
    store = FeatureStore(root)
    measured: dict[str, Drift] = {}
    for name, recipe in inputs.items():
        reference, recent = (
            Sample.of(_vector_units(store, recipe, videos, generator))
            for videos in (job.learnt, job.fresh)
        )
        if min(reference.units, recent.units) >= _LEAST_UNITS:
            measured[name] = feature_drift(*standardised(reference, recent), generator)
    missing = [name for name in inputs if name not in measured]
    reason = f"too few stored features of {', '.join(missing)}" if missing else ""
    return replace(
        found, features=measured, reason="; ".join(filter(None, (found.reason, reason)))
    )


def _vector_units(
    store: FeatureStore,
    recipe: FeatureSpec,
    videos: Sequence[_Video],
    generator: np.random.Generator,
) -> Iterator[Floats]:
    """Yield a few vectors of each of some units, spread evenly over the playing time of `videos`."""
    ends = np.cumsum([video.seconds for video in videos])
    if not len(ends):
        return
    seen: set[tuple[int, int]] = set()
    for moment in (np.arange(FEATURE_UNITS) + generator.random()) / FEATURE_UNITS * ends[-1]:
        number = int(np.searchsorted(ends, moment, side="right"))
        video = videos[number]
        share = 1 - (ends[number] - moment) / video.seconds
        unit = (number, int(share * video.seconds // UNIT_SECONDS))
        group = None if unit in seen else store.open(recipe, video.content)
        seen.add(unit)
        if group is not None:
            yield _vectors(group, video, float(share), generator)


def _vectors(
    group: FeatureGroup, video: _Video, share: float, generator: np.random.Generator
) -> Floats:
    """Return some vectors of the rows around a place, a share of the rows that may be looked at."""
    ranges = [(0, group.n_rows)] if video.ranges is None else video.ranges
    lengths = [stop - start for start, stop in ranges]
    row = int(share * sum(lengths))
    for (start, stop), length in zip(ranges, lengths, strict=True):
        if row < length:
            first = max(start, min(start + row, stop - _UNIT_ROWS))
            values_ND = group.read(first, min(stop, first + _UNIT_ROWS)).values_ND
            chosen = generator.permutation(len(values_ND))[:_UNIT_VECTORS]
            return np.asarray(values_ND[np.sort(chosen)], dtype=np.float64)
        row -= length
    return np.zeros((0, group.dimension))
