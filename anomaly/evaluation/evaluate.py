"""Joins the scores of videos with their truth and gives every figure with its convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.datasets.labels import ABNORMAL, IGNORED, LabelSet
from anomaly.errors import SpecError
from anomaly.evaluation.bootstrap import RESAMPLES, interval
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import clip_area, metrics
from anomaly.evaluation.metrics.frame_auc_micro import FrameAucMicro
from anomaly.shapes import expect

PROTOCOL = (
    "Frame level. Every labelled frame that has a score counts, ignored frames apart; scores are taken "
    f"as they are. Intervals: 95 % percentiles over {RESAMPLES:,} resamples of the videos."
)


@dataclass(frozen=True)
class VideoScores:
    """Scores of some frames of one video; NaN says: none."""

    frame_N: NDArray[np.int64]
    score_N: NDArray[np.float64]

    def __post_init__(self) -> None:
        expect("frame", self.frame_N, "N", N=len(self.score_N))

    def by_frame(self, n_frames: int) -> NDArray[np.float64]:
        """Return the scores of frames 0 to `n_frames` - 1, NaN where there is none."""
        score_T = np.full(n_frames, np.nan)
        inside = self.frame_N < n_frames
        score_T[self.frame_N[inside]] = self.score_N[inside]
        return score_T


@dataclass(frozen=True)
class Figure:
    """One metric; None where it is not defined."""

    value: float | None
    interval: tuple[float, float] | None
    peeks: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All figures of one set of scores on one set of labels."""

    label_set: str
    figures: Mapping[str, Figure]
    sanity: Mapping[str, float | None]
    """micro AUC of scorers that have learnt nothing, on the same frames"""
    per_video: Sequence[Mapping[str, Any]]
    """video, frames, frames_abnormal, and frame_auc (None with one class)"""
    frames: int
    """frames that count"""
    frames_ignored: int
    frames_without_score: int
    """labelled frames of these videos that have no score"""
    frames_beyond_labels: int
    """scored frames after the end of a video as its labels know it"""
    videos_without_score: int
    """labelled videos without any score, which do not count"""
    videos_left_out_of_macro: int
    """videos with one class only"""
    reason: str
    """why figures are missing; empty when none is"""
    seed: int

    @property
    def videos(self) -> int:
        """How many videos count."""
        return len(self.per_video)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, each interval beside its figure."""
        plain: dict[str, Any] = {}
        for name, figure in self.figures.items():
            plain[name] = figure.value
            plain[f"{name}_interval"] = figure.interval and list(figure.interval)
        counts = {
            name: getattr(self, name)
            for name in (
                "frames",
                "frames_ignored",
                "frames_without_score",
                "frames_beyond_labels",
                "videos",
                "videos_without_score",
                "videos_left_out_of_macro",
                "label_set",
                "seed",
            )
        }
        return {
            **plain,
            **counts,
            "peeks": sorted(name for name, figure in self.figures.items() if figure.peeks),
            "reason": self.reason,
            "protocol": PROTOCOL,
            "sanity": dict(self.sanity),
            "per_video": [dict(row) for row in self.per_video],
        }


def evaluate_scores(
    scores: Mapping[str, VideoScores],
    truth: LabelSet,
    *,
    seed: int = 0,
    sanity: Mapping[str, Mapping[str, VideoScores]] | None = None,
) -> Evaluation:
    """Return all figures over the videos that have both scores and labels.

    `sanity` are scores of simple scorers, by name and video, to be shown beside: constant,
    random and frame index are always there. With one class only the figures are None and
    `reason` says so.

    Raises:
        SpecError: no video has both, or the labels are of whole videos.
    """
    joined = [
        _join(video, scores[video], truth) for video in sorted(scores) if video in truth.videos
    ]
    if not joined:
        raise SpecError(
            f"None of {len(scores)} scored videos is among the {len(truth.videos)} labelled ones."
        )
    clips = [one.clip for one in joined]
    generator = np.random.default_rng(seed)
    return Evaluation(
        label_set=truth.id,
        figures={name: _figure(name, clips, seed) for name in metrics().names()},
        sanity={**_know_nothing(joined, generator), **_simple(joined, sanity or {})},
        per_video=[_row(clip) for clip in clips],
        frames=sum(len(clip.score_T) for clip in clips),
        frames_ignored=sum(one.ignored for one in joined),
        frames_without_score=sum(one.without_score for one in joined),
        frames_beyond_labels=sum(one.beyond for one in joined),
        videos_without_score=len(set(truth.videos) - set(scores)),
        videos_left_out_of_macro=sum(not clip.has_both_classes for clip in clips),
        reason=_reason(clips),
        seed=seed,
    )


@dataclass(frozen=True)
class _Joined:
    """One video's frames that count, and how many do not."""

    clip: Clip
    frame_T: NDArray[np.int64]
    ignored: int
    without_score: int
    beyond: int


def _join(video: str, scores: VideoScores, truth: LabelSet) -> _Joined:
    labels_T = truth.videos[video].labels_T
    score_T = scores.by_frame(len(labels_T))
    judged_T = labels_T != IGNORED
    counts_T = judged_T & ~np.isnan(score_T)
    return _Joined(
        Clip(video, score_T[counts_T], labels_T[counts_T] == ABNORMAL),
        np.flatnonzero(counts_T),
        ignored=int((~judged_T).sum()),
        without_score=int((judged_T & ~counts_T).sum()),
        beyond=int((scores.frame_N >= len(labels_T)).sum()),
    )


def _figure(name: str, clips: Sequence[Clip], seed: int) -> Figure:
    metric = metrics().get(name)()
    value = _plain(metric.value(clips))
    around = None if value is None else interval(metric, clips, np.random.default_rng(seed))
    return Figure(value, around, metric.peeks)


def _know_nothing(
    joined: Sequence[_Joined], generator: np.random.Generator
) -> dict[str, float | None]:
    """Return the figures of scorers that see no picture; far from 0.5, the labels betray themselves."""
    scorers = {
        "constant": [np.zeros(len(one.frame_T)) for one in joined],
        "random": [generator.random(len(one.frame_T)) for one in joined],
        "frame_index": [one.frame_T.astype(np.float64) for one in joined],
    }
    return {
        name: _micro(
            [
                Clip(one.clip.video, score_T, one.clip.abnormal_T)
                for one, score_T in zip(joined, per_video, strict=True)
            ]
        )
        for name, per_video in scorers.items()
    }


def _simple(
    joined: Sequence[_Joined], sanity: Mapping[str, Mapping[str, VideoScores]]
) -> dict[str, float | None]:
    figures = {}
    for name, videos in sanity.items():
        clips = []
        for one in joined:
            if one.clip.video not in videos or not len(one.frame_T):
                continue
            score_T = videos[one.clip.video].by_frame(int(one.frame_T[-1]) + 1)[one.frame_T]
            there_T = ~np.isnan(score_T)
            clips.append(Clip(one.clip.video, score_T[there_T], one.clip.abnormal_T[there_T]))
        figures[name] = _micro(clips)
    return figures


def _micro(clips: Sequence[Clip]) -> float | None:
    return _plain(FrameAucMicro().value(clips)) if clips else None


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _row(clip: Clip) -> dict[str, Any]:
    return {
        "video": clip.video,
        "frames": len(clip.score_T),
        "frames_abnormal": int(clip.abnormal_T.sum()),
        "frame_auc": _plain(clip_area(clip)),
    }


def _reason(clips: Sequence[Clip]) -> str:
    abnormal = sum(int(clip.abnormal_T.sum()) for clip in clips)
    frames = sum(len(clip.abnormal_T) for clip in clips)
    if not frames:
        return "no labelled frame has a score"
    if not abnormal:
        return f"none of {frames} frames is abnormal"
    if abnormal == frames:
        return f"all of {frames} frames are abnormal"
    if not any(clip.has_both_classes for clip in clips):
        return "no video holds both classes, so frame_auc_macro has none to take the mean of"
    return ""
