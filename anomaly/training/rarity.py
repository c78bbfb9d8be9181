"""How rare a score is, told no more surely than the normal video behind it allows.

Rows of one video are alike: somebody who sits down in one of twelve videos makes a thousand rows in which
something rests, and still is one case. So whether something is rare beyond doubt is judged by the highest
scores of whole pieces of video, with a tail that knows how few they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.training.calibrate import Calibrator

PIECE_ROWS = 1500
"""a longer video is cut into pieces of about this many rows: a minute at 25 frames a second"""


@dataclass(frozen=True)
class Rarity:
    """-log10 of how often normal video scores as high."""

    rows: Calibrator
    """of all rows"""
    pieces: Calibrator
    """of the highest scores of pieces of video"""
    n_pieces: int
    rows_a_piece: float

    @classmethod
    def fit(cls, scores: Sequence[NDArray[np.float64]], *, least_scale: float) -> Self:
        """Fit on scores of normal video, one array per video; NaN are left out.

        `least_scale` bounds the tail's scale from below, in units of score: a few pieces that happen to
        be alike say little of what the next one will be.

        Raises:
            StoreError: there is no finite score to learn from.
        """
        known = [score_T[np.isfinite(score_T)] for score_T in scores]
        maxima_P = np.array([piece.max() for score_T in known for piece in _pieces(score_T)])
        return cls(
            Calibrator.fit(known),
            Calibrator.fit([maxima_P], least_scale=least_scale, independent=True),
            len(maxima_P),
            sum(map(len, known)) / len(maxima_P),
        )

    def if_sure(self, scores_N: NDArray[np.float64], times: float) -> NDArray[np.float64]:
        """Return the rarity in rows of what is rarer than once in `times` all pieces seen, else NaN.

        Once in p pieces of r rows counts as once in p * r rows.
        """
        level_N = self.pieces(scores_N)
        is_sure_N = level_N >= np.log10(times * self.n_pieces)
        return np.where(is_sure_N, level_N + np.log10(self.rows_a_piece), np.nan)

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return everything fitted as named arrays."""
        rows = {f"rows.{name}": array for name, array in self.rows.state().items()}
        pieces = {f"pieces.{name}": array for name, array in self.pieces.state().items()}
        return {**rows, **pieces, "seen": np.array([self.n_pieces, self.rows_a_piece])}

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.float64]]) -> Self:
        """Return what `state` came from.

        Raises:
            StoreError: an earlier version made it.
        """
        if "seen" not in state:
            raise StoreError(
                "This checkpoint's detector `fused` is of an earlier version, which joined its parts in "
                "another way. Train it again."
            )
        n_pieces, rows_a_piece = state["seen"].tolist()
        rows, pieces = (
            Calibrator.from_state(
                {
                    key.removeprefix(f"{name}."): array
                    for key, array in state.items()
                    if key.startswith(f"{name}.")
                }
            )
            for name in ("rows", "pieces")
        )
        return cls(rows, pieces, int(n_pieces), rows_a_piece)


def _pieces(score_T: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Cut one video's scores into equal pieces of at most about `PIECE_ROWS`."""
    if not len(score_T):
        return []
    return np.array_split(score_T, max(1, round(len(score_T) / PIECE_ROWS)))
