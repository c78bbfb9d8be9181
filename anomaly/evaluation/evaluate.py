"""Joins the scores of videos with their truth and gives every figure with its convention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.datasets.labels import ABNORMAL, IGNORE, IGNORED, NORMAL, LabelSet, Truth
from anomaly.errors import SpecError
from anomaly.evaluation.alarms import overlapping
from anomaly.evaluation.bootstrap import RESAMPLES, Interval, draw, percentiles
from anomaly.evaluation.curves import Clip, Floats, Stretch
from anomaly.evaluation.metrics import Metric, all_resampled, metrics, values
from anomaly.evaluation.metrics.false_alarms_per_camera_hour import false_alarm_rates
from anomaly.evaluation.metrics.frame_auc_micro import FrameAucMicro
from anomaly.shapes import expect

_INTERVALS = f"Intervals: 95 % percentiles over {RESAMPLES:,} resamples of the videos."
PROTOCOL = (
    "Frame level. Every labelled frame that has a score counts, ignored frames apart; scores are taken "
    f"as they are. {_INTERVALS}"
)
PROTOCOL_OF_VIDEOS = (
    "Video level. Labels are of whole videos; each that has a score counts once, by its highest frame. "
    f"{_INTERVALS}"
)
_NO_FRAMES = "labels of whole videos do not say which frames are abnormal: only figures of videos are known"

FRAMES, VIDEOS = "frame_auc_micro", "video_auc_max"
"""headlines: of labelled frames, and of labelled videos"""


@dataclass(frozen=True)
class VideoScores:
    """Scores of some frames of one video, NaN says none; and what else is known of them."""

    frame_N: NDArray[np.int64]
    score_N: NDArray[np.float64]
    seconds_N: NDArray[np.float64] | None = None
    """presentation times; without them nothing is said in seconds or hours"""
    camera: str = ""
    alarms: tuple[tuple[int, int], ...] | None = None
    """half-open ranges of frames that were reported; None: not known"""
    threshold: float | None = None
    """score from which a frame is called abnormal; None: not known"""

    def __post_init__(self) -> None:
        expect("frame", self.frame_N, "N", N=len(self.score_N))

    def by_frame(self, n_frames: int) -> NDArray[np.float64]:
        """Return the scores of frames 0 to `n_frames` - 1, NaN where there is none."""
        return self._spread(self.score_N, n_frames)

    def seconds_by_frame(self, n_frames: int) -> NDArray[np.float64] | None:
        """Return the times of frames 0 to `n_frames` - 1, if known."""
        return None if self.seconds_N is None else self._spread(self.seconds_N, n_frames)

    def _spread(self, values_N: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
        value_T = np.full(n_frames, np.nan)
        inside = self.frame_N < n_frames
        value_T[self.frame_N[inside]] = values_N[inside]
        return value_T


@dataclass(frozen=True)
class Figure:
    """One metric; None where it is not defined."""

    value: float | None
    interval: Interval | None
    peeks: bool
    videos_left_out: int
    """videos that the metric cannot use"""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All figures of one set of scores on one set of labels."""

    label_set: str
    figures: Mapping[str, Figure]
    headline: str
    """the figure that `sanity` speaks of: frame_auc_micro, or video_auc_max for labels of whole videos"""
    sanity: Mapping[str, float | None]
    """`headline` of scorers that have learnt nothing, on the same frames"""
    per_video: Sequence[Mapping[str, Any]]
    """video, frames, frames_abnormal (None: not known), and frame_auc (None with one class)"""
    per_category: Sequence[Mapping[str, Any]]
    """category, events, frames, events_found, and frame_auc of its frames among all normal ones"""
    false_alarms_by_event_recall: Mapping[str, float | None]
    """false alarms per camera-hour by the share of events found, from 0.1 to 1.0"""
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
    drawn: Mapping[str, Floats] = field(repr=False, compare=False, default_factory=dict)
    """each metric over the resamples of the videos; equal seeds and videos give equal draws"""

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
            "headline": self.headline,
            "protocol": PROTOCOL if self.headline == FRAMES else PROTOCOL_OF_VIDEOS,
            "figures": [self._row(name) for name in self.figures],
            "false_alarms_by_event_recall": dict(self.false_alarms_by_event_recall),
            "sanity": dict(self.sanity),
            "per_category": [dict(row) for row in self.per_category],
            "per_video": [dict(row) for row in self.per_video],
        }

    def _row(self, name: str) -> dict[str, Any]:
        """Return one figure with all that it needs to stand by itself."""
        figure = self.figures[name]
        return {
            "metric": name,
            "value": figure.value,
            "interval": figure.interval and list(figure.interval),
            "peeks": figure.peeks,
            "frames": self.frames,
            "videos": self.videos,
            "videos_left_out": figure.videos_left_out,
            "label_set": self.label_set,
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
    `reason` says so. Labels of whole videos give the figures of whole videos, and no others.

    Raises:
        SpecError: no video has both.
    """
    whole = truth.of_whole_videos
    joined = _joined_whole(scores, truth) if whole else joined_with(scores, truth)
    clips = [one.clip for one in joined]
    generator = np.random.default_rng(seed)
    headline = VIDEOS if whole else FRAMES
    first = metrics().get(headline)()
    known = {name: metrics().get(name)() for name in metrics().names()}
    chosen = {name: metric for name, metric in known.items() if metric.of_videos or not whole}
    drawn = all_resampled(chosen, clips, draw(len(clips), np.random.default_rng(seed)))
    none = {name: Figure(None, None, one.peeks, len(clips)) for name, one in known.items()}
    return Evaluation(
        label_set=truth.id,
        drawn=drawn,
        figures={**none, **_figures(chosen, clips, drawn)},
        headline=headline,
        sanity={
            **_know_nothing(joined, generator, first),
            **_simple(joined, sanity or {}, first),
        },
        per_video=[_row(clip, whole=whole) for clip in clips],
        per_category=[category_row(name, clips) for name in categories(clips)],
        false_alarms_by_event_recall=_by_event_recall(clips),
        frames=sum(len(clip.score_T) for clip in clips),
        frames_ignored=sum(one.ignored for one in joined),
        frames_without_score=sum(one.without_score for one in joined),
        frames_beyond_labels=sum(one.beyond for one in joined),
        videos_without_score=len(set(truth.videos) - set(scores)),
        videos_left_out_of_macro=sum(not clip.has_both_classes for clip in clips),
        reason=_reason_of_videos(clips) if whole else _reason(clips),
        seed=seed,
    )


@dataclass(frozen=True)
class Joined:
    """One video's frames that count, and how many do not."""

    clip: Clip
    frame_T: NDArray[np.int64]
    ignored: int
    without_score: int
    beyond: int


def joined_with(scores: Mapping[str, VideoScores], truth: LabelSet) -> list[Joined]:
    """Join the scores of videos with their labels, video by video, sorted.

    Raises:
        SpecError: no video has both, or the labels are of whole videos.
    """
    joined = [
        _join(video, scores[video], truth.videos[video])
        for video in sorted(scores)
        if video in truth.videos
    ]
    return _some(joined, scores, truth)


def _joined_whole(scores: Mapping[str, VideoScores], truth: LabelSet) -> list[Joined]:
    """Join the scores of videos with labels of whole videos; the frames of a video are all of its kind."""
    joined = []
    for video in sorted(scores):
        label, found = truth.video_class(video), scores[video]
        there_N = ~np.isnan(found.score_N)
        if label is None or not there_N.any():
            continue
        abnormal_T = np.full(int(there_N.sum()), label != NORMAL)
        clip = Clip(video, found.score_N[there_N], abnormal_T, camera=found.camera)
        joined.append(Joined(clip, found.frame_N[there_N], 0, int((~there_N).sum()), 0))
    return _some(joined, scores, truth)


def _some(
    joined: list[Joined], scores: Mapping[str, VideoScores], truth: LabelSet
) -> list[Joined]:
    if not joined:
        raise SpecError(
            f"None of {len(scores)} scored videos is among the {len(truth.videos)} labelled ones."
        )
    return joined


def _join(video: str, scores: VideoScores, truth: Truth) -> Joined:
    labels_T = truth.labels_T
    score_T = scores.by_frame(len(labels_T))
    seconds_T = scores.seconds_by_frame(len(labels_T))
    judged_T = labels_T != IGNORED
    counts_T = judged_T & ~np.isnan(score_T)
    frame_T = np.flatnonzero(counts_T)
    happened = [(i.start, i.stop, i.category) for i in truth.intervals if i.category != IGNORE]
    alarms = None if scores.alarms is None else _stretches(scores.alarms, frame_T)
    clip = Clip(
        video,
        score_T[counts_T],
        labels_T[counts_T] == ABNORMAL,
        camera=scores.camera,
        seconds_T=None if seconds_T is None else seconds_T[counts_T],
        events=_stretches(happened, frame_T),
        alarms=alarms,
        threshold=scores.threshold,
    )
    return Joined(
        clip,
        frame_T,
        ignored=int((~judged_T).sum()),
        without_score=int((judged_T & ~counts_T).sum()),
        beyond=int((scores.frame_N >= len(labels_T)).sum()),
    )


def _stretches(
    ranges: Iterable[tuple[Any, ...]], frame_T: NDArray[np.int64]
) -> tuple[Stretch, ...]:
    """Return ranges of frames as positions among those that count; what holds none is dropped."""
    found = []
    for start, stop, *category in sorted(ranges):
        first, last = np.searchsorted(frame_T, [start, stop]).tolist()
        if first < last:
            found.append(Stretch(first, last, *category))
    return tuple(found)


def _figures(
    chosen: Mapping[str, Metric], clips: Sequence[Clip], drawn: Mapping[str, Floats]
) -> dict[str, Figure]:
    found = values(chosen, clips)
    known = len(clips) > 1
    return {
        name: Figure(
            value=_plain(found[name]),
            interval=percentiles(drawn[name]) if known and np.isfinite(found[name]) else None,
            peeks=metric.peeks,
            videos_left_out=metric.left_out(clips),
        )
        for name, metric in chosen.items()
    }


def _by_event_recall(clips: Sequence[Clip]) -> dict[str, float | None]:
    shares = [round(tenth / 10, 1) for tenth in range(1, 11)]
    rates = false_alarm_rates(clips, shares)
    return {str(share): _plain(rate) for share, rate in zip(shares, rates, strict=True)}


def categories(clips: Sequence[Clip]) -> list[str]:
    """Return the names of what happens in the clips, sorted."""
    return sorted({event.category for clip in clips for event in clip.events})


def category_row(category: str, clips: Sequence[Clip]) -> dict[str, Any]:
    """Return how well the events of one category are found, and its frames told from normal ones."""
    mine = [_of_category(clip, category) for clip in clips]
    known = any(clip.alarms is not None for clip in mine)
    found = sum(len(overlapping(clip)[1]) for clip in mine)
    return {
        "category": category,
        "events": sum(len(clip.events) for clip in mine),
        "events_found": found if known else None,
        "frames": sum(int(clip.abnormal_T.sum()) for clip in mine),
        "frame_auc": _micro(mine),
    }


def _of_category(clip: Clip, category: str) -> Clip:
    """Return the clip without the abnormal frames that are of other categories alone."""
    events = tuple(event for event in clip.events if event.category == category)
    mine_T = np.zeros(len(clip.score_T), dtype=bool)
    for event in events:
        mine_T[event.start : event.stop] = True
    kept_T = ~clip.abnormal_T | mine_T
    place_T = np.append(0, np.cumsum(kept_T))

    def moved(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
        return tuple(
            one._replace(start=int(place_T[one.start]), stop=int(place_T[one.stop]))
            for one in stretches
            if place_T[one.start] < place_T[one.stop]
        )

    return Clip(
        clip.video,
        clip.score_T[kept_T],
        mine_T[kept_T],
        events=moved(events),
        alarms=None if clip.alarms is None else moved(clip.alarms),
    )


def _know_nothing(
    joined: Sequence[Joined], generator: np.random.Generator, headline: Metric
) -> dict[str, float | None]:
    """Return the figures of scorers that see no picture; far from 0.5, the labels betray themselves."""
    scorers = {
        "constant": [np.zeros(len(one.frame_T)) for one in joined],
        "random": [generator.random(len(one.frame_T)) for one in joined],
        "frame_index": [one.frame_T.astype(np.float64) for one in joined],
    }
    return {
        name: _value(
            headline,
            [
                Clip(one.clip.video, score_T, one.clip.abnormal_T)
                for one, score_T in zip(joined, per_video, strict=True)
            ],
        )
        for name, per_video in scorers.items()
    }


def _simple(
    joined: Sequence[Joined],
    sanity: Mapping[str, Mapping[str, VideoScores]],
    headline: Metric,
) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for name, videos in sanity.items():
        if not all(one.clip.video in videos for one in joined):
            figures[name] = None  # over fewer frames it could not stand beside the others
            continue
        clips = []
        for one in joined:
            if not len(one.frame_T):
                continue
            score_T = videos[one.clip.video].by_frame(int(one.frame_T[-1]) + 1)[one.frame_T]
            there_T = ~np.isnan(score_T)
            clips.append(Clip(one.clip.video, score_T[there_T], one.clip.abnormal_T[there_T]))
        figures[name] = _value(headline, clips)
    return figures


def _micro(clips: Sequence[Clip]) -> float | None:
    return _value(FrameAucMicro(), clips)


def _value(metric: Metric, clips: Sequence[Clip]) -> float | None:
    return _plain(metric.value(clips)) if clips else None


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _row(clip: Clip, *, whole: bool) -> dict[str, Any]:
    return {
        "video": clip.video,
        "frames": len(clip.score_T),
        "frames_abnormal": None if whole else int(clip.abnormal_T.sum()),
        "frame_auc": None if whole else _plain(clip.auc),
    }


def _reason_of_videos(clips: Sequence[Clip]) -> str:
    abnormal = sum(bool(clip.abnormal_T.all()) for clip in clips)
    if 0 < abnormal < len(clips):
        return _NO_FRAMES
    return (
        f"{_NO_FRAMES}; and {abnormal} of {len(clips)} videos are abnormal, so not even those"
    )


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
