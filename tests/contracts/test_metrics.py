"""What every metric promises."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.evaluation.bootstrap import interval
from anomaly.evaluation.curves import Clip, Stretch
from anomaly.evaluation.metrics import metrics

NAMES = metrics().names()


def clips(seed: int = 0, videos: int = 12, frames: int = 200) -> list[Clip]:
    generator = np.random.default_rng(seed)
    made = []
    for number in range(videos):
        abnormal_T = np.zeros(frames, dtype=bool)
        start = generator.integers(0, frames - 40)
        abnormal_T[start : start + 40] = number % 4 != 0
        score_T = generator.gamma(2.0, size=frames) + abnormal_T * 1.5
        event = Stretch(int(start), int(start) + 40, "fall")
        late = int(generator.integers(5, 60))
        made.append(
            Clip(
                f"{number}.mp4",
                score_T,
                abnormal_T,
                camera=f"camera {number % 3}",
                seconds_T=np.arange(frames) / 10,
                events=(event,) if number % 4 else (),
                alarms=(Stretch(0, 1), Stretch(int(start) + late, int(start) + late + 9)),
                threshold=float(generator.uniform(2, 4)),
            )
        )
    return made


@pytest.fixture(params=NAMES)
def metric(request):
    return metrics().get(request.param)()


def test_the_folder_holds_the_conventions_that_are_promised() -> None:
    assert set(NAMES) >= {
        "frame_auc_micro",
        "frame_auc_micro_normalised",
        "frame_auc_macro",
        "frame_auc_macro_padded",
        "average_precision",
        "eer",
        "frame_auc_macro_single_class_1",
        "frame_auc_per_camera",
        "tpr_at_1_percent_fpr",
        "tpr_at_0_1_percent_fpr",
        "false_alarms_per_camera_hour",
        "event_precision",
        "event_recall",
        "event_f1",
        "detection_delay_seconds",
        "video_auc_max",
        "accuracy_at_threshold",
    }


def test_a_metric_says_its_convention_its_formula_and_where_it_comes_from(metric) -> None:
    assert metric.meaning
    assert metric.formula
    assert metric.source


def test_its_value_is_a_share_or_a_rate_or_a_time(metric) -> None:
    assert 0 <= metric.value(clips()) <= (1 if metric.unit == "share" else np.inf)


def test_what_papers_do_with_the_future_of_a_clip_is_marked(metric) -> None:
    assert metric.peeks == (type(metric).__name__ == "FrameAucMicroNormalised")


def test_the_order_of_videos_does_not_matter(metric) -> None:
    made = clips()
    np.testing.assert_allclose(metric.value(made), metric.value(made[::-1]), rtol=1e-12)


def test_a_video_that_counts_twice_counts_like_two(metric) -> None:
    made = clips()
    weights_RV = np.array([[2, 0, 1, 0, 3, 1, 1, 0, 1, 1, 1, 1]])
    repeated = [
        clip for clip, count in zip(made, weights_RV[0], strict=True) for _ in range(count)
    ]
    (weighted,) = metric.resampled(made, weights_RV)
    np.testing.assert_allclose(weighted, metric.value(repeated), atol=1e-3)


def test_its_interval_holds_its_value_and_depends_on_the_seed_alone(metric) -> None:
    made = clips()
    low, high = interval(metric, made, np.random.default_rng(3))
    assert low < metric.value(made) < high
    assert interval(metric, made, np.random.default_rng(3)) == (low, high)


def test_a_single_video_has_no_interval(metric) -> None:
    assert interval(metric, clips(videos=1), np.random.default_rng(0)) is None


@pytest.mark.parametrize("abnormal", [True, False])
def test_one_class_alone_gives_no_number_unless_padding_adds_the_other(
    metric, abnormal
) -> None:
    one_class = [Clip("a", np.arange(5.0) + 1, np.full(5, abnormal))]
    value = metric.value(one_class)
    padded = type(metric).__name__ in {"FrameAucMacroPadded", "FrameAucMacroSingleClassOne"}
    assert np.isfinite(value) if padded else np.isnan(value)


def test_a_video_without_frames_changes_nothing(metric) -> None:
    empty = Clip("empty", np.zeros(0), np.zeros(0, dtype=bool))
    np.testing.assert_allclose(metric.value([*clips(), empty]), metric.value(clips()))
