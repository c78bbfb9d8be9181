"""Events: stretches of a video that score above the threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.scores import FrameScores, ScoreSpec
from anomaly.spec import fingerprint


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of a frame in its pixels; right and bottom are the first that are outside."""

    left: int
    top: int
    right: int
    bottom: int
    score: float
    """of its highest cell"""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One stretch of one video; frames are half-open, seconds count from the first frame."""

    start_frame: int
    stop_frame: int
    peak_frame: int
    start_seconds: float
    stop_seconds: float
    peak_seconds: float
    score: float
    """the highest score, reached at `peak_frame`"""
    mean_score: float
    threshold: float
    """the score that made it an event"""
    one_in_days: float | None = None
    """normal video is expected to score as high once in that many days"""
    part: str | None = None
    """name of the input that spoke at the peak, such as `motion` or `static`"""
    place: tuple[int, int] | None = None
    """(grid row, grid column) of that part's most anomalous cell at the peak"""
    grid: tuple[int, int] | None = None
    """rows and columns of the grid that `place` speaks of"""
    boxes: tuple[Box, ...] | None = None
    """strange parts of the frame at the peak, the worst first; None: the detector does not tell"""
    clip: str | None = None
    """keys under the root of what was cut from the video, None until then"""
    picture_start: str | None = None
    picture_peak: str | None = None
    picture_stop: str | None = None

    def identity(self, content: str) -> str:
        """Return 16 hex digits that name this very stretch, peak and place of one content."""
        stretch = [content, self.start_frame, self.stop_frame, self.peak_frame, self.place]
        return fingerprint(stretch)


_SLACK = 1e-6
"""seconds; time stamps are sums of rounded numbers"""


def find_events(scores: FrameScores, threshold: float, spec: ScoreSpec) -> list[Event]:
    """Return the events of one video in order of time.

    An event holds a frame at or above `threshold` and lasts while the score stays at or above
    `low_ratio` of it (never below in time: frames that could not be decoded are passed over,
    unless the gap is longer than `merge_gap_seconds`). Events at most that gap apart become
    one; then those shorter than `minimum_seconds` are dropped.
    """
    frames_P = np.flatnonzero(~np.isnan(scores.score_T))
    if not len(frames_P):
        return []
    score_P = scores.score_T[frames_P]
    start_P = scores.seconds_T[frames_P]
    stop_P = start_P + scores.durations_T[frames_P]
    low = min(threshold, threshold * spec.low_ratio)
    gap = spec.merge_gap_seconds + _SLACK
    follows_P = np.append(False, start_P[1:] - stop_P[:-1] <= gap)
    runs = [
        (first, last)
        for first, last in _runs(score_P >= low, follows_P)
        if score_P[first:last].max() >= threshold
    ]
    return [
        _event(scores, frames_P[first:last], float(stop_P[last - 1]), threshold)
        for first, last in _merged(runs, start_P, stop_P, gap)
        if stop_P[last - 1] - start_P[first] >= spec.minimum_seconds - _SLACK
    ]


def _runs(high_P: NDArray[np.bool_], follows_P: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return half-open runs of True, cut where a frame does not follow the one before."""
    goes_on_P = high_P & np.append(False, high_P[:-1]) & follows_P
    starts = np.flatnonzero(high_P & ~goes_on_P)
    stops = np.flatnonzero(high_P & ~np.append(goes_on_P[1:], False)) + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def _merged(
    runs: list[tuple[int, int]],
    start_P: NDArray[np.float64],
    stop_P: NDArray[np.float64],
    gap: float,
) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in runs:
        if merged and start_P[first] - stop_P[merged[-1][1] - 1] <= gap:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def _event(
    scores: FrameScores, frames_P: NDArray[np.int64], stop_seconds: float, threshold: float
) -> Event:
    score_P = scores.score_T[frames_P]
    peak = int(frames_P[np.argmax(score_P)])
    place = None if scores.place_T2 is None else scores.place_T2[peak]
    part = scores.part_at(peak)
    return Event(
        start_frame=int(frames_P[0]),
        stop_frame=int(frames_P[-1]) + 1,
        peak_frame=peak,
        start_seconds=float(scores.seconds_T[frames_P[0]]),
        stop_seconds=stop_seconds,
        peak_seconds=float(scores.seconds_T[peak]),
        score=float(score_P.max()),
        mean_score=float(score_P.mean()),
        threshold=threshold,
        part=part.name if part else None,
        grid=part.grid if part else None,
        place=None if place is None or place[0] < 0 else (int(place[0]), int(place[1])),
    )
