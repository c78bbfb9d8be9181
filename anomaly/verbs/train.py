"""`train`: fit a detector on the stored features of normal (or labelled) videos, one model per camera."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
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
)
from anomaly.datasets.labels import IGNORED, NORMAL, LabelSet, check_known, read_labels
from anomaly.detectors import DEFAULT, LABELLED, Detector, detectors
from anomaly.errors import SpecError, StoreError
from anomaly.fanout import FanOut
from anomaly.features import BadFrames, FeatureSpec, recipe
from anomaly.features.backbones import backbones
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.registry import unknown_name
from anomaly.runs import Stopwatch, recorded
from anomaly.scores import ScoreSpec
from anomaly.spec import canonical_json, first_difference, from_dict, to_dict
from anomaly.storage import Root, open_root
from anomaly.verbs.bags import clock_of
from anomaly.verbs.context import Contexts, context_seconds
from anomaly.verbs.extract import ExtractSummary, extract_missing
from anomaly.verbs.fit import FitJob, FitVideo, fit_job
from anomaly.verbs.folds import cross_validate
from anomaly.verbs.look import Look, look
from anomaly.verbs.start import check_start
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import select


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train; with the videos, everything that decides the fitted numbers."""

    detector: str = DEFAULT
    detector_parameters: Mapping[str, Any] | None = None
    backbones: tuple[str, ...] = ()
    """where features come from; empty: what the detector is made for"""
    backbone_parameters: Mapping[str, Any] | None = None
    decoder: str = "pyav"
    keyframes: bool = False
    """look at key frames alone"""
    bad_frames: BadFrames = "skip"
    """what becomes of frames that cannot be decoded"""
    gate: float | None = None
    """reuse vectors in still scenes; how far off they may be"""
    scores: ScoreSpec = field(default_factory=ScoreSpec)
    seed: int = 0
    videos: tuple[str, ...] = ()
    """globs of the videos to train on; all of the archive without"""
    labels: str = ""
    """label file; what a supervised detector learns, and what a one-class detector leaves out of
    training, with a margin"""
    camera: str = ""
    """train only this camera's model"""
    into: str = ""
    """name of the bundle; an existing one keeps its other cameras' models"""
    folds: int = 0
    """cross-validate over so many folds of labelled videos first; 0: not at all"""
    make_current: bool = True
    """make the bundle the one that `nightly` and `score` take when none is named"""
    start_from: str = ""
    """checkpoint of the same detector whose weights its network begins with; empty: they are drawn"""
    tensorboard: str = ""
    """folder of the local disk for TensorBoard's event files, written while networks learn; empty: none"""

    def recipes(self) -> dict[str, FeatureSpec]:
        """Return the recipe of each input by name."""
        found = {}
        for name in self.backbones or detectors().get(self.detector).backbones:
            found[name] = recipe(
                name,
                dict(self.backbone_parameters or {}),
                decoder=self.decoder,
                keyframes=self.keyframes,
                bad_frames=self.bad_frames,
                gate=self.gate,
            )
        return found


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What a training came to."""

    checkpoint: str
    models: Mapping[str, Mapping[str, Any]]
    """facts of each model fitted now: videos, threshold, false-alarm rate, lineage"""
    extraction: ExtractSummary
    folds: Mapping[str, Any] | None = None
    """what cross-validation came to, if it was asked for"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        folds = {} if self.folds is None else {"folds": dict(self.folds)}
        return {
            "checkpoint": self.checkpoint,
            "models": {name: dict(facts) for name, facts in self.models.items()},
            **folds,
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
    if request.start_from:
        check_start(open_root(root), request.start_from, request.detector, cls, request.folds)

    def check(found: Sequence[VideoFile]) -> None:
        if labels is not None:
            check_known(labels, [file.uri for file in found])
        chosen = _training_files(found, request)
        _check_supervision(cls, request.detector, labels, chosen, request.folds)

    watch = Stopwatch()
    with watch.stage("look"):
        seen = look(root, archive, check=check)
    files = seen.usable(_training_files(seen.files, request))
    if not files:
        raise SpecError(
            "All chosen videos are in quarantine: `anomaly list quarantine` says why."
        )
    if labels is not None and cls.supervision in LABELLED:
        files = [file for file in files if labels.video_class(file.uri) is not None]
    with recorded(seen.root, seen.archive, "train", watch) as run:
        fan_out = watch.timed(fan_out)
        extraction = extract_missing(seen, files, list(inputs.values()), fan_out=fan_out)
        videos = _fit_videos(seen, files, extraction, inputs, _reader(cls, labels))
        if cls.reads_clock:
            videos = _with_clocks(videos, files)
        jobs = _jobs(seen.root, request, parameters, inputs, videos)
        folds = None
        if request.folds:
            pooled = replace(jobs[-1], model=POOLED, videos=tuple(videos))
            folds = cross_validate(pooled, request.folds, fan_out)
        models = dict(fan_out(fit_job, jobs, label="train"))
        if POOLED not in models and not _renews(seen.root, request):
            models[POOLED] = next(iter(models.values()))
        name = _publish(seen.root, request, parameters, inputs, models)
        run.tell(checkpoint=name, videos=len(videos), **extraction.run_facts())
    facts = {model: fitted.facts for model, fitted in sorted(models.items())}
    return TrainSummary(checkpoint=name, models=facts, extraction=extraction, folds=folds)


def _with_clocks(videos: Sequence[FitVideo], files: Sequence[VideoFile]) -> list[FitVideo]:
    begun = {file.uri: clock_of(file.start_time) for file in files}
    return [replace(video, clock_hours=begun[video.uri]) for video in videos]


def train_together(
    root: str, archive: ArchiveSpec, request: TrainRequest, *, fan_out: FanOut
) -> TrainSummary | None:
    """Do what `train` does in the processes that `torchrun` started; all but the first return None.

    Raises:
        SpecError: `torchrun` has not started this process, or as `train` raises.
    """
    from anomaly.training.parallel import follow, leading, team

    with team() as rank:
        if rank:
            follow()
            return None
        with leading(fan_out) as together:
            return train(root, archive, request, fan_out=together)


def _training_files(files: Sequence[VideoFile], request: TrainRequest) -> list[VideoFile]:
    chosen = select(files, request.videos)
    cameras = {file.camera for file in chosen}
    if request.camera and request.camera not in cameras:
        raise unknown_name("camera with a training video", request.camera, sorted(cameras))
    return [file for file in chosen if request.camera in {"", file.camera}]


def _check_supervision(
    cls: type[Detector],
    name: str,
    labels: LabelSet | None,
    files: Sequence[VideoFile],
    folds: int,
) -> None:
    learns_from_labels = cls.supervision in LABELLED
    if folds and not learns_from_labels:
        raise SpecError(
            f"Detector {name!r} does not learn from labels, so there is nothing to cross-validate: train "
            "on normal videos, score, and judge with `anomaly evaluate`."
        )
    if labels is None:
        if learns_from_labels:
            raise SpecError(f"Detector {name!r} learns from labels: name a file with --labels.")
        return
    if cls.supervision in {"one_class", "frame_labels"}:
        _check_frames_are_known(cls, name, labels, files)
    if learns_from_labels:
        _check_both_classes(name, labels, files)


def _check_frames_are_known(
    cls: type[Detector], name: str, labels: LabelSet, files: Sequence[VideoFile]
) -> None:
    """Refuse videos of which is only said that something abnormal happens in them."""
    wants = "normal frames only" if cls.supervision == "one_class" else "frames, each labelled"
    for file in files:
        if labels.is_abnormal_without_frames(file.uri):
            raise SpecError(
                f"{file.uri!r} is labelled abnormal as a whole, and {name!r} learns from {wants}. "
                "Give start_frame and stop_frame, leave the video out with --videos, or take a "
                "detector that learns from labels of whole videos, such as bn_wvad."
            )


def _check_both_classes(name: str, labels: LabelSet, files: Sequence[VideoFile]) -> None:
    classes = [labels.video_class(file.uri) for file in files]
    normal, abnormal = classes.count(NORMAL), sum(bool(label) for label in classes)
    if not normal and not any(labels.has_normal_frames(file.uri) for file in files):
        found = f"no normal video or frame, {abnormal} abnormal videos"
    elif not abnormal:
        found = f"{normal} normal videos, none abnormal"
    else:
        return
    raise SpecError(
        f"Detector {name!r} learns what sets abnormal video apart from normal; of the {len(files)} chosen "
        f"videos the labels call: {found}. Label or choose videos of both kinds."
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
    read: LabelReader | None,
) -> list[FitVideo]:
    """Return the extracted videos, each content once, with what labels say of them."""
    store = FeatureStore(seen.root)
    margin = max(_support_seconds(spec) for spec in inputs.values())
    rows = seen.catalog.rows()
    contexts = Contexts.of([rows[file.uri] for file in files], context_seconds(inputs))
    videos, contents = [], set()
    for file in files:
        content = extraction.contents.get(file.uri)
        if content is None or content in contents:
            continue
        contents.add(content)
        video = FitVideo(
            uri=file.uri,
            camera=file.camera,
            content=content,
            ranges=None,
            before=contexts.before(rows[file.uri]),
        )
        group = store.open(next(iter(inputs.values())), content) if read else None
        known = read(video, group, margin) if read and group else video
        if known is not None:
            videos.append(known)
    if not videos:
        raise SpecError(
            f"None of {len(files)} chosen videos of {seen.archive!r} can be trained on; first trouble: "
            f"{extraction.troubled[0].message if extraction.troubled else 'no normal frames'}"
        )
    return videos


LabelReader = Callable[[FitVideo, FeatureGroup, float], FitVideo | None]
"""Adds what is known of a video, given its rows and a margin in seconds; None: it teaches nothing."""


def _reader(cls: type[Detector], labels: LabelSet | None) -> LabelReader | None:
    if labels is None or cls.supervision == "none":
        return None
    return partial(_classes if cls.supervision in LABELLED else _normal_part, labels)


def _normal_part(
    labels: LabelSet, video: FitVideo, group: FeatureGroup, margin: float
) -> FitVideo | None:
    """Return the video with its normal stretches alone."""
    ranges = labels.normal_rows(video.uri, group.index_T(), group.seconds_T(), margin)
    return (
        replace(video, ranges=ranges, group=labels.group(video.uri)) if ranges != () else None
    )


def _classes(
    labels: LabelSet, video: FitVideo, group: FeatureGroup, margin: float
) -> FitVideo | None:
    """Return the video with its class and those of its rows; None: it is not labelled."""
    label = labels.video_class(video.uri)
    if label is None:
        return None
    known = replace(video, label=label, group=labels.group(video.uri))
    classes_T = labels.row_classes(video.uri, group.index_T(), group.seconds_T(), margin)
    if classes_T is None or not classes_T.any():
        return known
    edges = [0, *(np.flatnonzero(np.diff(classes_T)) + 1).tolist(), len(classes_T)]
    marks = tuple(
        (start, stop, int(classes_T[start]))
        for start, stop in pairwise(edges)
        if classes_T[start] != IGNORED
    )
    usable = np.flatnonzero(np.diff(classes_T != IGNORED, prepend=False, append=False))
    ranges = tuple((int(start), int(stop)) for start, stop in usable.reshape(-1, 2))
    return replace(known, marks=marks, ranges=ranges) if ranges else None


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
    """Make one job per camera, and one for the pooled model of a new bundle of several cameras.

    A detector whose scope is the archive learns one model from all videos.
    """

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
            start_from=request.start_from,
            tensorboard=request.tensorboard,
        )

    if detectors().get(request.detector).scope == "archive":
        return [job(request.camera or POOLED, videos)]
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
    name = request.into or f"{request.detector}-{'-'.join(inputs)}-{identity}"
    save(root, _header(name, request, parameters, inputs), models)
    if request.make_current:
        set_current(root, name)
    return name
