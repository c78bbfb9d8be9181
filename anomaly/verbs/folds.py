"""`train --folds`: how well a detector does on videos of sources that it has not learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anomaly.detectors import detectors
from anomaly.errors import SpecError
from anomaly.evaluation.bootstrap import interval
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import PooledMetric, metrics
from anomaly.fanout import FanOut
from anomaly.features.store import FeatureStore
from anomaly.scores.fit import score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.storage import open_root
from anomaly.verbs.bags import open_group
from anomaly.verbs.fit import FitJob, FitVideo, fit
from anomaly.windows.split import folds as split


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """One fold: what to learn from, and what to judge by."""

    number: int
    fit: FitJob
    judged: tuple[FitVideo, ...]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One video, scored by a detector that had seen nothing of its group."""

    fold: int
    group: str
    abnormal: bool
    score: float
    """highest calibrated score of its frames"""
    mean: float = 0.0
    """their mean"""


def cross_validate(job: FitJob, count: int, fan_out: FanOut) -> dict[str, Any]:
    """Return figures over whole videos, each scored by the fold that it was kept out of.

    `video_auc` is over all videos together, by their highest calibrated score: every fold is calibrated on
    normal videos of its own that it did not learn from. Its interval (95 %) draws groups again.
    `video_auc_by_mean` is the same by their mean score, which suits short clips.

    Raises:
        SpecError: there are fewer groups of normal or of abnormal videos than folds.
    """
    if count < 2:
        raise SpecError(f"Cross-validation with {count} folds: expected 2 or more.")
    store = FeatureStore(open_root(job.root))
    video_of = {video.uri: video for video in job.videos}
    sides = split([video.bag(store, job.inputs) for video in job.videos], count)
    jobs = [
        FoldJob(
            number=number,
            fit=replace(
                job,
                model=f"fold {number}",
                videos=tuple(video_of[bag.video] for bag in learn),
            ),
            judged=tuple(video_of[bag.video] for bag in judge),
        )
        for number, (learn, judge) in enumerate(sides, start=1)
    ]
    judged = [one for found in fan_out(fold_job, jobs, label="fold") for one in found]
    return {
        "folds": count,
        **_figures(judged, job.seed),
        "video_auc_of_folds": [
            _auc().value(_clips([one for one in judged if one.fold == fold.number]))
            for fold in jobs
        ],
    }


def fold_job(job: FoldJob) -> list[Judged]:
    """Fit on one side and score the other, wherever this runs."""
    model = fit(job.fit)
    detector = detectors().get(job.fit.detector).build(job.fit.parameters, job.fit.inputs)
    detector.load_state(model.detector)
    stages = ScoreStages.load(model.stages, job.fit.scores)
    store = FeatureStore(open_root(job.fit.root))
    recipe = next(iter(job.fit.inputs.values()))
    judged = []
    for video in job.judged:
        group = open_group(store, recipe, video.uri, video.content)
        scores, _ = score_bag(detector, video.bag(store, job.fit.inputs), group, stages)
        judged.append(
            Judged(
                fold=job.number,
                group=video.group or video.uri,
                abnormal=bool(video.label),
                score=float(np.nanmax(scores.score_T)),
                mean=float(np.nanmean(scores.score_T)),
            )
        )
    return judged


def _figures(judged: Sequence[Judged], seed: int) -> dict[str, Any]:
    clips = _clips(judged)
    abnormal = sum(one.abnormal for one in judged)
    by_mean = _clips([replace(one, score=one.mean) for one in judged])
    return {
        "videos": len(judged),
        "abnormal_videos": abnormal,
        "groups": len(clips),
        "video_auc": _auc().value(clips),
        "video_auc_interval": interval(_auc(), clips, np.random.default_rng(seed)),
        "video_auc_by_mean": _auc().value(by_mean),
        "video_auc_by_mean_interval": interval(_auc(), by_mean, np.random.default_rng(seed)),
    }


def _auc() -> PooledMetric:
    """The headline metric, here over videos in place of frames."""
    metric = metrics().get("frame_auc_micro")()
    if not isinstance(metric, PooledMetric):
        raise TypeError(f"expected a PooledMetric, found {type(metric).__name__}.")
    return metric


def _clips(judged: Sequence[Judged]) -> list[Clip]:
    """Return each group as a clip whose frames are its videos, so that groups are drawn whole."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.group, []).append(one)
    return [
        Clip(
            group,
            np.array([one.score for one in videos]),
            np.array([one.abnormal for one in videos]),
        )
        for group, videos in sorted(groups.items())
    ]
