"""Tests of differences, against slow ones written from their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from anomaly.datasets.labels import Interval, LabelSet, Truth
from anomaly.evaluation.bootstrap import draw
from anomaly.evaluation.compare import compare_scores, delong, holm, permutation_test
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.evaluate import VideoScores


def clips(quality: float, videos: int = 6, frames: int = 30, seed: int = 0) -> list[Clip]:
    """Scores that rise where something happens, by `quality`, and drift from frame to frame."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(videos):
        abnormal_T = np.zeros(frames, dtype=bool)
        abnormal_T[5 + number % 15 : 12 + number % 15] = True
        drift_T = generator.normal() + np.cumsum(generator.normal(size=frames)) / 8
        made.append(Clip(str(number), drift_T + quality * abnormal_T, abnormal_T))
    return made


def together(some: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([clip.score_T for clip in some]),
        np.concatenate([clip.abnormal_T for clip in some]),
    )


def wins(score_N: np.ndarray, abnormal_N: np.ndarray) -> np.ndarray:
    """Every abnormal frame against every normal one, ties half."""
    high, low = score_N[abnormal_N][:, None], score_N[~abnormal_N][None]
    return (high > low) + 0.5 * (high == low)


def test_delong_of_single_frames_is_the_textbook_one() -> None:
    first, second = clips(1.0), clips(1.5, seed=1)
    abnormal_N = together(first)[1]
    gain = wins(together(second)[0], abnormal_N) - wins(together(first)[0], abnormal_N)
    variance = gain.mean(axis=1).var(ddof=1) / gain.shape[0]
    variance += gain.mean(axis=0).var(ddof=1) / gain.shape[1]
    expected = 2 * norm.sf(abs(gain.mean()) / np.sqrt(variance))
    assert delong(first, second, clustered=False) == pytest.approx(expected, rel=1e-9)


def test_delong_of_videos_follows_obuchowski_and_is_less_sure() -> None:
    first, second = clips(1.0), clips(1.5, seed=1)
    abnormal_N = together(first)[1]
    gain = wins(together(second)[0], abnormal_N) - wins(together(first)[0], abnormal_N)
    m, n = gain.shape
    difference = gain.mean()
    video_N = np.repeat(np.arange(6), 30)
    s10 = s01 = s11 = 0.0
    for video in range(6):
        of_high = (gain.mean(axis=1) - difference)[video_N[abnormal_N] == video].sum()
        of_low = (gain.mean(axis=0) - difference)[video_N[~abnormal_N] == video].sum()
        s10 += of_high**2
        s01 += of_low**2
        s11 += of_high * of_low
    variance = 6 / 5 * (s10 / m**2 + s01 / n**2 + 2 * s11 / (m * n))
    expected = 2 * norm.sf(abs(difference) / np.sqrt(variance))
    found = delong(first, second)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found > delong(first, second, clustered=False)


def test_equal_scores_differ_by_nothing_in_every_test() -> None:
    same = clips(1.0)
    assert delong(same, same) == 1.0
    assert permutation_test(same, same, np.random.default_rng(0)) == 1.0


def test_few_videos_are_swapped_in_every_way() -> None:
    first, second = clips(0.5), clips(2.0, seed=3)
    ranks = [rankdata(together(some)[0]).reshape(6, 30) for some in (first, second)]
    abnormal_N = together(first)[1]
    gaps = []
    for keep in itertools.product([True, False], repeat=6):
        mixed = np.array([ranks[not k][v] for v, k in enumerate(keep)]).ravel()
        rest = np.array([ranks[k][v] for v, k in enumerate(keep)]).ravel()
        gaps.append(abs(roc_auc_score(abnormal_N, mixed) - roc_auc_score(abnormal_N, rest)))
    expected = np.mean(np.array(gaps) >= gaps[0] - 1e-12)
    assert permutation_test(first, second, np.random.default_rng(0)) == pytest.approx(expected)


def test_scales_of_scores_do_not_matter_to_the_permutation_test() -> None:
    first, second = clips(1.0, videos=20), clips(1.3, videos=20, seed=2)
    stretched = [Clip(c.video, np.exp(5 * c.score_T), c.abnormal_T) for c in second]
    ps = [permutation_test(first, one, np.random.default_rng(1)) for one in (second, stretched)]
    assert ps[0] == ps[1]


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def stored(some: list[Clip]) -> dict[str, VideoScores]:
    return {c.video: VideoScores(np.arange(len(c.score_T)), c.score_T) for c in some}


def labels(some: list[Clip]) -> LabelSet:
    videos = {}
    for clip in some:
        start, stop = np.flatnonzero(np.diff(clip.abnormal_T, prepend=False, append=False))
        videos[clip.video] = Truth(len(clip.score_T), (Interval(int(start), int(stop), "x"),))
    return LabelSet("cafe", videos)


def test_the_paired_interval_is_that_of_drawing_the_same_videos_for_both() -> None:
    first, second = clips(1.0), clips(1.5, seed=1)
    (pair,) = compare_scores(
        {"a": stored(first), "b": stored(second)}, labels(first), seed=7
    ).pairs
    differences = []
    for weights in draw(6, np.random.default_rng(7)):
        numbers = np.repeat(np.arange(6), weights)
        one, two = (
            wins(*together([some[n] for n in numbers])).mean() for some in (first, second)
        )
        differences.append(two - one)
    low, high = np.percentile(differences, [2.5, 97.5])
    assert pair.differences["frame_auc_micro"].interval == pytest.approx((low, high), abs=1e-9)


def test_a_clear_difference_is_called_one_and_a_small_one_is_not() -> None:
    base, better = clips(0.2, videos=30), clips(3.0, videos=30, seed=1)
    other = clips(0.2, videos=30, seed=2)
    found = compare_scores(
        {"base": stored(base), "better": stored(better), "other": stored(other)}, labels(base)
    )
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    assert pairs["base", "better"].in_words.startswith("better is better than base")
    assert pairs["better", "other"].in_words.startswith("better is better than other")
    assert pairs["base", "other"].in_words.startswith("No decisive difference")
    assert pairs["base", "better"].p_holm > pairs["base", "better"].p_permutation


def test_only_frames_that_all_have_scored_count() -> None:
    first, second = stored(clips(1.0)), stored(clips(1.0))
    first["0"].score_N[:4] = np.nan
    del second["1"]
    found = compare_scores({"a": first, "b": second}, labels(clips(1.0)))
    assert [one.frames for one in found.evaluations.values()] == [5 * 30 - 4] * 2
    assert found.videos_not_common == 1
    assert found.evaluations["a"].figures == found.evaluations["b"].figures


def test_curves_lie_inside_their_bands_and_under_the_roc_lies_the_auc() -> None:
    some = clips(1.0, videos=20)
    found = compare_scores({"a": stored(some), "b": stored(some)}, labels(some))
    for band in (found.roc["a"], found.precision_recall["a"]):
        assert (band.low_G <= band.y_G + 1e-9).mean() > 0.95
        assert (band.y_G <= band.high_G + 1e-9).mean() > 0.95
    x_G, y_G = found.roc["a"][:2]
    area = np.trapezoid(y_G, x_G)
    assert area == pytest.approx(
        found.evaluations["a"].figures["frame_auc_micro"].value, abs=5e-3
    )
