"""`train`: fit a detector on the stored features of normal (or labelled) videos, one model per camera."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.checkpoints import (
    POOLED,
    Checkpoint,
    Model,
    check_name,
    load,
    names,
    save,
    set_current,
    training_state,
)
from anomaly.datasets.labels import LabelSet, check_known, read_labels
from anomaly.detectors import Detector, FitContext, detectors
from anomaly.errors import SpecError, StoreError
from anomaly.fanout import FanOut
from anomaly.features import FeatureSpec, recipe
from anomaly.features.backbones import backbones
from anomaly.features.store import FeatureStore
from anomaly.registry import unknown_name
from anomaly.scores import ScoreSpec
from anomaly.scores.fit import fit_model
from anomaly.spec import canonical_json, fingerprint, first_difference, from_dict, to_dict
from anomaly.storage import Root, open_root
from anomaly.verbs.bags import Ranges, open_bag
from anomaly.verbs.extract import ExtractSummary, extract_missing
from anomaly.verbs.look import Look, look
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import select


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train; with the videos, everything that decides the fitted numbers."""

    detector: str = "knn"
    detector_parameters: Mapping[str, Any] | None = None
    backbones: tuple[str, ...] = ("motion",)
    backbone_parameters: Mapping[str, Any] | None = None
    decoder: str = "pyav"
    scores: ScoreSpec = field(default_factory=ScoreSpec)
    seed: int = 0
    videos: tuple[str, ...] = ()
    """globs of the videos to train on; all of the archive without"""
    labels: str = ""
    """label file; abnormal and ignored frames are left out of training, with a margin"""
    camera: str = ""
    """train only this camera's model"""
    into: str = ""
    """name of the bundle; an existing one keeps its other cameras' models"""

    def recipes(self) -> dict[str, FeatureSpec]:
        """Return the recipe of each input by name."""
        found = {}
        for name in self.backbones:
            found[name] = recipe(
                name, dict(self.backbone_parameters or {}), decoder=self.decoder
            )
        return found


@dataclass(frozen=True, kw_only=True)
class FitVideo:
    """One training video as a fit job needs it."""

    uri: str
    camera: str
    content: str
    ranges: Ranges | None


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


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What a training came to."""

    checkpoint: str
    models: Mapping[str, Mapping[str, Any]]
    """facts of each model fitted now: videos, threshold, false-alarm rate, lineage"""
    extraction: ExtractSummary

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "checkpoint": self.checkpoint,
            "models": {name: dict(facts) for name, facts in self.models.items()},
            "extraction": self.extraction.to_json(),
        }


def train(
    root: str, archive: ArchiveSpec, request: TrainRequest, *, fan_out: FanOut
) -> TrainSummary:
    """Fit one model per camera and a pooled one, publish the bundle and make it current.

    Raises:
        SpecError: a name or value is wrong, or the videos do not fit the detector's supervision.
    """
    cls = detectors().get(request.detector)
    inputs = request.recipes()
    parameters = to_dict(cls.build(dict(request.detector_parameters or {}), inputs).parameters)
    labels = read_labels(Path(request.labels)) if request.labels else None
    if request.into:
        check_name(request.into)
    _check_bundle(open_root(root), request, parameters, inputs)

    def check(found: Sequence[VideoFile]) -> None:
        if labels is not None:
            check_known(labels, [file.uri for file in found])
        _check_supervision(cls, request.detector, labels, _training_files(found, request))

    seen = look(root, archive, check=check)
    files = seen.usable(_training_files(seen.files, request))
    if not files:
        raise SpecError(
            "All chosen videos are in quarantine: `anomaly list quarantine` says why."
        )
    one_class = cls.supervision == "one_class"
    extraction = extract_missing(seen, files, list(inputs.values()), fan_out=fan_out)
    videos = _fit_videos(seen, files, extraction, inputs, labels if one_class else None)
    jobs = _jobs(seen.root, request, parameters, inputs, videos)
    models = dict(fan_out(fit_job, jobs, label="train"))
    if POOLED not in models and not _renews(seen.root, request):
        models[POOLED] = next(iter(models.values()))
    name = _publish(seen.root, request, parameters, inputs, models)
    facts = {model: fitted.facts for model, fitted in sorted(models.items())}
    return TrainSummary(checkpoint=name, models=facts, extraction=extraction)


def fit_job(job: FitJob) -> tuple[str, Model]:
    """Fit one model, wherever this runs; a killed fit resumes from its last epoch."""
    root = open_root(job.root)
    store = FeatureStore(root)
    bags = [
        open_bag(store, job.inputs, video.uri, video.camera, video.content, video.ranges)
        for video in job.videos
    ]
    cls = detectors().get(job.detector)
    key = fingerprint(_identity(job))
    load_state, save_state, clear = training_state(root, key)
    context = FitContext(
        generator=np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:15], 16)),
        resume_key=key,
        load=load_state,
        save=save_state,
    )
    model = fit_model(lambda: cls.build(job.parameters, job.inputs), bags, job.scores, context)
    clear()
    lineage = {
        "seed": job.seed,
        "videos": [
            {"video": v.uri, "content": v.content, "ranges": v.ranges} for v in job.videos
        ],
        "versions": _versions(),
    }
    return job.model, Model(model.detector, model.stages, {**model.facts, **lineage})


def _identity(job: FitJob) -> dict[str, Any]:
    """Return what decides the numbers of a fit, as plain values."""
    return {
        "detector": job.detector,
        "parameters": job.parameters,
        "inputs": {name: fingerprint(spec) for name, spec in job.inputs.items()},
        "scores": to_dict(job.scores),
        "seed": job.seed,
        "videos": [[v.uri, v.content, v.ranges] for v in job.videos],
    }


def _versions() -> dict[str, str]:
    packages = ("archive-anomaly", "numpy", "torch", "opencv-python-headless", "av")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _training_files(files: Sequence[VideoFile], request: TrainRequest) -> list[VideoFile]:
    chosen = select(files, request.videos)
    cameras = {file.camera for file in chosen}
    if request.camera and request.camera not in cameras:
        raise unknown_name("camera with a training video", request.camera, sorted(cameras))
    return [file for file in chosen if request.camera in {"", file.camera}]


def _check_supervision(
    cls: type[Detector], name: str, labels: LabelSet | None, files: Sequence[VideoFile]
) -> None:
    if cls.supervision in {"video_labels", "frame_labels"} and labels is None:
        raise SpecError(f"Detector {name!r} learns from labels: name a file with --labels.")
    if cls.supervision != "one_class" or labels is None:
        return
    for file in files:
        if labels.is_abnormal_without_frames(file.uri):
            raise SpecError(
                f"{file.uri!r} is labelled abnormal as a whole, and {name!r} learns from normal frames "
                "only. Give start_frame and stop_frame, or leave the video out with --videos."
            )


def _check_bundle(
    root: Root,
    request: TrainRequest,
    parameters: dict[str, Any],
    inputs: dict[str, FeatureSpec],
) -> None:
    """A model may only join a bundle of the same detector and recipe."""
    if not _renews(root, request):
        return
    bundle = load(root, request.into)
    wanted = _header(request.into, request, parameters, inputs)
    if bundle.header() != wanted.header():
        raise StoreError(
            f"Bundle {request.into!r} holds another kind of model: "
            f"{first_difference(wanted.header(), bundle.header())}. "
            "Use the same settings, or another --into."
        )


def _fit_videos(
    seen: Look,
    files: Sequence[VideoFile],
    extraction: ExtractSummary,
    inputs: Mapping[str, FeatureSpec],
    labels: LabelSet | None,
) -> list[FitVideo]:
    """Return the extracted videos, each content once; with labels only their normal stretches."""
    store = FeatureStore(seen.root)
    margin = max(_support_seconds(spec) for spec in inputs.values())
    videos, contents = [], set()
    for file in files:
        content = extraction.contents.get(file.uri)
        if content is None or content in contents:
            continue
        contents.add(content)
        ranges = None
        if labels is not None:
            group = store.open(next(iter(inputs.values())), content)
            if group is None:
                continue
            ranges = labels.normal_rows(file.uri, group.index_T(), group.seconds_T(), margin)
            if not ranges and ranges is not None:
                continue
        videos.append(
            FitVideo(uri=file.uri, camera=file.camera, content=content, ranges=ranges)
        )
    if not videos:
        raise SpecError(
            f"None of {len(files)} chosen videos of {seen.archive!r} can be trained on; first trouble: "
            f"{extraction.troubled[0].message if extraction.troubled else 'no normal frames'}"
        )
    return videos


def _support_seconds(spec: FeatureSpec) -> float:
    backbone = backbones().get(spec.backbone)
    return backbone.support_seconds(from_dict(backbone.Parameters, spec.parameters))


def _jobs(
    root: Root,
    request: TrainRequest,
    parameters: dict[str, Any],
    inputs: dict[str, FeatureSpec],
    videos: Sequence[FitVideo],
) -> list[FitJob]:
    """Make one job per camera, and one for the pooled model of a new bundle of several cameras."""

    def job(model: str, chosen: Sequence[FitVideo]) -> FitJob:
        return FitJob(
            root=root.url,
            model=model,
            detector=request.detector,
            parameters=parameters,
            inputs=inputs,
            scores=request.scores,
            seed=request.seed,
            videos=tuple(chosen),
        )

    cameras = sorted({video.camera for video in videos})
    jobs = [job(camera, [v for v in videos if v.camera == camera]) for camera in cameras]
    if len(cameras) > 1 and not _renews(root, request):
        jobs.append(job(POOLED, videos))
    return jobs


def _renews(root: Root, request: TrainRequest) -> bool:
    """Say whether the bundle exists: then its pooled model and other cameras stay as they are."""
    return bool(request.into) and request.into in names(root)


def _header(
    name: str, request: TrainRequest, parameters: dict[str, Any], inputs: dict[str, FeatureSpec]
) -> Checkpoint:
    return Checkpoint(
        name=name,
        detector=request.detector,
        parameters=parameters,
        inputs=inputs,
        scores=to_dict(request.scores),
    )


def _publish(
    root: Root,
    request: TrainRequest,
    parameters: dict[str, Any],
    inputs: dict[str, FeatureSpec],
    models: Mapping[str, Model],
) -> str:
    digests = {name: model.digest() for name, model in models.items()}
    header = _header("", request, parameters, inputs)
    identity = hashlib.sha256(canonical_json([header.header(), digests]).encode()).hexdigest()[
        :8
    ]
    name = request.into or f"{request.detector}-{'-'.join(request.backbones)}-{identity}"
    save(root, _header(name, request, parameters, inputs), models)
    set_current(root, name)
    return name
