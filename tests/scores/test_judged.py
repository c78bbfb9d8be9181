"""A threshold from verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError
from anomaly.scores.judged import LEAST_VERDICTS, Judged, _poisson_interval, propose
from anomaly.scores.threshold import MOST_DAYS


def events(said: str, *days: float) -> list[Judged]:
    return [Judged(one, said) for one in days]  # type: ignore[arg-type]


REAL = events("real", *(100.0 + number for number in range(15)))


def test_the_threshold_lies_just_above_the_false_alarm_that_is_one_too_many() -> None:
    found = propose(
        [*REAL, *events("false", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)],
        camera_days=2.0,
        budget=1.0,
        shown_from_days=1.0,
    )
    assert 8 < found.one_in_days < 9  # two in two days may stay: 9 and 10
    assert found.raises
    assert found.false_alarms_per_camera_day == 1.0
    assert found.alarms_per_camera_day == pytest.approx(1 / found.one_in_days)
    assert (found.real, found.false, found.real_kept) == (15, 10, 15)


def test_events_that_nobody_has_judged_or_is_unsure_of_count_as_false_alarms() -> None:
    judged = [*REAL, *events("false", 1, 2, 3, 4, 5, 6)]
    alone = propose(judged, camera_days=2.0, budget=1.0, shown_from_days=1.0)
    for said in ("none", "unsure"):
        more = propose(
            [*judged, *events(said, 50, 60)], camera_days=2.0, budget=1.0, shown_from_days=1.0
        )
        assert more.one_in_days > alone.one_in_days
        assert more.false_alarms_per_camera_day == 1.0
    assert (more.unsure, more.unjudged) == (2, 0)


def test_verdicts_never_lower_a_threshold_for_nobody_saw_what_lies_below() -> None:
    found = propose(
        [*REAL, *events("false", 2, 3, 4, 5, 6)],
        camera_days=10.0,
        budget=1.0,
        shown_from_days=1.0,
    )
    assert found.one_in_days == 1.0
    assert not found.raises
    assert found.false_alarms_per_camera_day == 0.5


def test_too_few_verdicts_are_refused_with_their_number() -> None:
    few = [*REAL, *events("false", 1, 2), *events("none", *range(1, 90))]
    with pytest.raises(SpecError, match=f"17 events have .* expected {LEAST_VERDICTS}"):
        propose(few, camera_days=2.0, budget=1.0, shown_from_days=1.0)


def test_false_alarms_beyond_the_scale_are_refused_for_no_threshold_takes_them_out() -> None:
    found = [*REAL, *events("false", *[MOST_DAYS] * 10)]
    with pytest.raises(SpecError, match="10 false, unsure or unjudged events are as rare"):
        propose(found, camera_days=2.0, budget=1.0, shown_from_days=1.0)


def test_intervals_are_exact() -> None:
    low_N, high_N = _poisson_interval(np.array([0, 1, 10]))  # Garwood's table
    assert low_N == pytest.approx([0.0, 0.0253, 4.7954], abs=1e-4)
    assert high_N == pytest.approx([3.6889, 5.5716, 18.3904], abs=1e-4)
    found = propose(
        [*REAL, *events("false", *range(1, 11))],
        camera_days=2.0,
        budget=5.0,
        shown_from_days=1.0,
    )
    assert found.false_alarms_interval == pytest.approx((4.7954 / 2, 18.3904 / 2), abs=1e-4)
    assert found.real_kept_interval == pytest.approx((0.7820, 1.0), abs=1e-4)


@settings(deadline=None)
@given(
    false=st.lists(st.floats(1, 1e4), max_size=30),
    budget=st.floats(0.1, 20),
    camera_days=st.floats(0.1, 30),
)
def test_the_budget_is_kept_and_the_interval_holds_the_threshold(
    false: list[float], budget: float, camera_days: float
) -> None:
    found = propose(
        [*events("real", *[50.0] * LEAST_VERDICTS), *events("false", *false)],
        camera_days=camera_days,
        budget=budget,
        shown_from_days=1.0,
    )
    assert found.false_alarms_per_camera_day <= budget * (1 + 1e-9)
    low, high = found.one_in_days_interval
    assert low <= found.one_in_days <= high
    assert found.one_in_days >= 1.0


def test_the_interval_of_the_threshold_covers_the_truth_as_often_as_it_says() -> None:
    """Normal video reaches a rarity of R days 3 / R times a day: 3 days are one alarm a day."""
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        camera_days = 20.0
        count = generator.poisson(3 * camera_days)
        days = 1 / generator.random(count)
        judged = [*events("real", *[1e4] * LEAST_VERDICTS), *events("false", *days)]
        found = propose(judged, camera_days=camera_days, budget=1.0, shown_from_days=1.0)
        low, high = found.one_in_days_interval
        hits += low <= 3.0 <= high
    assert hits / 300 >= 0.94
