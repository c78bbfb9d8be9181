"""ROOM 5: from window scores to frame scores, events and tables.

`merge` (windows to frames), `smooth` (in seconds), `stages` (with `training.calibrate`, to -log10
tail probability), `threshold` (from a false-alarm budget), `events`, `tables` (Parquet).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from anomaly.shapes import expect
from anomaly.spec import spec

NOMINAL_FRAME_SECONDS = 1 / 25
"""duration of a frame where a video is too short to tell"""


@spec
class ScoreSpec:
    """How scores of windows become scores and events of frames."""

    smoothing_seconds: Annotated[float, Field(ge=0)] = 0.3
    """standard deviation of the Gaussian in time; 0 for none"""
    alarms_per_camera_day: Annotated[float, Field(gt=0)] = 1.0
    """false-alarm budget that the event threshold is set from"""
    low_ratio: Annotated[float, Field(gt=0, le=1)] = 0.7
    """an event lasts while the score stays above this share of the threshold"""
    merge_gap_seconds: Annotated[float, Field(ge=0)] = 2.0
    """events closer than this are one"""
    minimum_seconds: Annotated[float, Field(ge=0)] = 0.2
    """shorter events are dropped"""
    block_seconds: Annotated[float, Field(gt=0)] = 10.0
    """length of the blocks whose maxima count as possible alarms"""


@dataclass(frozen=True)
class Part:
    """One of the inputs that a detector reads, such as `motion`."""

    name: str
    grid: tuple[int, int] | None = None
    """rows and columns of its cells; None: it has none"""


@dataclass(frozen=True)
class FrameScores:
    """One video's scores, one entry per frame of the video, from frame 0.

    `raw_T` is the detector's own score, `score_T` the smoothed and calibrated one (-log10 of
    the tail probability among normal video), NaN where no frame could be decoded. `covered_T`
    is False where the score was borrowed from the nearest measured row.
    """

    raw_T: NDArray[np.float64]
    score_T: NDArray[np.float64]
    covered_T: NDArray[np.bool_]
    seconds_T: NDArray[np.float64]
    place_T2: NDArray[np.int16] | None = None
    """(grid row, grid column) of the most anomalous cell, -1 where none; None: not localised"""
    parts: tuple[Part, ...] = ()
    """the detector's inputs"""
    part_T: NDArray[np.int8] | None = None
    """which of `parts` the score and the place come from; None: the first"""

    def __post_init__(self) -> None:
        for name in ("score_T", "covered_T", "seconds_T"):
            expect(name, getattr(self, name), "T", T=len(self.raw_T))
        if self.place_T2 is not None:
            expect("place_T2", self.place_T2, "T P", T=len(self.raw_T), P=2)
        if self.part_T is not None:
            expect("part_T", self.part_T, "T", T=len(self.raw_T))

    def __len__(self) -> int:
        return len(self.raw_T)

    def part_at(self, frame: int) -> Part | None:
        """Return the part that a frame's score comes from, None where parts are not known."""
        if not self.parts:
            return None
        return self.parts[0 if self.part_T is None else int(self.part_T[frame])]

    @property
    def durations_T(self) -> NDArray[np.float64]:
        """Seconds that each frame is shown: up to the next one, the last as the median."""
        gaps = np.diff(self.seconds_T)
        last = float(np.median(gaps)) if len(gaps) else NOMINAL_FRAME_SECONDS
        return np.append(gaps, last)[: len(self)]
