"""Compares checkpoints on the same frames: paired differences, and whether they can be trusted.

Three answers to "is the second one better?", all of which draw or swap whole videos, since
neighbouring frames are one observation:

* the paired bootstrap draws the same videos for both and looks at the difference (Efron 1979);
* DeLong's test (Biometrics 1988) in the form for clustered data (Obuchowski, Biometrics 1997),
  the clusters being the videos; `delong(..., clustered=False)` is the textbook one;
* the permutation test swaps the two checkpoints' ranks video by video (Venkatraman and Begg,
  Biometrika 1996, with the video for a unit), corrected after Holm (1979) for the number of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.datasets.labels import LabelSet
from anomaly.evaluation.bootstrap import Interval, draw, percentiles
from anomaly.evaluation.curves import Clip, Floats, area, frames, quantised
from anomaly.evaluation.evaluate import Evaluation, VideoScores, evaluate_scores, joined_with

HEADLINE = "frame_auc_micro"
PERMUTATIONS = 2000
LEVEL = 0.05
"""corrected p from which on a difference is not decisive"""


class Difference(NamedTuple):
    """A metric of the second checkpoint minus that of the first; None where it is not defined."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two checkpoints side by side; `differences` are second minus first."""

    first: str
    second: str
    differences: Mapping[str, Difference]
    p_delong: float | None
    """of the headline, videos as clusters; None with one class or one video"""
    p_permutation: float
    p_holm: float
    """the same, corrected for the number of pairs"""

    @property
    def is_decisive(self) -> bool:
        """Whether interval and corrected permutation test agree that the headline differs."""
        around = self.differences[HEADLINE].interval
        return around is not None and around[0] * around[1] > 0 and self.p_holm < LEVEL

    @property
    def in_words(self) -> str:
        """Return the verdict as a sentence."""
        difference, around = self.differences[HEADLINE]
        if difference is None or around is None:
            return f"{self.first} and {self.second} cannot be compared by {HEADLINE} here."
        figures = f"{around[0]:+.3f} to {around[1]:+.3f}, corrected p {self.p_holm:.2g}"
        if not self.is_decisive:
            return (
                f"No decisive difference between {self.first} and {self.second}: {HEADLINE} "
                f"{difference:+.3f} ({figures})."
            )
        better, worse = (
            (self.second, self.first) if difference > 0 else (self.first, self.second)
        )
        return f"{better} is better than {worse}: {HEADLINE} {abs(difference):.3f} higher ({figures})."

    def to_json(self) -> dict[str, Any]:
        """Return the pair as plain values."""
        return {
            "first": self.first,
            "second": self.second,
            "differences": {
                name: {"value": one.value, "interval": one.interval and list(one.interval)}
                for name, one in self.differences.items()
            },
            "p_delong": self.p_delong,
            "p_permutation": self.p_permutation,
            "p_holm": self.p_holm,
            "is_decisive": self.is_decisive,
            "in_words": self.in_words,
        }


class Band(NamedTuple):
    """A curve and where 95 % of its resamples run; NaN where nothing is defined."""

    x_G: Floats
    y_G: Floats
    low_G: Floats
    high_G: Floats


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Checkpoints on the frames that all of them have scored."""

    evaluations: Mapping[str, Evaluation]
    pairs: Sequence[Pair]
    roc: Mapping[str, Band]
    precision_recall: Mapping[str, Band]
    videos_not_common: int
    """labelled videos that some checkpoint has not scored, which do not count"""


def compare_scores(
    scores: Mapping[str, Mapping[str, VideoScores]],
    truth: LabelSet,
    *,
    seed: int = 0,
    sanity: Mapping[str, Mapping[str, VideoScores]] | None = None,
) -> Comparison:
    """Compare the scores of checkpoints, by name and video, on the frames that all have scored.

    Raises:
        SpecError: no labelled video is scored by all, or the labels are of whole videos.
    """
    shared = on_common_frames(scores)
    clips = {
        name: [one.clip for one in joined_with(videos, truth)]
        for name, videos in shared.items()
    }
    weights_RV = draw(len(next(iter(clips.values()))), np.random.default_rng(seed))
    evaluations = {
        name: evaluate_scores(videos, truth, seed=seed, sanity=sanity)
        for name, videos in shared.items()
    }
    everything = {one for videos in scores.values() for one in videos} & set(truth.videos)
    curves = {name: curve_bands(mine, weights_RV) for name, mine in clips.items()}
    return Comparison(
        evaluations=evaluations,
        pairs=_pairs(clips, evaluations, seed),
        roc={name: one[0] for name, one in curves.items()},
        precision_recall={name: one[1] for name, one in curves.items()},
        videos_not_common=len(everything) - len(weights_RV[0]),
    )


def on_common_frames(
    scores: Mapping[str, Mapping[str, VideoScores]],
) -> dict[str, dict[str, VideoScores]]:
    """Return the scores of those frames, of those videos, that all checkpoints have scored."""
    videos = sorted(set.intersection(*(set(one) for one in scores.values())))
    common: dict[str, dict[str, VideoScores]] = {name: {} for name in scores}
    for video in videos:
        mine = [_without_holes(scores[name][video]) for name in scores]
        frame_N = mine[0].frame_N
        for other in mine[1:]:
            frame_N = np.intersect1d(frame_N, other.frame_N, assume_unique=True)
        for name, one in zip(scores, mine, strict=True):
            common[name][video] = _chosen(one, np.isin(one.frame_N, frame_N))
    return common


def _without_holes(scores: VideoScores) -> VideoScores:
    return _chosen(scores, ~np.isnan(scores.score_N))


def _chosen(scores: VideoScores, chosen_N: NDArray[np.bool_]) -> VideoScores:
    seconds_N = None if scores.seconds_N is None else scores.seconds_N[chosen_N]
    return replace(
        scores,
        frame_N=scores.frame_N[chosen_N],
        score_N=scores.score_N[chosen_N],
        seconds_N=seconds_N,
    )


def _pairs(
    clips: Mapping[str, Sequence[Clip]], evaluations: Mapping[str, Evaluation], seed: int
) -> list[Pair]:
    couples = list(combinations(clips, 2))
    p_values = [
        permutation_test(clips[first], clips[second], np.random.default_rng(seed))
        for first, second in couples
    ]
    return [
        Pair(
            first=first,
            second=second,
            differences={
                name: _difference(evaluations[first], evaluations[second], name)
                for name in evaluations[first].figures
            },
            p_delong=delong(clips[first], clips[second]),
            p_permutation=p,
            p_holm=corrected,
        )
        for (first, second), p, corrected in zip(couples, p_values, holm(p_values), strict=True)
    ]


def _difference(first: Evaluation, second: Evaluation, name: str) -> Difference:
    before, after = first.figures[name].value, second.figures[name].value
    if before is None or after is None:
        return Difference(None, None)
    drawn_R = second.drawn[name] - first.drawn[name]
    return Difference(after - before, percentiles(drawn_R) if first.videos > 1 else None)


def delong(
    first: Sequence[Clip], second: Sequence[Clip], *, clustered: bool = True
) -> float | None:
    """Return the two-sided p of equal micro AUC on the same frames; None where it is not defined.

    With `clustered`, frames of one video may depend on each other; without, every frame counts
    as an observation of its own, which makes p far too small on video.
    """
    from scipy.special import ndtr

    abnormal_N = np.concatenate([clip.abnormal_T for clip in first])
    gains = [
        _components(np.concatenate([clip.score_T for clip in clips]), abnormal_N)
        for clips in (first, second)
    ]
    sizes = (
        [len(clip.score_T) for clip in first] if clustered else np.ones(len(abnormal_N), int)
    )
    cluster_N = np.repeat(np.arange(len(sizes)), sizes)
    parts = []
    for side, of_class in enumerate((abnormal_N, ~abnormal_N)):
        gain = gains[1][side] - gains[0][side]
        if not len(gain):
            return None
        clusters = len(np.unique(cluster_N[of_class]))
        sums_C = np.bincount(
            cluster_N[of_class], gain - gain.mean(), minlength=len(sizes)
        ) / len(gain)
        parts.append((gain.mean(), clusters, sums_C))
    (difference, abnormal, abnormal_C), (_, normal, normal_C) = parts
    if min(abnormal, normal) < 2:
        return None
    variance = (
        abnormal / (abnormal - 1) * (abnormal_C**2).sum()
        + normal / (normal - 1) * (normal_C**2).sum()
        + 2 * len(sizes) / (len(sizes) - 1) * (abnormal_C * normal_C).sum()
    )
    if variance <= 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * ndtr(-abs(difference) / np.sqrt(variance)))


def _components(
    score_N: NDArray[np.floating[Any]], abnormal_N: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return for each abnormal frame the share of normal ones below it, and the other way round."""
    high, low = score_N[abnormal_N], score_N[~abnormal_N]
    return _share_below(low, high), 1.0 - _share_below(high, low)


def _share_below(among: NDArray[Any], values_M: NDArray[Any]) -> Floats:
    ordered = np.sort(among)
    places = [np.searchsorted(ordered, values_M, side=side) for side in ("left", "right")]
    share_M: Floats = (places[0] + places[1]) / (2.0 * max(1, len(ordered)))
    return share_M


def permutation_test(
    first: Sequence[Clip], second: Sequence[Clip], generator: np.random.Generator
) -> float:
    """Return the two-sided p that swapping the two checkpoints video by video makes no difference.

    The statistic is the difference in micro AUC of the scores' ranks, so that the checkpoints may
    score on different scales. With few videos all swaps are tried, else `PERMUTATIONS` drawn.
    """
    ranked = [frames(clip) for clips in (first, second) for clip in _ranked(clips)]
    levels = quantised(ranked)
    n_videos = len(first)
    keep_RV = _swaps(n_videos, generator)
    mixed_R, rest_R = (
        area(levels.drawn(np.concatenate([keep, ~keep], axis=1)))
        for keep in (keep_RV, ~keep_RV)
    )
    gap_R = np.abs(mixed_R - rest_R)
    if not np.isfinite(gap_R[0]):
        return 1.0
    return float(np.mean(gap_R >= gap_R[0] - 1e-12))


def _swaps(n_videos: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return which videos keep their checkpoint, shape (R, V); in the first row all do."""
    if 2**n_videos <= PERMUTATIONS:
        numbers = np.arange(2**n_videos)[:, None]
        return (numbers >> np.arange(n_videos)) % 2 == 0
    keep_RV = generator.random((PERMUTATIONS + 1, n_videos)) < 0.5
    keep_RV[0] = True
    return keep_RV


def _ranked(clips: Sequence[Clip]) -> list[Clip]:
    from scipy.stats import rankdata

    rank_N = rankdata(np.concatenate([clip.score_T for clip in clips]))
    ends = np.cumsum([len(clip.score_T) for clip in clips])
    return [
        Clip(clip.video, rank_T, clip.abnormal_T)
        for clip, rank_T in zip(clips, np.split(rank_N, ends[:-1]), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, in their order (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(np.array(p_values)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return [float(p) for p in corrected]


_GRID = np.append(np.linspace(0, 0.1, 51), np.linspace(0.11, 1, 90))
"""denser where alarms are few"""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """How one checkpoint fares on one set of labels, whatever the threshold."""

    label_set: str
    roc: Band
    precision_recall: Band


def curves_of(
    scores: Mapping[str, VideoScores], truth: LabelSet, *, seed: int = 0
) -> Curves | None:
    """Return the curves of the frames that count; None where labels know one class, or no frames."""
    if truth.of_whole_videos:
        return None
    clips = [one.clip for one in joined_with(scores, truth)]
    if len({bool(found) for clip in clips for found in np.unique(clip.abnormal_T)}) < 2:
        return None
    roc, precision_recall = curve_bands(clips, draw(len(clips), np.random.default_rng(seed)))
    return Curves(label_set=truth.id, roc=roc, precision_recall=precision_recall)


def curve_bands(clips: Sequence[Clip], weights_RV: NDArray[np.int64]) -> tuple[Band, Band]:
    """Return ROC and precision-recall curves of the frames, with bands.

    Args:
        clips: the labelled videos.
        weights_RV: how often each resample draws each of them.
    """
    once_and_drawn = np.concatenate([np.ones((1, len(clips))), weights_RV])
    curve = quantised([frames(clip) for clip in clips]).drawn(once_and_drawn)
    false_RK, true_RK = curve.rates()[:2]
    alarms_RK = curve.false_RK + curve.true_RK
    precision_RK = np.divide(
        curve.true_RK, alarms_RK, out=np.ones_like(alarms_RK), where=alarms_RK > 0
    )
    roc_RG = np.array(
        [
            np.interp(_GRID, false_K, true_K)
            for false_K, true_K in zip(false_RK, true_RK, strict=True)
        ]
    )
    last = true_RK.shape[1] - 1
    found_RG = np.array(
        [
            precision_K[np.searchsorted(true_K, _GRID - 1e-12).clip(1, last)]
            for precision_K, true_K in zip(precision_RK, true_RK, strict=True)
        ]
    )
    return _band(roc_RG), _band(found_RG)


def _band(y_RG: Floats) -> Band:
    drawn_RG = y_RG[1:][np.isfinite(y_RG[1:]).all(axis=1)]
    if not len(drawn_RG):
        return Band(_GRID, y_RG[0], y_RG[0], y_RG[0])
    low_G, high_G = np.percentile(drawn_RG, [2.5, 97.5], axis=0)
    return Band(_GRID, y_RG[0], low_G, high_G)
