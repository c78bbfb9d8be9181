"""Does a camera still see what it saw when its model was learnt? If not: since when, and why.

A model knows nothing of pictures unlike those it has learnt from: at night, in heavy rain, out of focus or
knocked aside, everything is unfamiliar and a camera would alarm until morning. So what a picture is like
(`features.picture`) is compared, ten seconds at a time, with the same camera's training video. Frames that
are out of domain keep their scores and their rank, are marked as not covered, and make no events.

Only the picture decides, never the score: what goes on for long and scores high may be the very thing that
is looked for. The margins are wide and in plain units; a change of light by a third, flicker, half the
frame rate or strong compression stay inside them (docs/detector.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Arrays
from anomaly.features.picture import STATISTICS, Picture
from anomaly.features.views import KnownViews
from anomaly.scores import FrameScores

BLOCK_SECONDS = 10.0
"""a mark is made for so long at a time"""
VIEW_CHANGED = "view changed"
_TRIMMED = 0.02
"""share of training blocks on either side that may be odd themselves"""
_LEAST_AGREEMENT = 0.5
"""a view that agrees less with every reference shows something else: a camera that stands still keeps
0.85 and more, whatever the light and the weather; one turned by a tenth of the picture keeps none"""
_OF_USUAL_AGREEMENT = 0.6
"""or less than this share of what the training videos agree among each other, if they do not agree well"""


class _Limit(NamedTuple):
    """From when on a statistic is out of domain, given its usual range."""

    reason: str
    statistic: str
    times: float
    plus: float = 0.0
    above: bool = False

    def breaks(self, value_B: NDArray[np.floating[Any]], usual: float) -> NDArray[np.bool_]:
        """Say for each block whether it lies beyond; `usual` is the end of the range on that side."""
        limit = self.times * usual + self.plus
        return value_B > limit if self.above else value_B < limit


_LIMITS = (
    _Limit("dark", "brightness", 0.42),
    _Limit("bright", "brightness", 2.4, above=True),
    _Limit("covered", "contrast", 0.3),
    _Limit("blurred", "sharpness", 0.6),
    _Limit("noisy", "noise", 2.0, 4.0, above=True),
    _Limit("shaking", "shift", 2.0, 1.5, above=True),
)


class Outside(NamedTuple):
    """A stretch of a video that is out of domain, half-open; the last one has no end."""

    start_seconds: float
    stop_seconds: float
    reasons: tuple[str, ...]


def is_outside(
    stretches: Sequence[Outside], seconds_T: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return shape (T,): does the moment lie in one of the stretches?"""
    inside_T = np.zeros(len(seconds_T), dtype=bool)
    for one in stretches:
        inside_T |= (seconds_T >= one.start_seconds) & (seconds_T < one.stop_seconds)
    return inside_T


def summed_up(
    stretches: Sequence[Outside], scores: FrameScores
) -> tuple[float, tuple[str, ...]]:
    """Return for how many seconds a video is out of domain, and why: the longest reason first."""
    lasts_T = scores.durations_T
    seconds: dict[str, float] = {}
    for one in stretches:
        length = float(lasts_T[is_outside([one], scores.seconds_T)].sum())
        for reason in one.reasons:
            seconds[reason] = seconds.get(reason, 0.0) + length
    total = float(lasts_T[is_outside(stretches, scores.seconds_T)].sum())
    return total, tuple(sorted(seconds, key=lambda reason: -seconds[reason]))


class Seen(NamedTuple):
    """The picture of one training video."""

    picture: Picture
    seconds_T: NDArray[np.float64]
    usable_T: NDArray[np.bool_]


@dataclass(frozen=True)
class Domain:
    """What a camera's training video looked like."""

    lowest_K: NDArray[np.float64]
    """of each of `STATISTICS` over the blocks of the training video"""
    highest_K: NDArray[np.float64]
    views: KnownViews

    @classmethod
    def fit(cls, seen: Sequence[Seen]) -> Self | None:
        """Learn from the usable rows of training videos; None where no picture was measured."""
        typical = [
            np.median(video.picture.statistics_TK[rows], axis=0)
            for video in seen
            for _, rows in blocks(video.seconds_T, np.flatnonzero(video.usable_T))
        ]
        views = [_usable_views(video) for video in seen]
        if not typical or not sum(map(len, views)):
            return None
        lowest_K, highest_K = np.quantile(typical, (_TRIMMED, 1 - _TRIMMED), axis=0)
        return cls(lowest_K, highest_K, KnownViews.fit(views, _TRIMMED))

    def outside(self, picture: Picture, seconds_T: NDArray[np.float64]) -> tuple[Outside, ...]:
        """Return the stretches of a video that are unlike the training video, in order."""
        parts = list(blocks(seconds_T, np.arange(len(seconds_T))))
        if not parts:
            return ()
        typical_BK: NDArray[np.floating[Any]] = np.stack(
            [np.median(picture.statistics_TK[rows], axis=0) for _, rows in parts]
        )
        strange = self._strange_views(picture, seconds_T)
        until_T = np.append(seconds_T[1:], np.inf)
        found = []
        for (number, rows), broken in zip(parts, self._broken(typical_BK), strict=True):
            reasons = broken or ((VIEW_CHANGED,) if number in strange else ())
            if reasons:
                found.append(Outside(seconds_T[rows[0]], until_T[rows[-1]], reasons))
        return _joined(found)

    @property
    def facts(self) -> dict[str, list[float]]:
        """The usual range of each statistic, as plain JSON."""
        ranges = zip(STATISTICS, self.lowest_K.tolist(), self.highest_K.tolist(), strict=True)
        return {name: [round(low, 3), round(high, 3)] for name, low, high in ranges}

    def state(self) -> Arrays:
        """Return everything learnt as named arrays."""
        return {
            "lowest": self.lowest_K,
            "highest": self.highest_K,
            "references": self.views.references_RHW,
            "agreement": np.array(self.views.usual_agreement),
        }

    @classmethod
    def from_state(cls, state: Arrays) -> Self | None:
        """Return the domain that `state` came from; None of nothing."""
        if not state:
            return None
        views = KnownViews(state["references"], float(state["agreement"]))
        return cls(state["lowest"], state["highest"], views)

    def _broken(self, typical_BK: NDArray[np.floating[Any]]) -> Iterator[tuple[str, ...]]:
        """Yield the reasons of each block."""
        broken = []
        for limit in _LIMITS:
            column = STATISTICS.index(limit.statistic)
            usual = (self.highest_K if limit.above else self.lowest_K)[column]
            broken.append(limit.breaks(typical_BK[:, column], float(usual)))
        for of_block in np.stack(broken, axis=1):
            yield tuple(
                limit.reason for limit, out in zip(_LIMITS, of_block, strict=True) if out
            )

    def _strange_views(self, picture: Picture, seconds_T: NDArray[np.float64]) -> set[int]:
        """Return the numbers of the blocks of which no view agrees with the training video."""
        least = min(_LEAST_AGREEMENT, _OF_USUAL_AGREEMENT * self.views.usual_agreement)
        agreement_V = self.views.agreement(picture.views_VHW)
        block_V = block_of(picture.view_seconds_V, seconds_T)
        familiar = set(block_V[agreement_V >= least].tolist())
        return set(block_V.tolist()) - familiar


def block_of(
    seconds_N: NDArray[np.float64], seconds_T: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the block of each moment of a video whose rows are at `seconds_T`.

    A rest of less than half a block belongs to the block before: a moment is too short to judge by.
    """
    last = max(0, round(float(seconds_T[-1]) / BLOCK_SECONDS) - 1)
    return np.floor(seconds_N / BLOCK_SECONDS + 1e-6).astype(np.int64).clip(max=last)


def blocks(
    seconds_T: NDArray[np.float64], rows: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the number of each block of time, and which of `rows` lie in it."""
    if not len(rows):
        return
    block_N = block_of(seconds_T[rows], seconds_T)
    cuts = np.flatnonzero(np.diff(block_N)) + 1
    for part in np.split(np.arange(len(rows)), cuts):
        yield int(block_N[part[0]]), rows[part]


def _joined(found: Iterable[Outside]) -> tuple[Outside, ...]:
    """Join neighbouring blocks that are out for the same reasons."""
    joined: list[Outside] = []
    for one in found:
        last = joined[-1] if joined else None
        if (
            last
            and last.reasons == one.reasons
            and one.start_seconds - last.stop_seconds < BLOCK_SECONDS
        ):
            joined[-1] = last._replace(stop_seconds=one.stop_seconds)
        else:
            joined.append(one)
    return tuple(joined)


def _usable_views(video: Seen) -> NDArray[np.uint8]:
    begins_V = video.picture.view_seconds_V
    row_V = np.searchsorted(video.seconds_T, begins_V - 1e-6).clip(max=len(video.usable_T) - 1)
    return video.picture.views_VHW[video.usable_T[row_V]]
