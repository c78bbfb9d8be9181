"""Several parts, each with features of its own, made comparable and joined by their highest word.

Each input (motion of cells, things at rest, ...) is judged by a plug-in that also runs alone. What a part
says is turned into -log10 of how often normal video makes it say as much, learnt on videos that the part
had not seen, as Reiss and Hoshen calibrate their attributes ("Attribute-based Representations for
Accurate and Interpretable Video Anomaly Detection", 2022, there by minimum and maximum). A row scores as
its most unlikely cell in any part, so that the cells tell where, and one part that is sure is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureSpec
from anomaly.spec import spec
from anomaly.training.calibrate import Calibrator
from anomaly.windows.bags import Bag
from anomaly.windows.split import halves


@spec
class FusedParameters:
    """What `fused` is made of."""

    part: str = "knn"
    """name of the detector that judges each input"""


class Fused(Detector):
    """The highest calibrated score of its parts, one part an input.

    Its state is that of each part under `<input>.part.`, and the levels that make it comparable under
    `<input>.level.`.
    """

    Parameters = FusedParameters
    parameters: FusedParameters

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        super().__init__(parameters, inputs)
        strides = {recipe.pixels.stride for recipe in self.inputs.values()}
        if len(strides) > 1:
            raise SpecError(
                f"fused: the inputs {', '.join(inputs)} look at every {sorted(strides)} frames; "
                "expected one stride for all of them."
            )
        self._parts = {name: self._part(name) for name in self.inputs}
        for name, part in self._parts.items():
            if part.support_rows:
                raise SpecError(
                    f"fused: part {self.parameters.part!r} of {name!r} looks at neighbouring rows; "
                    "expected a detector that judges each row by itself, such as 'knn'."
                )
        self._levels: dict[str, Calibrator] = {}

    def _part(self, name: str) -> Detector:
        cls = detectors().get(self.parameters.part)
        return cls.build({}, {name: self.inputs[name]})

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        for name, part in self._parts.items():
            own = [_only(bag, name) for bag in bags]
            generators = context.generator.spawn(3)
            part.fit(own, validation=(), context=replace(context, generator=generators[0]))
            honest = []
            for generator, (learn, judge) in zip(generators[1:], halves(own), strict=True):
                fold = self._part(name).fit(
                    learn, validation=(), context=replace(context, generator=generator)
                )
                honest += [_usable_scores(fold, bag) for bag in judge]
            self._levels[name] = Calibrator.fit(honest)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        streams = [
            _Stream(part.score(_only(bag, name)), self._levels[name])
            for name, part in self._parts.items()
        ]
        start = 0
        while start < bag.n_rows:
            stop = min(stream.known_until(start) for stream in streams)
            yield _joined([stream.take(start, stop) for stream in streams])
            start = stop

    @override
    def state(self) -> Arrays:
        return {
            f"{name}.{kind}.{key}": array
            for name, part in self._parts.items()
            for kind, arrays in (("part", part.state()), ("level", self._levels[name].state()))
            for key, array in arrays.items()
        }

    @override
    def load_state(self, state: Arrays) -> None:
        for name, part in self._parts.items():
            part.load_state(_below(state, f"{name}.part."))
            self._levels[name] = Calibrator.from_state(_below(state, f"{name}.level."))


def _only(bag: Bag, name: str) -> Bag:
    """Return the bag with one of its inputs."""
    return replace(bag, sources={name: bag.sources[name]})


def _below(state: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): a for key, a in state.items() if key.startswith(prefix)}


def _usable_scores(detector: Detector, bag: Bag) -> NDArray[np.float64]:
    """Return the scores of the rows of a bag that are known to be normal."""
    score_T = np.concatenate([block.scores_NL[:, 0] for block in detector.score(bag)])
    return score_T[bag.usable_rows()].astype(np.float64)


@dataclass(frozen=True)
class _Piece:
    """Levels of consecutive rows, and of their cells."""

    first_row: int
    localises: bool
    """False for plain vectors, which have no cells to tell of"""
    level_T: NDArray[np.float64]
    row_M: NDArray[np.int64]
    place_M2: NDArray[np.int16]
    level_M: NDArray[np.float64]

    @classmethod
    def empty(cls) -> Self:
        places_02 = np.zeros((0, 2), np.int16)
        none = np.zeros(0)
        return cls(
            first_row=0,
            localises=False,
            level_T=none,
            row_M=np.zeros(0, np.int64),
            place_M2=places_02,
            level_M=none,
        )

    @property
    def stop(self) -> int:
        return self.first_row + len(self.level_T)

    def rows(self, start: int, stop: int) -> _Piece:
        """Return the part from row `start` to row `stop` of the video."""
        first, last = np.searchsorted(self.row_M, [start, stop])
        return _Piece(
            start,
            self.localises,
            self.level_T[start - self.first_row : stop - self.first_row],
            self.row_M[first:last],
            self.place_M2[first:last],
            self.level_M[first:last],
        )


class _Stream:
    """What one part says, row after row, whatever the blocks in which it says so."""

    def __init__(self, blocks: Iterator[WindowScores], levels: Calibrator) -> None:
        self._blocks = blocks
        self._levels = levels
        self._held = _Piece.empty()

    def known_until(self, start: int) -> int:
        """Return the row up to which it has spoken, asking on when that is not beyond `start`."""
        if self._held.stop <= start:
            self._held = self._levelled(next(self._blocks))
        return self._held.stop

    def take(self, start: int, stop: int) -> _Piece:
        """Return what it said of some rows up to `known_until`."""
        return self._held.rows(start, stop)

    def _levelled(self, block: WindowScores) -> _Piece:
        nowhere = np.zeros(0, np.int64), np.zeros((0, 2), np.int16), np.zeros(0)
        row_M, place_M2, score_M = block.cells or nowhere
        level_T = np.maximum(self._levels(block.scores_NL[:, 0].astype(np.float64)), 0.0)
        level_M = self._levels(score_M.astype(np.float64))
        localises = block.cells is not None
        first_row = int(block.rows_NL[0, 0])
        return _Piece(first_row, localises, level_T, row_M, place_M2, level_M)


def _joined(pieces: Sequence[_Piece]) -> WindowScores:
    """Return the highest level of each row, and the cells of all parts."""
    level_T = np.max([piece.level_T for piece in pieces], axis=0)
    rows_T = np.arange(pieces[0].first_row, pieces[0].stop, dtype=np.int64)
    cells = None
    if any(piece.localises for piece in pieces):
        cells = (
            np.concatenate([piece.row_M for piece in pieces]),
            np.concatenate([piece.place_M2 for piece in pieces]),
            np.concatenate([piece.level_M for piece in pieces]),
        )
    return WindowScores(level_T[:, None], rows_T[:, None], cells)
