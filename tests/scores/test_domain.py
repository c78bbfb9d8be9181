"""When a camera is out of its domain, why, and what must not be taken for that."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.features.picture import VIEW_SECONDS, Picture, PictureMeter, join
from anomaly.scores.domain import VIEW_CHANGED, Domain, Seen
from anomaly.video import FrameBatch
from tests.benchmarks.detector.corruptions import CORRUPTIONS, IN_DOMAIN

RATE = 5
SCENE = np.random.default_rng(0).integers(60, 180, (20, 30), dtype=np.uint8)
SCENE = SCENE.repeat(12, 0).repeat(12, 1)
OUT = {
    "noise sd 8": {"noisy"},
    "night": {"dark"},
    "4 px shake": {"shaking"},
    "defocus": {"blurred"},
    "rain": {"noisy"},
    "covered lens": {"covered"},
    "moved camera": {VIEW_CHANGED},
}


def film(seconds: float, seed: int, corruption: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A fixed scene through which somebody walks; pictures and their seconds."""
    generator = np.random.default_rng(seed)
    frames = SCENE + generator.normal(0, 1, (int(seconds * RATE), *SCENE.shape))
    for t, frame in enumerate(frames):
        frame[60:180, (7 * t + 40 * seed) % 330 :][:, :24] = 230
    frames = frames.clip(0, 255).astype(np.uint8)
    seconds_T = np.arange(len(frames)) / RATE
    if corruption:
        changed = CORRUPTIONS[corruption](frames, seconds_T, generator)
        seconds_T = seconds_T[:: 2 if len(changed) < len(frames) else 1]
        frames = changed
    return frames, seconds_T


def measured(frames: np.ndarray, seconds_T: np.ndarray) -> Picture:
    meter = PictureMeter()
    index = np.arange(len(frames))
    return join(
        [meter.measure(FrameBatch(frames[..., None], index, seconds_T)), meter.finish()]
    )


def seen(seed: int, seconds: float = 20.0, corruption: str = "") -> Seen:
    frames, seconds_T = film(seconds, seed, corruption)
    return Seen(measured(frames, seconds_T), seconds_T, np.ones(len(seconds_T), bool))


@pytest.fixture(scope="module")
def domain() -> Domain:
    fitted = Domain.fit([seen(0), seen(1)])
    assert fitted is not None
    return fitted


def reasons(domain: Domain, video: Seen) -> set[str]:
    return {r for one in domain.outside(video.picture, video.seconds_T) for r in one.reasons}


@pytest.mark.parametrize("corruption", ["", *IN_DOMAIN])
def test_what_a_detector_must_bear_stays_in_domain(domain: Domain, corruption: str):
    assert reasons(domain, seen(7, corruption=corruption)) == set()


@pytest.mark.parametrize("corruption", OUT)
def test_what_it_cannot_bear_is_recognised_and_the_reason_is_told(
    domain: Domain, corruption: str
):
    assert reasons(domain, seen(7, corruption=corruption)) >= OUT[corruption]


def test_a_stretch_is_marked_from_its_first_block_to_its_last(domain: Domain):
    frames, seconds_T = film(60.0, 3)
    lens = slice(30 * RATE, 50 * RATE)
    frames[lens] = 90
    (out,) = domain.outside(measured(frames, seconds_T), seconds_T)
    assert out.reasons[0] == "covered"
    assert (out.start_seconds, out.stop_seconds) == pytest.approx((30, 50), abs=1 / RATE)


def test_a_moment_at_the_end_of_a_file_is_judged_with_what_was_before_it(domain: Domain):
    frames, seconds_T = film(20.6, 3)
    frames[-3:] = 90
    assert domain.outside(measured(frames, seconds_T), seconds_T) == ()


def test_a_camera_that_stood_in_two_places_in_training_may_stand_in_either(domain: Domain):
    both = Domain.fit([seen(0), seen(1), seen(2, corruption="moved camera")])
    assert both is not None
    assert reasons(both, seen(7)) == set()
    assert reasons(both, seen(7, corruption="moved camera")) == set()
    assert reasons(domain, seen(7, corruption="moved camera")) == {VIEW_CHANGED}


def test_a_little_of_something_odd_in_training_moves_no_limit():
    clean, odd = seen(5), seen(5, 10.0, "covered lens")
    pictures = [odd.picture, *[clean.picture] * 50]
    seconds_T = np.arange(sum(len(one.statistics_TK) for one in pictures)) / RATE
    joined = join(pictures)
    views = joined.views_VHW
    long = Picture(joined.statistics_TK, views, np.arange(len(views)) * VIEW_SECONDS)
    domain = Domain.fit([Seen(long, seconds_T, np.ones(len(seconds_T), bool)), clean])
    assert domain is not None
    assert reasons(domain, seen(7, corruption="covered lens")) == {"covered"}


def test_rows_that_may_not_be_learnt_from_are_not():
    video = seen(1)
    shaken = seen(0, corruption="4 px shake")
    both = join([video.picture, shaken.picture])
    views = both.views_VHW
    seconds_T = np.arange(len(both.statistics_TK)) / RATE
    joined = Picture(both.statistics_TK, views, np.arange(len(views)) * VIEW_SECONDS)
    domain = Domain.fit([Seen(joined, seconds_T, seconds_T < len(video.seconds_T) / RATE)])
    assert domain is not None
    assert "shaking" in reasons(domain, shaken)


def test_nothing_is_learnt_from_videos_whose_picture_was_not_measured():
    assert Domain.fit([]) is None


def test_a_round_trip_through_state_changes_nothing(domain: Domain):
    back = Domain.from_state(domain.state())
    assert back is not None
    video = seen(7, corruption="night")
    assert back.outside(video.picture, video.seconds_T) == domain.outside(
        video.picture, video.seconds_T
    )
    assert Domain.from_state({}) is None
