"""Carries trials out: features of each clip once, one fit a fold, one row of figures a trial."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.checkpoints import Model
from anomaly.datasets.labels import ABNORMAL, IGNORED
from anomaly.detectors import Detector, FitContext, detectors
from anomaly.evaluation.bootstrap import interval
from anomaly.evaluation.curves import Clip as Judged
from anomaly.evaluation.metrics.frame_auc_micro import FrameAucMicro
from anomaly.features import Backbone, FeatureBlock, FeatureSpec, concatenate, recipe_of
from anomaly.features.backbones import backbones
from anomaly.features.picture import VIEW_SECONDS, PictureMeter
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import Event
from anomaly.scores.fit import fit_model, score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.spec import fingerprint, to_dict
from anomaly.video import FrameBatch, PixelSpec
from anomaly.video.decoders import decoders
from anomaly.windows.bags import Bag, MemorySource
from tests.benchmarks.detector.corruptions import CORRUPTIONS
from tests.benchmarks.detector.protocol import Clip, Fold, Trial, learnt_ranges

BATCH = 32
ALARMS_A_DAY = 24.0
"""the budget: one an hour"""


@dataclass(frozen=True)
class Rows:
    """Which frames the rows of a clip are."""

    block: FeatureBlock
    n_frames: int

    def index_T(self) -> np.ndarray:
        return self.block.index_T

    def seconds_T(self) -> np.ndarray:
        return self.block.seconds_T


@dataclass
class Candidate:
    """A detector with its inputs, as `anomaly train --detector D --backbone B ...` names them."""

    name: str
    detector: str
    inputs: Mapping[str, Backbone]
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def named(cls, detector: str, *names: str, seed: int = 0, **parameters: Any) -> Candidate:
        built = {name: backbones().get(name).build({}) for name in names}
        return cls(f"{detector} {'+'.join(names)}", detector, built, parameters, seed)

    @cached_property
    def recipes(self) -> dict[str, Any]:
        return {name: recipe_of(name, backbone) for name, backbone in self.inputs.items()}

    def make(self) -> Detector:
        return detectors().get(self.detector).build(self.parameters, self.recipes)


@dataclass(frozen=True)
class Figure:
    """One cell of the table."""

    value: float
    low: float | None
    high: float | None
    note: str = ""

    def __str__(self) -> str:
        between = "" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{between}{self.note}"


class Bench:
    """Keeps pictures and features under `cache`, and fitted models while it lives."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        self._models: dict[Any, Model] = {}

    def figure(self, candidate: Candidate, trial: Trial) -> Figure:
        """Return micro AUC over all frames that count, or false alarms an hour."""
        scored = self.scored(candidate, trial)
        if trial.counts_alarms:
            return _alarms(scored)
        return judged_figure((labels_T, scores.score_T) for _, labels_T, scores, _ in scored)

    def scored(
        self, candidate: Candidate, trial: Trial
    ) -> list[tuple[Clip, np.ndarray, FrameScores, list[Event]]]:
        """Return (clip, labels, scores, events) of every test clip."""
        found = []
        for fold in trial.folds:
            model = self.model(candidate, fold)
            detector = candidate.make()
            detector.load_state(model.detector)
            stages = ScoreStages.load(model.stages, _SCORES)
            for clip in fold.test:
                bag, rows, labels_T = self.bag(candidate, clip, trial.corruption)
                found.append((clip, labels_T, *score_bag(detector, bag, rows, stages)))
        return found

    def model(self, candidate: Candidate, fold: Fold) -> Model:
        key = (candidate.name, candidate.seed, fold.train)
        if key not in self._models:
            bags = []
            for clip in fold.train:
                bag, rows, _ = self.bag(candidate, clip)
                ranges = learnt_ranges(clip, rows.index_T(), rows.seconds_T())
                bags.append(replace(bag, ranges=ranges))
            context = FitContext(np.random.default_rng(candidate.seed))
            self._models[key] = fit_model(candidate.make, bags, _SCORES, context)
        return self._models[key]

    def bag(
        self, candidate: Candidate, clip: Clip, corruption: str = ""
    ) -> tuple[Bag, Rows, np.ndarray]:
        blocks = {
            name: self._features(backbone, clip, corruption, candidate.recipes[name])
            for name, backbone in candidate.inputs.items()
        }
        labels_T = clip.labels_T[::2] if corruption == "half frame rate" else clip.labels_T
        sources = {name: MemorySource(block) for name, block in blocks.items()}
        rows = Rows(next(iter(blocks.values())), len(labels_T))
        view_HW = self._view(clip, corruption)
        return Bag(str(clip.path), clip.camera, sources, view_HW=view_HW), rows, labels_T

    def _view(self, clip: Clip, corruption: str) -> np.ndarray:
        """Return what the store keeps of a clip's first seconds."""
        path = self.cache / f"{fingerprint([str(clip.path), corruption, 'view'])}.view.npy"
        if not path.exists():
            frames, seconds_T = self._pictures(
                clip, backbones().get("motion").build({}).pixels, corruption
            )
            n_frames = int(np.searchsorted(seconds_T, VIEW_SECONDS))
            batch = FrameBatch(frames[:n_frames], np.arange(n_frames), seconds_T[:n_frames])
            meter = PictureMeter()
            meter.measure(batch)
            np.save(path, meter.finish().views_VHW[0])
        return np.load(path)

    def _features(
        self, backbone: Backbone, clip: Clip, corruption: str, recipe: Any
    ) -> FeatureBlock:
        name = fingerprint([to_dict(recipe), str(clip.path), corruption])
        path = self.cache / f"{name}.npz"
        if not path.exists():
            frames, seconds_T = self._pictures(clip, backbone.pixels, corruption)
            batches = (
                FrameBatch(
                    frames[a : a + BATCH],
                    np.arange(a, min(a + BATCH, len(frames))),
                    seconds_T[a : a + BATCH],
                )
                for a in range(0, len(frames), BATCH)
            )
            save_block(path, concatenate(list(backbone.extract(batches))))
        return load_block(path)

    def _pictures(
        self, clip: Clip, pixels: PixelSpec, corruption: str
    ) -> tuple[np.ndarray, np.ndarray]:
        frames, seconds_T = self.frames(clip.path, pixels)
        if not corruption:
            return frames, seconds_T
        rng = np.random.default_rng(zlib.crc32(f"{clip.path}{corruption}".encode()))
        changed = CORRUPTIONS[corruption](frames[..., 0], seconds_T, rng)
        return changed[..., None], seconds_T[:: 2 if len(changed) < len(frames) else 1]

    def frames(self, path: Path, pixels: PixelSpec) -> tuple[np.ndarray, np.ndarray]:
        stored = self.cache / f"{fingerprint([to_dict(pixels), str(path)])}.frames.npz"
        if not stored.exists():
            batches = list(decoders().get("pyav")().frames(path, pixels, BATCH))
            np.savez(
                stored,
                frames=np.concatenate([batch.pixels_BHWC for batch in batches]),
                seconds=np.concatenate([batch.seconds_B for batch in batches]),
            )
        with np.load(stored) as found:
            return found["frames"], found["seconds"]


def described(recipe: FeatureSpec) -> str:
    """Return what decides the numbers here: pictures are handed over, so the decoder does not count."""
    return fingerprint([recipe.backbone, recipe.version, recipe.parameters, recipe.weights])


_SCORES = ScoreSpec(alarms_per_camera_day=ALARMS_A_DAY)


def judged_figure(labelled: Iterable[tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Return micro AUC over (labels, scores) of clips, with its interval over clips."""
    judged = [
        Judged(str(number), score_T[keep_T], labels_T[keep_T] == ABNORMAL)
        for number, (labels_T, score_T) in enumerate(labelled)
        if (keep_T := labels_T != IGNORED).any()
    ]
    between = interval(FrameAucMicro(), judged, np.random.default_rng(0))
    return Figure(FrameAucMicro().value(judged), *(between or (None, None)))


def _alarms(scored: list[tuple[Clip, np.ndarray, FrameScores, list[Event]]]) -> Figure:
    alarms, seconds = 0, 0.0
    for _, labels_T, scores, events in scored:
        counted_T = labels_T != IGNORED
        alarms += sum(bool(counted_T[event.peak_frame]) for event in events)
        seconds += float(scores.durations_T[counted_T].sum())
    return Figure(alarms * 3600 / seconds, None, None, f" ({alarms} in {seconds:.0f} s)")


def save_block(path: Path, block: FeatureBlock) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {} if block.place_N2 is None else {"place": block.place_N2, "grid": block.grid}
    np.savez(
        path,
        index=block.index_T,
        seconds=block.seconds_T,
        values=block.values_ND.astype(np.float16),
        offsets=block.offsets_S,
        **extra,
    )


def load_block(path: Path) -> FeatureBlock:
    with np.load(path) as found:
        place = found.get("place")
        grid = (int(found["grid"][0]), int(found["grid"][1])) if place is not None else None
        return FeatureBlock(
            found["index"], found["seconds"], found["values"], found["offsets"], place, grid
        )
