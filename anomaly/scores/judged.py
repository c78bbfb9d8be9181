"""An event threshold from verdicts: how rare must a moment be, so that false alarms keep to their budget?

Every event tells how rare it is for its camera (`one_in_days`), so the events of all cameras stand on one
scale, and one number sets the thresholds of all of them: the false-alarm budget of the bundle. What the
model expects once in R days of normal video came in truth as often as people said "false".

An event that nobody has judged, or is unsure of, counts as a false alarm: the threshold errs on the quiet
side. Below the threshold of today nobody was shown anything, so no verdict can lower it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.scores.threshold import MOST_DAYS

LEAST_VERDICTS = 20
"""real and false ones; fewer say next to nothing"""
_INTERVAL = 0.95

Numbers = NDArray[np.float64]
Judgement = Literal["real", "false", "unsure", "none"]


@dataclass(frozen=True)
class Judged:
    """One event and what was said of it."""

    one_in_days: float
    said: Judgement


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """From how rare a moment on it should be an event."""

    one_in_days: float
    """rarity from which an event is kept"""
    one_in_days_interval: tuple[float, float]
    """95 %: budgets that chance alone could have made of this one"""
    raises: bool
    """False: false alarms keep to the budget already"""
    false_alarms_per_camera_day: float
    """of the events that are kept, unjudged ones counted"""
    false_alarms_interval: tuple[float, float]
    """95 %, exact for a Poisson count"""
    budget: float
    camera_days: float
    real: int
    false: int
    unsure: int
    unjudged: int
    real_kept: int
    real_kept_interval: tuple[float, float]
    """95 %, exact, of the share of real events that are kept"""

    @property
    def alarms_per_camera_day(self) -> float:
        """The budget that gives the models this threshold."""
        return 1 / self.one_in_days


def propose(
    events: Sequence[Judged], *, camera_days: float, budget: float, shown_from_days: float
) -> Proposal:
    """Return the lowest threshold that kept false alarms within the budget.

    Args:
        events: all events of the footage.
        camera_days: playing time of the footage, in days.
        budget: false alarms that one camera may give in a day.
        shown_from_days: rarity that made an event so far.

    Raises:
        SpecError: there are too few verdicts, or no threshold keeps to the budget.
    """
    said = [event.said for event in events]
    real, false = said.count("real"), said.count("false")
    if real + false < LEAST_VERDICTS:
        raise SpecError(
            f"{real + false} events have a verdict of real or false, expected {LEAST_VERDICTS} at least: "
            "with fewer the threshold would be guessed. Judge more events first: anomaly review ARCHIVE."
        )
    vain = sorted((event.one_in_days for event in events if event.said != "real"), reverse=True)
    rarities = sorted({event.one_in_days for event in events})
    allowed = budget * camera_days
    cut = _rarity(vain, math.floor(allowed), rarities, shown_from_days)
    if cut > MOST_DAYS:
        raise SpecError(
            f"{sum(one >= MOST_DAYS for one in vain)} false, unsure or unjudged events are as rare as the "
            f"scale tells: no threshold keeps to {budget:g} false alarms a camera and day in "
            f"{camera_days:.2f} camera-days. Train again with them as normal: anomaly verdicts labels."
        )
    fewest, most = _counts_that_fit(len(vain), allowed)
    kept = [event for event in events if event.one_in_days >= cut]
    n_false = sum(event.said != "real" for event in kept)
    n_real = len(kept) - n_false
    low, high = (float(end) for end in _poisson_interval(np.array(n_false)))
    return Proposal(
        one_in_days=cut,
        one_in_days_interval=(
            _rarity(vain, most, rarities, shown_from_days),
            _rarity(vain, fewest, rarities, shown_from_days),
        ),
        raises=cut > shown_from_days,
        false_alarms_per_camera_day=n_false / camera_days,
        false_alarms_interval=(low / camera_days, high / camera_days),
        budget=budget,
        camera_days=camera_days,
        real=real,
        false=false,
        unsure=said.count("unsure"),
        unjudged=said.count("none"),
        real_kept=n_real,
        real_kept_interval=_share_interval(n_real, real),
    )


def _rarity(
    vain: Sequence[float], allowed: int, rarities: Sequence[float], shown_from: float
) -> float:
    """Return the rarity that at most `allowed` vain events reach, in the middle of a gap.

    Where nothing is rarer, it is twice the rarity of what is left out.
    """
    if len(vain) <= allowed:
        return shown_from
    limit = vain[allowed]
    above = [rarity for rarity in rarities if rarity > limit]
    return max(shown_from, math.sqrt(limit * above[0]) if above else 2 * limit)


def _counts_that_fit(most: int, expected: float) -> tuple[int, int]:
    """Return the least and largest count whose 95 % interval holds what is expected."""
    low_N, high_N = _poisson_interval(np.arange(most + 1))
    fit = np.flatnonzero((low_N <= expected) & (expected <= high_N))
    return (int(fit[0]), int(fit[-1])) if len(fit) else (most, most)


def _poisson_interval(count_N: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Return the exact (Garwood) interval of what each Poisson count was expected to be."""
    from scipy.stats import chi2

    tail = (1 - _INTERVAL) / 2
    low_N = np.where(count_N > 0, chi2.ppf(tail, 2 * np.maximum(count_N, 1)) / 2, 0.0)
    return low_N, chi2.ppf(1 - tail, 2 * count_N + 2) / 2


def _share_interval(hits: int, of: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of a share; everything where nothing was counted."""
    from scipy.stats import beta

    tail = (1 - _INTERVAL) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high
