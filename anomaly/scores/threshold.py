"""The event threshold, from how many false alarms a camera may give in a day.

Held-out normal video is cut into blocks of some seconds; the highest score of a block is what
might become an alarm. The tail of these maxima says how high the threshold must be: exponential
beyond what was seen, and heavier where few blocks were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.scores import FrameScores
from anomaly.training.calibrate import Calibrator

SECONDS_A_DAY = 86_400.0
MOST_DAYS = 1e6
"""the rarity of an event is not told beyond this"""
_LEAST_SCALE = 1.0 / float(np.log(10.0))
"""Scores are -log10 probabilities, so their tail falls tenfold a unit. A few blocks may seem to
fall faster by chance; believing them would set the threshold too low."""


@dataclass(frozen=True)
class AlarmModel:
    """How often normal video reaches a score."""

    maxima: Calibrator
    """of block maxima"""
    blocks_a_day: float
    n_blocks: int
    """blocks of normal video that were seen"""

    @classmethod
    def fit(cls, normals: Sequence[FrameScores], block_seconds: float) -> AlarmModel:
        """Fit on the scores of held-out normal videos; NaN frames do not count as seen.

        Raises:
            StoreError: no frame has a score.
        """
        blocks = [block_maxima(scores, block_seconds) for scores in normals]
        maxima = Calibrator.fit(blocks, least_scale=_LEAST_SCALE, independent=True)
        n_blocks = sum(map(len, blocks))
        return cls(maxima, n_blocks * SECONDS_A_DAY / seconds_scored(normals), n_blocks)

    def threshold(self, alarms_a_day: float) -> float:
        """Return the score that normal video reaches `alarms_a_day` times a day."""
        return self.maxima.inverse(max(0.0, float(np.log10(self.blocks_a_day / alarms_a_day))))

    def extrapolation(self, alarms_a_day: float) -> float:
        """Return how many times more normal video one such alarm would take; below 1: seen."""
        return self.blocks_a_day / (alarms_a_day * self.n_blocks)

    def one_in_days(self, score: float) -> float:
        """Return in how many days normal video scores as high once, at most `MOST_DAYS`."""
        level = float(self.maxima(np.array([score]))[0])
        return float(10.0 ** min(level - np.log10(self.blocks_a_day), np.log10(MOST_DAYS)))


def seconds_scored(normals: Sequence[FrameScores]) -> float:
    """Return the playing time of all frames that have a score."""
    return float(sum(scores.durations_T[~np.isnan(scores.score_T)].sum() for scores in normals))


def block_maxima(scores: FrameScores, block_seconds: float) -> NDArray[np.float64]:
    """Return the highest score of each block of about `block_seconds`, if it has any.

    A video is cut into equal blocks, at least one, so that short videos count too.
    """
    present_T = ~np.isnan(scores.score_T)
    elapsed_T = scores.seconds_T - scores.seconds_T[:1]
    whole = max(float(scores.durations_T.sum()), np.finfo(float).tiny)
    n_blocks = max(1, round(whole / block_seconds))
    block_T = (elapsed_T / whole * n_blocks).astype(np.int64).clip(0, n_blocks - 1)
    maxima = np.full(n_blocks, -np.inf)
    np.maximum.at(maxima, block_T[present_T], scores.score_T[present_T])
    return maxima[np.isfinite(maxima)]
