"""The motion gate: frames of a still scene reuse the vector of the last frame that was computed.

How much a picture may change is learnt from the first frames of each video, all of which are computed:
the largest change below which no two of them, near in time, had vectors further apart than the stated
tolerance. The change of a picture is that of its most changed place, so that somebody small counts.

What the gate did can be checked: each row says whether it was computed, reused, or computed although the
gate would have reused it. The latter are a random sample, and their true error is stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.features import Backbone, FeatureBlock, GateSpec, concatenate
from anomaly.video import FrameBatch

COMPUTED, REUSED, AUDITED = 0.0, 1.0, 2.0
NO_ERROR = -1.0
"""stands where the error of a row was not measured"""
_LEARN_FRAMES = 64
_LAGS = (1, 2, 4, 8, 16)
_SIDE = 32
"""side of the small picture in which change is measured"""
_TOGETHER = 32
"""frames that are given to the backbone at once"""
_MOST_WAITING = 512

Small = NDArray[np.float32]


@dataclass
class _Row:
    index: int
    seconds: float
    decision: float
    source: int
    """number of the computed frame whose vector the row has"""


def summary(gate_T2: NDArray[np.float32]) -> dict[str, float]:
    """Return how many rows were reused and audited, and mean and largest error of the audited ones."""
    decision_T, error_T = gate_T2.T
    errors = error_T[decision_T == AUDITED]
    return {
        "reused": int((decision_T == REUSED).sum()),
        "audited": len(errors),
        "mean_error": float(errors.mean()) if len(errors) else 0.0,
        "largest_error": float(errors.max()) if len(errors) else 0.0,
    }


class Gated:
    """A backbone whose rows stand alone, behind a gate; `extract` as that of the backbone."""

    def __init__(self, backbone: Backbone, gate: GateSpec) -> None:
        self._backbone = backbone
        self._gate = gate

    def restart_row(self, row: int) -> int:
        """Return 0: what is reused depends on all frames before."""
        del row
        return 0

    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        """Yield one row for each frame, with `gate_T2`: decision, and error where it was measured."""
        frames = _frames(batches)
        first = list(itertools.islice(frames, _LEARN_FRAMES))
        if not first:
            return
        learnt = concatenate(list(self._backbone.extract([_joined(first)])))
        yield _marked(learnt, np.full(len(first), COMPUTED), np.full(len(first), NO_ERROR))
        smalls = [_small(frame) for frame in first]
        threshold = _threshold(smalls, learnt, self._gate.tolerance)
        last = learnt.rows(len(first) - 1, len(first))
        yield from self._rest(frames, smalls[-1], last, threshold)

    def _rest(
        self,
        frames: Iterator[FrameBatch],
        reference: Small,
        last: FeatureBlock,
        threshold: float,
    ) -> Iterator[FeatureBlock]:
        rows: list[_Row] = []
        computed: list[FrameBatch] = []
        for frame in frames:
            small = _small(frame)
            decision = self._decide(frame, _change(small, reference), threshold)
            if decision != REUSED:
                computed.append(frame)
                reference = small
            rows.append(
                _Row(int(frame.index_B[0]), float(frame.seconds_B[0]), decision, len(computed))
            )
            if len(computed) == _TOGETHER or len(rows) == _MOST_WAITING:
                block, last = self._block(rows, computed, last)
                yield block
                rows, computed = [], []
        if rows:
            yield self._block(rows, computed, last)[0]

    def _decide(self, frame: FrameBatch, change: float, threshold: float) -> float:
        if change > threshold:
            return COMPUTED
        drawn = np.random.default_rng((self._gate.seed, int(frame.index_B[0]))).random()
        return AUDITED if drawn < self._gate.audit_share else REUSED

    def _block(
        self, rows: list[_Row], computed: list[FrameBatch], last: FeatureBlock
    ) -> tuple[FeatureBlock, FeatureBlock]:
        """Return the block of some rows, and the last computed one for the next."""
        sources = [last]
        if computed:
            vectors = concatenate(list(self._backbone.extract([_joined(computed)])))
            sources += [vectors.rows(place, place + 1) for place in range(len(vectors))]
        errors = [
            _error(sources[row.source], sources[row.source - 1])
            if row.decision == AUDITED
            else NO_ERROR
            for row in rows
        ]
        block = concatenate([sources[row.source] for row in rows])
        block = FeatureBlock(
            np.array([row.index for row in rows], dtype=np.int64),
            np.array([row.seconds for row in rows]),
            block.values_ND,
            block.offsets_S,
            block.place_N2,
            block.grid,
        )
        decisions = np.array([row.decision for row in rows])
        return _marked(block, decisions, np.array(errors)), sources[-1]


def _frames(batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
    for batch in batches:
        for at in range(len(batch)):
            one = slice(at, at + 1)
            yield FrameBatch(batch.pixels_BHWC[one], batch.index_B[one], batch.seconds_B[one])


def _joined(frames: list[FrameBatch]) -> FrameBatch:
    return FrameBatch(
        np.concatenate([frame.pixels_BHWC for frame in frames]),
        np.concatenate([frame.index_B for frame in frames]),
        np.concatenate([frame.seconds_B for frame in frames]),
    )


def _small(frame: FrameBatch) -> Small:
    import cv2

    picture = frame.pixels_BHWC[0].mean(axis=2, dtype=np.float32)
    small: Small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return small


def _change(one: Small, other: Small) -> float:
    return float(np.abs(one - other).max())


def _error(found: FeatureBlock, reused: FeatureBlock) -> float:
    """Return how far a reused vector is from the true one, relative to its length."""
    true = found.values_ND.astype(np.float64)
    length = float(np.linalg.norm(true))
    distance = float(np.linalg.norm(reused.values_ND - true))
    return distance / length if length else distance


def _threshold(smalls: list[Small], learnt: FeatureBlock, tolerance: float) -> float:
    """Return the largest change below which all pairs of frames kept the tolerance; -1 for none."""
    pairs = [(at, at + lag) for lag in _LAGS for at in range(len(smalls) - lag)]
    found = sorted(
        (
            _change(smalls[one], smalls[other]),
            _error(learnt.rows(other, other + 1), learnt.rows(one, one + 1)),
        )
        for one, other in pairs
    )
    threshold = -1.0
    for change, error in found:
        if error > tolerance:
            break
        threshold = change
    return threshold


def _marked(
    block: FeatureBlock, decision_T: NDArray[np.float64], error_T: NDArray[np.float64]
) -> FeatureBlock:
    gate_T2 = np.stack([decision_T, error_T], axis=1).astype(np.float32)
    return FeatureBlock(
        block.index_T,
        block.seconds_T,
        block.values_ND,
        block.offsets_S,
        block.place_N2,
        block.grid,
        gate_T2,
    )
