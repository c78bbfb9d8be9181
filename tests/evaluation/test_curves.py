"""Curves in pieces, against scikit-learn and against themselves in one piece."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomaly.evaluation.curves import Clip, area, frames, pieces, pooled, quantised
from anomaly.evaluation.metrics import all_resampled, metrics, values

FRAMES = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=80)
CURVE_METRICS = {
    name: metrics().get(name)()
    for name in (
        "frame_auc_micro",
        "average_precision",
        "eer",
        "tpr_at_1_percent_fpr",
        "tpr_at_0_1_percent_fpr",
    )
}


def a_million(decimals: int) -> list[Clip]:
    """Ten clips with a hundred thousand frames each; rounding makes ties."""
    generator = np.random.default_rng(1)
    clips = []
    for number in range(10):
        abnormal_T = generator.random(100_000) < 0.1
        score_T = np.round(generator.normal(size=100_000) + abnormal_T, decimals)
        clips.append(Clip(str(number), score_T, abnormal_T))
    return clips


@pytest.mark.parametrize("decimals", [1, 3, 15])
def test_a_million_scores_with_ties_give_the_figures_of_scikit_learn(decimals: int) -> None:
    clips = a_million(decimals)
    score_N = np.concatenate([clip.score_T for clip in clips])
    abnormal_N = np.concatenate([clip.abnormal_T for clip in clips])
    found = values(CURVE_METRICS, clips)
    assert found["frame_auc_micro"] == pytest.approx(
        roc_auc_score(abnormal_N, score_N), abs=1e-12
    )
    assert found["average_precision"] == pytest.approx(
        average_precision_score(abnormal_N, score_N), abs=1e-12
    )
    false, true, _ = roc_curve(abnormal_N, score_N, drop_intermediate=False)
    for name, rate in (("tpr_at_1_percent_fpr", 0.01), ("tpr_at_0_1_percent_fpr", 0.001)):
        assert found[name] == pytest.approx(np.interp(rate, false, true), abs=1e-6)


@given(st.lists(FRAMES, min_size=1, max_size=4), st.integers(1, 50))
def test_pieces_of_a_curve_make_the_curve(videos, at_once: int) -> None:
    points = []
    for video in videos:
        score_T, abnormal_T = zip(*video, strict=True)
        points.append(
            frames(Clip("a", np.array(score_T, dtype=np.float32), np.array(abnormal_T)))
        )
    (whole,) = pieces(points, at_once=10**9)
    parts = list(pieces(points, at_once=at_once))
    false = np.concatenate(
        [whole.false_RK[:, :1], *(part.false_RK[:, 1:] for part in parts)], 1
    )
    true = np.concatenate([whole.true_RK[:, :1], *(part.true_RK[:, 1:] for part in parts)], 1)
    moves = (np.diff(false) + np.diff(true))[0] > 0
    np.testing.assert_array_equal(false[0, 1:][moves], whole.false_RK[0, 1:])
    np.testing.assert_array_equal(true[0, 1:][moves], whole.true_RK[0, 1:])
    for metric in CURVE_METRICS.values():
        summed = sum(float(metric.of_curve(part)[0]) for part in parts)
        np.testing.assert_allclose(summed, metric.of_curve(whole)[0], atol=1e-12)


def test_infinite_scores_are_equal_to_each_other() -> None:
    clip = Clip("a", np.array([np.inf, np.inf, 0.0]), np.array([True, False, False]))
    assert area(pooled([clip]))[0] == 0.75


def test_levels_of_many_scores_move_figures_by_less_than_a_thousandth() -> None:
    clips = a_million(15)
    levels = quantised([frames(clip) for clip in clips])
    assert levels.false_VK.shape[1] < 5000
    once = all_resampled(CURVE_METRICS, clips, np.ones((1, 10)))
    exact = values(CURVE_METRICS, clips)
    for name, (value,) in once.items():
        assert value == pytest.approx(exact[name], abs=1e-3), name


@pytest.mark.slow
@pytest.mark.soak
def test_a_hundred_million_scores_fit_into_a_gigabyte() -> None:
    code = """
import resource
import numpy as np
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics.frame_auc_micro import FrameAucMicro
generator = np.random.default_rng(0)
clips = []
for number in range(1000):
    abnormal_T = generator.random(100_000, dtype=np.float32) < 0.05
    score_T = generator.standard_normal(100_000, dtype=np.float32) + abnormal_T
    clips.append(Clip(str(number), score_T, abnormal_T))
print(FrameAucMicro().value(clips), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    value, kilobytes = map(float, done.stdout.split())
    assert value == pytest.approx(0.7602, abs=1e-3)  # of two normals one apart
    assert kilobytes < 1e6
