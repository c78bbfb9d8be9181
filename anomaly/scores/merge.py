"""From window scores to row scores, and from rows to source frames.

A *row* is a frame that was looked at. Windows overlap, so a row gets the mean (or the maximum)
of all windows that saw it; a detector may leave rows out, which then stay NaN and borrow from
their neighbours when rows become frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import WindowScores
from anomaly.errors import StoreError
from anomaly.scores import NOMINAL_FRAME_SECONDS, FrameScores, Part
from anomaly.shapes import expect


@dataclass(frozen=True)
class RowScores:
    """A detector's own scores of the rows of one video, and where the rows stand in it.

    `raw_R` is NaN where no window saw the row; `place_R2` is (-1, -1) where no cell was active.
    """

    raw_R: NDArray[np.float64]
    index_R: NDArray[np.int64]
    """source frame of each row, growing"""
    seconds_R: NDArray[np.float64]
    n_frames: int
    """length of the video in frames, holes counted"""
    stride: int = 1
    """every how many source frames were looked at"""
    place_R2: NDArray[np.int16] | None = None
    parts: tuple[Part, ...] = ()
    part_R: NDArray[np.int8] | None = None
    """which of `parts` each row's score comes from; None: the first"""

    def __post_init__(self) -> None:
        expect("index", self.index_R, "R", R=len(self.raw_R))
        expect("seconds", self.seconds_R, "R", R=len(self.raw_R))
        if len(self.index_R) and self.index_R[-1] >= self.n_frames:
            raise StoreError(
                f"a row stands for frame {self.index_R[-1]}, "
                f"but the video is said to have {self.n_frames} frames."
            )

    @property
    def measured_R(self) -> NDArray[np.bool_]:
        """Which rows a window saw."""
        return ~np.isnan(self.raw_R)


class Merged(NamedTuple):
    """What a detector said of the rows of one video."""

    raw_R: NDArray[np.float64]
    place_R2: NDArray[np.int16] | None
    part_R: NDArray[np.int8] | None


def merge(
    window_scores: Iterable[WindowScores], n_rows: int, reduce: Literal["mean", "max"] = "mean"
) -> Merged:
    """Return scores, places and parts of `n_rows` rows from a stream of windows.

    Memory is that of the output. Scores have shape (R,), NaN where no window saw the row, and
    do not depend on how windows are cut into blocks. Places have shape (R, 2): the most
    anomalous cell, or (-1, -1); None when no block carries cells. Parts have shape (R,): that of
    the window with the highest score; None when no block tells its part.

    Raises:
        StoreError: a window names a row outside the video, or scores it with NaN or infinity.
    """
    counts_R = np.zeros(n_rows, dtype=np.int64)
    merged_R = np.full(n_rows, 0.0 if reduce == "mean" else -np.inf)
    places, parts = _Best(n_rows, 2), _Best(n_rows, 1)
    for block in window_scores:
        rows, scores = _checked(block, n_rows)
        np.add.at(counts_R, rows, 1)
        (np.add if reduce == "mean" else np.maximum).at(merged_R, rows, scores)
        if block.cells is not None:
            places.add(*block.cells)
        if block.part_N is not None:
            part_M1 = np.repeat(block.part_N, block.rows_NL.shape[1])[:, None]
            parts.add(rows, part_M1, scores)
    seen_R = counts_R > 0
    if reduce == "mean":
        merged_R[seen_R] /= counts_R[seen_R]
    merged_R[~seen_R] = np.nan
    part_R = np.maximum(parts.best_RK[:, 0], 0).astype(np.int8)
    return Merged(
        merged_R, places.best_RK if places.any else None, part_R if parts.any else None
    )


def _checked(block: WindowScores, n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows, scores = block.rows_NL.ravel(), block.scores_NL.ravel().astype(np.float64)
    if rows.size and (rows.min() < 0 or rows.max() >= n_rows):
        raise StoreError(
            f"a detector scored rows {rows.min()} to {rows.max()} of a video of {n_rows} rows."
        )
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise StoreError(
            f"a detector gave row {rows[bad[0]]} the score {scores[bad[0]]}, "
            "expected a finite number."
        )
    return rows, scores


class _Best:
    """What was said of each row with the highest score so far, -1 until something is."""

    def __init__(self, n_rows: int, length: int) -> None:
        self.any = False
        self._score_R = np.full(n_rows, -np.inf)
        self.best_RK = np.full((n_rows, length), -1, dtype=np.int16)

    def add(
        self,
        row_M: NDArray[np.int64],
        said_MK: NDArray[np.integer[Any]],
        score_M: NDArray[np.floating[Any]],
    ) -> None:
        self.any = True
        order = np.lexsort((score_M, row_M))
        last = np.flatnonzero(np.append(np.diff(row_M[order]) != 0, True)[: len(order)])
        best = order[last]
        better = best[score_M[best] > self._score_R[row_M[best]]]
        self._score_R[row_M[better]] = score_M[better]
        self.best_RK[row_M[better]] = said_MK[better]


def to_frames(rows: RowScores, score_R: NDArray[np.float64]) -> FrameScores:
    """Return the scores of all frames, given the rows' finished scores.

    A frame takes the nearest row if that is less than `stride` away; otherwise no frame could
    be decoded there and it stays NaN. A row that no window saw borrows from the nearest
    measured row, and its frames are not covered. In a video without any measured row the frames
    score 0: nothing is known against them.
    """
    frame_T = np.arange(rows.n_frames)
    seconds_T = _seconds(rows, frame_T)
    if not len(rows.index_R):
        nothing_T = np.full(rows.n_frames, np.nan)
        return FrameScores(
            nothing_T, nothing_T.copy(), np.zeros(rows.n_frames, bool), seconds_T
        )
    row_T = _nearest(rows.index_R, frame_T)
    decoded_T = np.abs(rows.index_R[row_T] - frame_T) < rows.stride
    measured_R = rows.measured_R
    raw_R, score_R = (
        _borrowed(values, measured_R, rows.index_R) for values in (rows.raw_R, score_R)
    )
    if not measured_R.any():
        score_R = np.zeros(len(raw_R))
    return FrameScores(
        np.where(decoded_T, raw_R[row_T], np.nan),
        np.where(decoded_T, score_R[row_T], np.nan),
        decoded_T & measured_R[row_T],
        seconds_T,
        None
        if rows.place_R2 is None
        else np.where(decoded_T[:, None], rows.place_R2[row_T], np.int16(-1)),
        rows.parts,
        None if rows.part_R is None else rows.part_R[row_T],
    )


def _borrowed(
    values_R: NDArray[np.float64], measured_R: NDArray[np.bool_], index_R: NDArray[np.int64]
) -> NDArray[np.float64]:
    lenders = np.flatnonzero(measured_R)
    if not len(lenders):
        return values_R
    return values_R[lenders[_nearest(index_R[lenders], index_R)]]


def _nearest(index_R: NDArray[np.int64], frame_T: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in `index_R` the nearest entry to each frame stands, the earlier of two."""
    after_T = np.searchsorted(index_R, frame_T).clip(max=len(index_R) - 1)
    before_T = (after_T - 1).clip(min=0)
    to_before_T = np.abs(frame_T - index_R[before_T])
    to_after_T = np.abs(frame_T - index_R[after_T])
    return np.where(to_before_T <= to_after_T, before_T, after_T)


def _seconds(rows: RowScores, frame_T: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the time of every frame: between rows interpolated, beyond at the usual rate."""
    index_R, seconds_R = rows.index_R, rows.seconds_R
    if not len(index_R):
        return np.asarray(frame_T * NOMINAL_FRAME_SECONDS, dtype=np.float64)
    usual = NOMINAL_FRAME_SECONDS
    if len(index_R) > 1:
        usual = float(np.median(np.diff(seconds_R) / np.diff(index_R)))
    inside_T = np.interp(frame_T, index_R, seconds_R)
    beyond_T = np.minimum(frame_T - index_R[0], 0) + np.maximum(frame_T - index_R[-1], 0)
    return inside_T + usual * beyond_T
