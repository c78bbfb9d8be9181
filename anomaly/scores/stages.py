"""What room 5 learns for one model: smoothing, calibration and the event threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Arrays
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.calibrate import Calibrator
from anomaly.scores.events import Event, find_events
from anomaly.scores.merge import RowScores, to_frames
from anomaly.scores.smooth import smooth
from anomaly.scores.threshold import SECONDS_A_DAY, AlarmModel, seconds_scored


@dataclass(frozen=True)
class ScoreStages:
    """Turns a detector's row scores into frame scores and events.

    `facts` are plain JSON: `threshold`, `extrapolation_factor` (how many times more normal
    video it would take to see one alarm of the budget), `alarms_per_camera_day` (counted at
    that threshold on `held_out_hours` hours of normal video that the detector had not learnt
    from), `held_out_events`.
    """

    spec: ScoreSpec
    calibrator: Calibrator
    alarms: AlarmModel
    facts: Mapping[str, Any]

    @property
    def threshold(self) -> float:
        """Score from which on a frame starts an event."""
        return float(self.facts["threshold"])

    def apply(self, rows: RowScores) -> FrameScores:
        """Return smoothed, calibrated scores of all frames of one video."""
        return _scored(rows, self.spec, self.calibrator)

    def events(self, scores: FrameScores) -> list[Event]:
        """Return the events of one video."""
        return find_events(scores, self.threshold, self.spec)

    def one_in_days(self, score: float) -> float:
        """Return after how many days normal video is expected to score as high."""
        return self.alarms.one_in_days(score)

    def state(self) -> Arrays:
        """Return everything fitted as named arrays; `facts` travel beside them."""
        counts = np.array([self.alarms.blocks_a_day, self.alarms.n_blocks], dtype=np.float64)
        return {
            **{f"calibrator.{name}": array for name, array in self.calibrator.state().items()},
            **{f"maxima.{name}": array for name, array in self.alarms.maxima.state().items()},
            "blocks": counts,
        }


def load_stages(spec: ScoreSpec, state: Arrays, facts: Mapping[str, Any]) -> ScoreStages:
    """Return the stages that `state` and `facts` came from."""
    blocks_a_day, n_blocks = state["blocks"].tolist()
    alarms = AlarmModel(
        Calibrator.from_state(_named(state, "maxima")), blocks_a_day, int(n_blocks)
    )
    return ScoreStages(spec, Calibrator.from_state(_named(state, "calibrator")), alarms, facts)


def fit_stages(held_out: Sequence[RowScores], spec: ScoreSpec) -> ScoreStages:
    """Fit on row scores of normal video that the detector had not learnt from.

    Rows that are not known to be normal must be NaN.

    Raises:
        StoreError: no row has a score.
    """
    smoothed = [smooth(rows.raw_R, rows.seconds_R, spec.smoothing_seconds) for rows in held_out]
    calibrator = Calibrator.fit(smoothed)
    normals = [_only_measured(_scored(rows, spec, calibrator)) for rows in held_out]
    alarms = AlarmModel.fit(normals, spec.block_seconds)
    threshold = alarms.threshold(spec.alarms_per_camera_day)
    events = sum(len(find_events(scores, threshold, spec)) for scores in normals)
    seconds = seconds_scored(normals)
    facts = {
        "threshold": threshold,
        "extrapolation_factor": alarms.extrapolation(spec.alarms_per_camera_day),
        "alarms_per_camera_day": events * SECONDS_A_DAY / seconds,
        "held_out_hours": seconds / 3600,
        "held_out_events": events,
    }
    return ScoreStages(spec, calibrator, alarms, facts)


def _scored(rows: RowScores, spec: ScoreSpec, calibrator: Calibrator) -> FrameScores:
    return to_frames(
        rows, calibrator(smooth(rows.raw_R, rows.seconds_R, spec.smoothing_seconds))
    )


def _only_measured(scores: FrameScores) -> FrameScores:
    return replace(scores, score_T=np.where(scores.covered_T, scores.score_T, np.nan))


def _named(state: Arrays, part: str) -> dict[str, NDArray[np.float64]]:
    prefix = f"{part}."
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
