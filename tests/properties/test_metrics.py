"""The metrics against scikit-learn and against their definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from anomaly.evaluation.curves import Clip, area, pooled, resampled
from anomaly.evaluation.metrics import metrics

FRAMES = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60)


def clip(frames, name: str = "a") -> Clip:
    score_T, abnormal_T = zip(*frames, strict=True)
    return Clip(name, np.array(score_T, dtype=np.float64), np.array(abnormal_T))


METRICS = {name: metrics().get(name)() for name in metrics().names()}


def value(name: str, clips: list[Clip]) -> float:
    return METRICS[name].value(clips)


@given(FRAMES, FRAMES)
def test_micro_auc_and_average_precision_are_those_of_scikit_learn(first, second) -> None:
    both = clip(first + second)
    assume(both.has_both_classes)
    clips = [clip(first), clip(second, "b")]
    expected = roc_auc_score(both.abnormal_T, both.score_T)
    np.testing.assert_allclose(value("frame_auc_micro", clips), expected)
    expected = average_precision_score(both.abnormal_T, both.score_T)
    np.testing.assert_allclose(value("average_precision", clips), expected)


@given(st.lists(FRAMES, min_size=1, max_size=5))
def test_macro_auc_is_the_mean_over_videos_with_both_classes(videos) -> None:
    clips = [clip(frames) for frames in videos]
    expected = [roc_auc_score(c.abnormal_T, c.score_T) for c in clips if c.has_both_classes]
    assume(expected)
    np.testing.assert_allclose(value("frame_auc_macro", clips), np.mean(expected))


@given(st.lists(FRAMES, min_size=1, max_size=5))
def test_padded_macro_auc_adds_one_frame_of_each_class(videos) -> None:
    expected = [
        roc_auc_score([*abnormal, False, True], [*scores, 0, 1e9])
        for scores, abnormal in (zip(*frames, strict=True) for frames in videos)
    ]
    found = value("frame_auc_macro_padded", [clip(frames) for frames in videos])
    np.testing.assert_allclose(found, np.mean(expected))


@given(FRAMES)
def test_at_the_equal_error_rate_misses_and_false_alarms_balance(frames) -> None:
    one = clip(frames)
    assume(one.has_both_classes)
    eer = value("eer", [one])
    rates = pooled([one]).rates()
    true = np.interp(eer, rates.false_RK[0], rates.true_RK[0])
    # On a vertical stretch of the curve any true rate is reached, so only bounds can be checked.
    at = rates.true_RK[0][np.isclose(rates.false_RK[0], eer)]
    low, high = min([true, *at]), max([true, *at])
    assert low - 1e-9 <= 1 - eer <= high + 1e-9


@given(FRAMES, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_stretching_all_scores_changes_no_pooled_figure(frames, scale, shift) -> None:
    one = clip(frames)
    assume(one.has_both_classes)
    moved = Clip("a", one.score_T * scale + shift, one.abnormal_T)
    for name in ("frame_auc_micro", "frame_auc_micro_normalised", "average_precision", "eer"):
        np.testing.assert_allclose(value(name, [one]), value(name, [moved]))


@given(FRAMES, FRAMES, st.integers(-99, 99))
def test_the_normalised_figure_does_not_see_the_level_of_a_video(first, second, shift) -> None:
    one, two = clip(first), clip(second)
    moved = Clip("a", one.score_T + shift, one.abnormal_T)
    before, after = (value("frame_auc_micro_normalised", [c, two]) for c in (one, moved))
    np.testing.assert_allclose(before, after)


@given(st.lists(FRAMES, min_size=2, max_size=5), st.data())
def test_weights_count_videos_like_copies(videos, data) -> None:
    clips = [clip(frames) for frames in videos]
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(clips), max_size=len(clips)))
    assume(sum(weights))
    copies = [c for c, count in zip(clips, weights, strict=True) for _ in range(count)]
    found = area(resampled(clips, np.array([weights])))
    np.testing.assert_allclose(found, area(pooled(copies)))
