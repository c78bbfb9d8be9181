from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.merge import RowScores
from anomaly.scores.stages import ScoreStages
from anomaly.scores.threshold import AlarmModel, block_maxima

SPEC = ScoreSpec(alarms_per_camera_day=24.0)


def normal_video(seed: int, minutes: float = 10.0, rate: int = 10) -> RowScores:
    n_rows = int(minutes * 60 * rate)
    noise = np.random.default_rng(seed).normal(size=n_rows)
    raw_R = np.exp(gaussian_filter1d(noise, 5.0) * 3)
    return RowScores(raw_R, np.arange(n_rows), np.arange(n_rows) / rate, n_rows)


def frame_scores(score: np.ndarray, rate: int = 10) -> FrameScores:
    return FrameScores(score, score, ~np.isnan(score), np.arange(len(score)) / rate)


def test_stages_say_what_the_threshold_rests_on() -> None:
    stages = ScoreStages.fit([normal_video(seed) for seed in range(6)], SPEC)
    facts = json.loads(json.dumps(stages.facts))
    assert facts["held_out_hours"] == pytest.approx(1.0)
    assert facts["extrapolation_factor"] == pytest.approx(
        1.0
    )  # 24 a day is one in the hour seen
    assert facts["alarms_per_camera_day"] == 24
    assert facts["achieved_alarms_per_camera_day"] == pytest.approx(
        facts["held_out_events"] * 24
    )
    assert facts["threshold"] == stages.threshold


def test_fresh_normal_video_gives_about_as_many_alarms_as_were_asked_for() -> None:
    stages = ScoreStages.fit([normal_video(seed) for seed in range(12)], SPEC)
    fresh = [stages(normal_video(seed, minutes=60)) for seed in range(100, 148)]
    alarms_a_day = sum(len(stages.events(scores)) for scores in fresh) / 2
    assert 8 < alarms_a_day < 72


def test_a_smaller_budget_gives_a_higher_threshold_and_a_longer_reach() -> None:
    videos = [normal_video(seed) for seed in range(3)]
    few, many = (
        ScoreStages.fit(videos, ScoreSpec(alarms_per_camera_day=budget))
        for budget in (0.1, 100.0)
    )
    assert few.threshold > many.threshold
    assert few.facts["extrapolation_factor"] == pytest.approx(
        1000 * many.facts["extrapolation_factor"]
    )


def test_rarity_at_the_threshold_is_the_budget() -> None:
    stages = ScoreStages.fit([normal_video(seed) for seed in range(4)], SPEC)
    assert stages.alarms.one_in_days(stages.threshold) == pytest.approx(1 / 24)
    assert stages.alarms.one_in_days(stages.threshold + 1) > stages.alarms.one_in_days(
        stages.threshold
    )
    assert stages.alarms.one_in_days(1e9) == pytest.approx(1e6)


def test_state_and_facts_bring_the_stages_back() -> None:
    stages = ScoreStages.fit([normal_video(0)], SPEC)
    again = ScoreStages.load(stages.state(), SPEC)
    video = normal_video(7)
    np.testing.assert_array_equal(stages(video).score_T, again(video).score_T)
    assert again.events(again(video)) == stages.events(stages(video))
    assert again.alarms.one_in_days(4.0) == stages.alarms.one_in_days(4.0)


def test_scores_of_the_first_half_do_not_know_the_second() -> None:
    stages = ScoreStages.fit([normal_video(0)], SPEC)
    video = normal_video(9)
    cut, reach = 3000, 9  # three times 0.3 s at 10 rows a second
    half = RowScores(video.raw_R[:cut], video.index_R[:cut], video.seconds_R[:cut], cut)
    whole_T, half_T = stages(video).score_T, stages(half).score_T
    np.testing.assert_array_equal(whole_T[: cut - reach], half_T[: cut - reach])


def test_rows_not_known_to_be_normal_do_not_calibrate() -> None:
    clean = normal_video(0)
    raw_R = clean.raw_R.copy()
    raw_R[2000:3000] = np.nan
    masked = RowScores(raw_R, clean.index_R, clean.seconds_R, clean.n_frames)
    stages = ScoreStages.fit([masked], SPEC)
    assert stages.facts["held_out_hours"] == pytest.approx(500 / 3600)
    assert stages(clean).score_T.shape == (6000,)


def test_one_short_normal_clip_is_enough_to_fit() -> None:
    stages = ScoreStages.fit([normal_video(0, minutes=0.05)], ScoreSpec())
    assert np.isfinite(stages.threshold)
    assert stages.facts["extrapolation_factor"] == pytest.approx(86400 / 3)


def test_blocks_cut_a_video_evenly_and_skip_what_has_no_score() -> None:
    score = np.arange(300.0)
    score[100:200] = np.nan
    assert block_maxima(frame_scores(score), 10.0).tolist() == [99.0, 299.0]
    assert block_maxima(frame_scores(score[:30]), 10.0).tolist() == [29.0]


def test_with_plenty_of_normal_video_the_threshold_is_read_off_and_not_extrapolated() -> None:
    generator = np.random.default_rng(0)
    day = frame_scores(generator.exponential(1 / np.log(10), size=864_000))
    alarms = AlarmModel.fit([day], 10.0)
    maxima = np.sort(block_maxima(day, 10.0))
    assert alarms.extrapolation(1000.0) < 1
    assert maxima[-1002] <= alarms.threshold(1000.0) <= maxima[-998]
