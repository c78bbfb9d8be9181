"""Calibration: a score as -log10 of how often normal video scores at least as high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError

_KNOTS = 500
_LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class Calibrator:
    """Maps scores to -log10 of their tail probability, strictly increasing everywhere.

    Up to the tail it is the empirical distribution, linear between knots; in the tail an
    exponential whose scale is the mean excess (peaks over threshold, Pickands 1975, with shape
    fixed at 0: a fitted shape below 0 would give a largest possible score, and ties beyond it).
    Below the lowest normal score the line goes on, under zero. So ranking, and with it AUC,
    never changes.

    Where the scale comes from a handful of scores it is itself uncertain, and `n_tail` tells of how
    many: the tail is then the predictive one (Lomax 1954), a power law that becomes the exponential as
    they grow many.
    """

    values_K: NDArray[np.float64]
    """scores at the knots, growing"""
    levels_K: NDArray[np.float64]
    """-log10 tail probability at the knots, growing from 0"""
    slopes_2: NDArray[np.float64]
    """rise per unit of score below the first and above the last knot, both positive"""
    n_tail: float = np.inf
    """independent scores that the tail's scale was learnt from; infinite: it is taken for certain"""

    @classmethod
    def fit(
        cls,
        scores: Sequence[NDArray[np.float64]],
        *,
        least_scale: float = 0.0,
        independent: bool = False,
    ) -> Calibrator:
        """Fit on scores of normal video, one array per video; NaN are left out.

        `least_scale` bounds the tail's scale from below, in units of score. Scores that are
        `independent` of each other, as frames are not, tell how uncertain that scale is.

        Raises:
            StoreError: there is no finite score to calibrate on.
        """
        pooled = np.concatenate([*scores, np.zeros(0)])
        sorted_N = np.sort(pooled[np.isfinite(pooled)])
        if not len(sorted_N):
            raise StoreError(
                "Scores cannot be calibrated: no normal row was held out. "
                "Train on more videos, or on videos with longer normal stretches."
            )
        values_K, levels_K = _knots(sorted_N)
        first, last = values_K[0], values_K[-1]
        excess = sorted_N[sorted_N > last] - last
        spread = float(sorted_N[-1] - first)
        scale = float(excess.mean()) if len(excess) else float(last - first)
        # Without any spread one unit of score is as good a yardstick as any.
        scale = max(scale, least_scale, 1e-9 * spread) if spread else least_scale or 1.0
        rise_above = 1.0 / (scale * _LN10)
        rise_below = float(levels_K[-1] / (last - first)) if last > first else rise_above
        n_tail = float(np.sum(sorted_N >= last)) if independent else np.inf
        return cls(values_K, levels_K, np.array([rise_below, rise_above]), n_tail)

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 tail probabilities of the same shape; NaN stays NaN."""
        first, last = self.values_K[0], self.values_K[-1]
        inside = np.interp(scores, self.values_K, self.levels_K)
        below, above = np.minimum(scores - first, 0.0), np.maximum(scores - last, 0.0)
        return inside + below * self.slopes_2[0] + self._tail(above * self.slopes_2[1])

    def _tail(self, exponential: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the level beyond the last knot, given what it were if the scale was certain."""
        if np.isinf(self.n_tail):
            return exponential
        return self.n_tail * np.log1p(exponential * _LN10 / self.n_tail) / _LN10

    def inverse(self, level: float) -> float:
        """Return the score whose -log10 tail probability is `level`."""
        return float(self.inverses(np.array([level]))[0])

    def inverses(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores whose -log10 tail probabilities are `levels`, of the same shape."""
        first, last = self.levels_K[0], self.levels_K[-1]
        inside = np.interp(levels, self.levels_K, self.values_K)
        below, above = np.minimum(levels - first, 0.0), np.maximum(levels - last, 0.0)
        if not np.isinf(self.n_tail):
            above = self.n_tail * np.expm1(above * _LN10 / self.n_tail) / _LN10
        return inside + below / self.slopes_2[0] + above / self.slopes_2[1]

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return everything fitted as named arrays."""
        known = {"values": self.values_K, "levels": self.levels_K, "slopes": self.slopes_2}
        return known if np.isinf(self.n_tail) else {**known, "tail": np.array([self.n_tail])}

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.float64]]) -> Calibrator:
        """Return the calibrator that `state` came from."""
        n_tail = float(state["tail"][0]) if "tail" in state else np.inf
        return cls(state["values"], state["levels"], state["slopes"], n_tail)


def _knots(sorted_N: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct scores from the lowest to the start of the tail, and their levels.

    The tail is the highest 2 sqrt(n) scores, at most half of them. The knots are dense both in
    the body and towards the tail.
    """
    count = len(sorted_N)
    tail = max(1, min(count // 2, int(np.ceil(2 * np.sqrt(count)))))
    start = sorted_N[count - tail]
    if count - np.searchsorted(sorted_N, start) > 2 * tail:
        # The tail would start amid a pile of equal scores (frames without any motion score 0).
        above = sorted_N[np.searchsorted(sorted_N, start, side="right") :]
        start = above[0] if len(above) else start
    ranks = np.concatenate(
        [np.geomspace(tail, count, _KNOTS), np.linspace(tail, count, _KNOTS)]
    )
    picked = sorted_N[count - np.unique(ranks.round().astype(np.int64))]
    values_K = np.unique(np.append(picked[picked < start], start))
    at_least_K = count - np.searchsorted(sorted_N, values_K)
    return values_K, np.log10(count / at_least_K)
