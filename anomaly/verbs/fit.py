"""One fit: which videos, what is known of them, and what becomes of it, wherever it runs."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from anomaly.checkpoints import Model, all_videos, training_state
from anomaly.datasets.labels import IGNORED
from anomaly.detectors import FitContext, detectors
from anomaly.features import FeatureSpec
from anomaly.features.store import FeatureStore
from anomaly.scores import ScoreSpec
from anomaly.scores.domain import Domain, Seen
from anomaly.scores.fit import fit_model
from anomaly.spec import fingerprint, to_dict
from anomaly.storage import open_root
from anomaly.verbs.bags import Ranges, open_bag, open_group
from anomaly.verbs.context import Before
from anomaly.verbs.start import start_of
from anomaly.verbs.watch import Watch
from anomaly.windows.bags import Bag

Marks = tuple[tuple[int, int, int], ...]
"""(first row, one past the last, class): rows that count"""


@dataclass(frozen=True, kw_only=True)
class FitVideo:
    """One training video as a fit job needs it."""

    uri: str
    camera: str
    content: str
    ranges: Ranges | None
    label: int | None = None
    """class of the whole video, for a detector that learns from labels"""
    marks: Marks | None = None
    """rows of each class, where rows are labelled"""
    group: str = ""
    before: tuple[Before, ...] = ()
    """earlier training videos of the same camera that its features may recall"""
    clock_hours: float | None = None
    """time of day at which it begins, for a detector to which it counts"""

    def bag(self, store: FeatureStore, inputs: Mapping[str, FeatureSpec]) -> Bag:
        """Return the stored features of the video with what is known of it."""
        bag = open_bag(
            store,
            inputs,
            self.uri,
            self.camera,
            self.content,
            self.ranges,
            self.before,
            self.clock_hours,
        )
        labels_T = None
        if self.marks is not None:
            labels_T = np.full(bag.n_rows, IGNORED, dtype=np.int16)
            for start, stop, label in self.marks:
                labels_T[start:stop] = label
        return replace(bag, label=self.label, labels_T=labels_T, group=self.group)

    def identity(self) -> list[Any]:
        """Return what of it decides the numbers of a fit, as plain values."""
        known = [self.label, self.marks, self.group, self.before]
        clock = [] if self.clock_hours is None else [self.clock_hours]
        return [self.uri, self.content, self.ranges, *(known if any(known) else []), *clock]


@dataclass(frozen=True, kw_only=True)
class FitJob:
    """One model of a bundle."""

    root: str
    model: str
    detector: str
    parameters: dict[str, Any]
    inputs: dict[str, FeatureSpec]
    scores: ScoreSpec
    seed: int
    videos: tuple[FitVideo, ...]
    start_from: str = ""
    """checkpoint whose weights the network begins with; empty: they are drawn"""
    tensorboard: str = ""
    """folder of event files, one below it for each model; changes no number"""


def fit_job(job: FitJob) -> tuple[str, Model]:
    """Fit one model, wherever this runs; a killed fit resumes from its last epoch."""
    model = fit(job)
    lineage: dict[str, Any] = {
        "seed": job.seed,
        "videos": [_lineage(video) for video in job.videos],
        "versions": _versions(),
    }
    if job.start_from:
        start = _start(job)
        lineage["start_from"] = {
            "checkpoint": job.start_from, "model": start.digest(),
            "videos": all_videos(start.facts),
        }  # fmt: skip
    domain = _domain(job)
    if domain is not None:
        model = replace(model, domain=domain.state())
        lineage["domain"] = domain.facts
    return job.model, replace(model, facts={**model.facts, **lineage})


def fit(job: FitJob) -> Model:
    """Return what the detector learns from the job's videos; it resumes as `fit_job` does.

    Its facts hold `curves` where networks were trained: the learning curve of each, by what its run adds
    to the key of the job.

    Raises:
        SpecError: parameters or labels do not suit the videos.
        StoreError: there is nothing to learn from, or features are missing.
    """
    root = open_root(job.root)
    store = FeatureStore(root)
    bags = [video.bag(store, job.inputs) for video in job.videos]
    cls = detectors().get(job.detector)
    key = fingerprint(_identity(job))
    load_state, save_state, clear = training_state(root, key)
    watch = Watch(job.model, key, job.tensorboard)
    context = FitContext(
        generator=np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:15], 16)),
        resume_key=key,
        load=load_state,
        save=save_state,
        progress=watch.progress,
        record=watch.record,
        start=_start(job).detector if job.start_from else None,
    )
    model = fit_model(lambda: cls.build(job.parameters, job.inputs), bags, job.scores, context)
    clear()
    return (
        replace(model, facts={**model.facts, "curves": watch.curves}) if watch.curves else model
    )


def _start(job: FitJob) -> Model:
    contents = [video.content for video in job.videos]
    return start_of(open_root(job.root), job.start_from, job.model, contents)


def _domain(job: FitJob) -> Domain | None:
    """Return what the job's camera showed; several cameras together have no domain."""
    if len({video.camera for video in job.videos}) > 1:
        return None
    store = FeatureStore(open_root(job.root))
    name, recipe = next(iter(job.inputs.items()))
    seen = []
    for video in job.videos:
        group = open_group(store, recipe, video.uri, video.content)
        picture = group.picture()
        if picture is not None:
            alone = replace(video, before=()).bag(store, {name: recipe})
            seen.append(Seen(picture, group.seconds_T(), alone.normal_rows()))
    return Domain.fit(seen)


def _identity(job: FitJob) -> dict[str, Any]:
    """Return what decides the numbers of a fit, as plain values."""
    start = {}
    if job.start_from:
        start["start"] = _start(job).digest()
    return {
        **start,
        "detector": job.detector,
        "parameters": job.parameters,
        "inputs": {name: fingerprint(spec) for name, spec in job.inputs.items()},
        "scores": to_dict(job.scores),
        "seed": job.seed,
        "videos": [video.identity() for video in job.videos],
    }


def _lineage(video: FitVideo) -> dict[str, Any]:
    found = {"video": video.uri, "content": video.content, "ranges": video.ranges}
    return found if video.label is None else {**found, "label": video.label}


def _versions() -> dict[str, str]:
    packages = ("archive-anomaly", "numpy", "torch", "opencv-python-headless", "av")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
