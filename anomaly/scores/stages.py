"""What room 5 learns for one model: smoothing, calibration and the event threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Arrays
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.drift import Sample, units_of
from anomaly.scores.events import Event, find_events
from anomaly.scores.merge import RowScores, to_frames
from anomaly.scores.smooth import smooth
from anomaly.scores.threshold import SECONDS_A_DAY, AlarmModel, seconds_scored
from anomaly.training.calibrate import Calibrator


@dataclass(frozen=True)
class ScoreStages:
    """Turns a detector's row scores into frame scores and events."""

    spec: ScoreSpec
    calibrator: Calibrator
    alarms: AlarmModel
    held_out_seconds: float
    """playing time of the normal video that all this was fitted on"""
    held_out_events: int
    """events counted in it at the threshold"""
    reference: Sample | None = None
    """some of those scores, that later ones are compared with; None where an earlier version fitted"""

    @classmethod
    def fit(cls, held_out: Sequence[RowScores], spec: ScoreSpec) -> Self:
        """Fit on row scores of normal video that the detector had not learnt from.

        Rows that are not known to be normal must be NaN.

        Raises:
            StoreError: no row has a score.
        """
        smoothed = [_smoothed(rows, spec) for rows in held_out]
        calibrator = Calibrator.fit(smoothed)
        normals = [
            _only_measured(to_frames(rows, calibrator(score_R)))
            for rows, score_R in zip(held_out, smoothed, strict=True)
        ]
        alarms = AlarmModel.fit(normals, spec.block_seconds)
        threshold = alarms.threshold(spec.alarms_per_camera_day)
        events = sum(len(find_events(scores, threshold, spec)) for scores in normals)
        reference = Sample.of(unit for scores in normals for unit in measured_units(scores))
        return cls(spec, calibrator, alarms, seconds_scored(normals), events, reference)

    @property
    def threshold(self) -> float:
        """Score from which on a frame makes an event."""
        return self.alarms.threshold(self.spec.alarms_per_camera_day)

    @property
    def facts(self) -> dict[str, Any]:
        """What the threshold rests on, as plain JSON.

        `extrapolation_factor` says how many times more normal video it would take to see one
        alarm of the budget; `achieved_alarms_per_camera_day` was counted, over
        `held_out_hours`.
        """
        budget = self.spec.alarms_per_camera_day
        return {
            "threshold": self.threshold,
            "alarms_per_camera_day": budget,
            "extrapolation_factor": self.alarms.extrapolation(budget),
            "achieved_alarms_per_camera_day": (
                self.held_out_events * SECONDS_A_DAY / self.held_out_seconds
            ),
            "held_out_events": self.held_out_events,
            "held_out_hours": self.held_out_seconds / 3600,
        }

    def __call__(self, rows: RowScores) -> FrameScores:
        """Return smoothed, calibrated scores of all frames of one video."""
        return to_frames(rows, self.calibrator(_smoothed(rows, self.spec)))

    def events(self, scores: FrameScores) -> list[Event]:
        """Return the events of one video, each with its rarity."""
        return [
            replace(event, one_in_days=self.alarms.one_in_days(event.score))
            for event in find_events(scores, self.threshold, self.spec)
        ]

    def state(self) -> Arrays:
        """Return everything fitted as named arrays."""
        counts = [self.alarms.blocks_a_day, self.alarms.n_blocks]
        return {
            **{f"calibrator.{name}": array for name, array in self.calibrator.state().items()},
            **{f"maxima.{name}": array for name, array in self.alarms.maxima.state().items()},
            "blocks": np.array(counts, dtype=np.float64),
            "held_out": np.array([self.held_out_seconds, self.held_out_events]),
            **self._reference_state(),
        }

    def _reference_state(self) -> Arrays:
        if self.reference is None:
            return {}
        values_N, unit_N = self.reference
        return {
            "reference.scores": values_N.astype(np.float32),
            "reference.unit": unit_N.astype(np.int32),
        }

    @classmethod
    def load(cls, state: Arrays, spec: ScoreSpec) -> Self:
        """Return the stages that `state` came from."""
        blocks_a_day, n_blocks = state["blocks"].tolist()
        seconds, events = state["held_out"].tolist()
        maxima = Calibrator.from_state(_named(state, "maxima"))
        sample = _named(state, "reference")
        return cls(
            spec,
            Calibrator.from_state(_named(state, "calibrator")),
            AlarmModel(maxima, blocks_a_day, int(n_blocks)),
            seconds,
            int(events),
            Sample(sample["scores"], sample["unit"].astype(np.int64)) if sample else None,
        )


def measured_units(scores: FrameScores) -> list[NDArray[np.float32]]:
    """Return some measured scores of each unit of a video (`scores.drift`)."""
    usable_T = scores.covered_T & ~np.isnan(scores.score_T)
    return units_of(scores.score_T, scores.seconds_T, usable_T)


def _smoothed(rows: RowScores, spec: ScoreSpec) -> NDArray[np.float64]:
    return smooth(rows.raw_R, rows.seconds_R, spec.smoothing_seconds)


def _only_measured(scores: FrameScores) -> FrameScores:
    return replace(scores, score_T=np.where(scores.covered_T, scores.score_T, np.nan))


def _named(state: Arrays, part: str) -> dict[str, NDArray[np.float64]]:
    prefix = f"{part}."
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
