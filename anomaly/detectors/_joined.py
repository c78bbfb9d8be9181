"""Several parts, each with features of its own, made comparable and joined by their highest word.

Each input (motion of cells, things at rest, ...) is judged by a plug-in that also runs alone. What a part
says is turned into -log10 of how often normal video makes it say as much, learnt on videos that the part
had not seen, as Reiss and Hoshen calibrate their attributes ("Attribute-based Representations for
Accurate and Interpretable Video Anomaly Detection", 2022, there by minimum and maximum).

Where we depart: one part leads, the first unless a detector says otherwise for a video. Where no other is
heard what it says is what counts. Any other is heard only where it is sure: where it says something rarer
than once in three times the normal video that it was judged on. So a part that knows nothing about a camera
costs nothing there, whatever it mumbles. All speak in the units of the first part: they score as it would
where it says something as rare. A row scores as its most unlikely cell in any part that is heard, and
tells which part that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureSpec
from anomaly.spec import spec
from anomaly.training.rarity import Rarity
from anomaly.training.sampling import NothingToLearnError
from anomaly.windows.bags import Bag

Hearing = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""what a part says -> what counts of it, in units of the first part; NaN where it is not heard"""

_LEAST_SCALE = 0.05
"""of a part's tail, in units of the standard deviation that `knn` scales features to"""


@spec
class JoinedParameters:
    """What joined parts are made of."""

    part: str = "knn"
    """name of the detector that judges each input"""
    sure: Annotated[float, Field(ge=1)] = 3.0
    """parts after the first are heard where they are rarer than once in this many times the normal video
    that they were judged on"""


class Joined(Detector):
    """The leading part, and the others where they are sure; one part an input.

    A part of whose input the training video had nothing says nothing, unless it is the first. The state is
    that of each part under `<input>.part.`, and what makes it comparable under `<input>.level.`.
    """

    Parameters = JoinedParameters
    parameters: JoinedParameters
    paper = "Reiss, Hoshen: Attribute-based representations for video anomaly detection (AI-VAD), 2022"
    calibration = "left_out"

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        super().__init__(parameters, inputs)
        self._name = type(self).__name__.lower()
        strides = {recipe.pixels.stride for recipe in self.inputs.values()}
        if len(strides) > 1:
            raise SpecError(
                f"{self._name}: the inputs {', '.join(inputs)} look at every {sorted(strides)} frames; "
                "expected one stride for all of them."
            )
        cls = detectors().get(self.parameters.part)
        if cls.calibration != "left_out":
            raise SpecError(
                f"{self._name}: part {self.parameters.part!r} cannot leave out what it learnt, so its "
                "scores cannot be made comparable; expected 'knn', or another detector that can."
            )
        self._parts = {name: cls.build({}, {name: one}) for name, one in self.inputs.items()}
        self._rarity: dict[str, Rarity] = {}

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        self._rarity = {}
        for name, part in self._parts.items():
            own = [bag.only(name) for bag in bags]
            (generator,) = context.generator.spawn(1)
            try:
                part.fit(own, validation=(), context=replace(context, generator=generator))
            except NothingToLearnError:
                if self._rarity:
                    continue  # what was never seen cannot be told to be rarer than sure: `Rarity`
                raise
            honest = [_usable_scores(bag, blocks) for bag, blocks in part.left_out(own)]
            self._rarity[name] = Rarity.fit(honest, least_scale=_LEAST_SCALE)
        return self

    @override
    def judge_of(self, name: str) -> Detector:
        return self._parts[name]

    @property
    def learnt(self) -> list[str]:
        """The inputs of which the training video had something, in the order in which they are named."""
        return list(self._rarity)

    def listened_to(self, bag: Bag) -> Sequence[str]:
        """Return those of the inputs learnt whose parts are heard in a video, the leading one first."""
        del bag
        return self.learnt

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        return self._joined(
            {name: self._parts[name].score(bag.only(name)) for name in self.listened_to(bag)},
            bag.n_rows,
        )

    @override
    def left_out(self, bags: Sequence[Bag]) -> Iterator[tuple[Bag, Iterator[WindowScores]]]:
        parts = [
            self._parts[name].left_out([bag.only(name) for bag in bags]) for name in self.learnt
        ]
        for several in zip(*parts, strict=True):
            sources = {name: one for bag, _ in several for name, one in bag.sources.items()}
            bag = replace(several[0][0], sources=sources)
            said = dict(zip(self.learnt, (blocks for _, blocks in several), strict=True))
            heard = {name: said[name] for name in self.listened_to(bag)}
            yield bag, self._joined(heard, bag.n_rows)

    def _joined(
        self, said: Mapping[str, Iterator[WindowScores]], n_rows: int
    ) -> Iterator[WindowScores]:
        """Yield what is heard of what the parts said, the leading one first, in whatever blocks."""
        streams = [
            _Stream(blocks, self._hearing(name, leads=number == 0))
            for number, (name, blocks) in enumerate(said.items())
        ]
        number_P = np.array([list(self.inputs).index(name) for name in said], dtype=np.int8)
        start = 0
        while start < n_rows:
            stop = min(stream.known_until(start) for stream in streams)
            yield _joined([stream.take(start, stop) for stream in streams], number_P)
            start = stop

    def _hearing(self, name: str, *, leads: bool) -> Hearing:
        """Return how what a part says is heard."""
        first, own = next(iter(self._rarity.values())), self._rarity[name]
        if not leads:
            return lambda score_N: first.rows.inverses(
                own.if_sure(score_N, self.parameters.sure)
            )
        if own is first:
            return lambda score_N: score_N
        return lambda score_N: first.rows.inverses(own.rows(score_N))

    @override
    def state(self) -> Arrays:
        return {
            f"{name}.{kind}.{key}": array
            for name, rarity in self._rarity.items()
            for kind, arrays in (("part", self._parts[name].state()), ("level", rarity.state()))
            for key, array in arrays.items()
        }

    @override
    def load_state(self, state: Arrays) -> None:
        self._rarity = {}
        for name, part in self._parts.items():
            if arrays := _below(state, f"{name}.part."):
                part.load_state(arrays)
                self._rarity[name] = Rarity.from_state(_below(state, f"{name}.level."))


def _below(state: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): a for key, a in state.items() if key.startswith(prefix)}


def _usable_scores(bag: Bag, blocks: Iterator[WindowScores]) -> NDArray[np.float64]:
    """Return the scores of the rows of a bag that are known to be normal."""
    score_T = np.concatenate([block.scores_NL[:, 0] for block in blocks])
    return score_T[bag.usable_rows()].astype(np.float64)


@dataclass(frozen=True)
class _Piece:
    """What is heard of consecutive rows, and of their cells; NaN is silence."""

    first_row: int
    localises: bool
    """False for plain vectors, which have no cells to tell of"""
    score_T: NDArray[np.float64]
    row_M: NDArray[np.int64]
    place_M2: NDArray[np.int16]
    score_M: NDArray[np.float64]

    @classmethod
    def empty(cls) -> Self:
        nowhere = np.zeros(0, np.int64), np.zeros((0, 2), np.int16), np.zeros(0)
        row_0, place_02, score_0 = nowhere
        return cls(
            first_row=0,
            localises=False,
            score_T=np.zeros(0),
            row_M=row_0,
            place_M2=place_02,
            score_M=score_0,
        )

    @property
    def stop(self) -> int:
        return self.first_row + len(self.score_T)

    def rows(self, start: int, stop: int) -> _Piece:
        """Return the part from row `start` to row `stop` of the video."""
        first, last = np.searchsorted(self.row_M, [start, stop])
        return _Piece(
            start,
            self.localises,
            self.score_T[start - self.first_row : stop - self.first_row],
            self.row_M[first:last],
            self.place_M2[first:last],
            self.score_M[first:last],
        )


class _Stream:
    """What is heard of one part, row after row, whatever the blocks in which it speaks."""

    def __init__(self, blocks: Iterator[WindowScores], heard: Hearing) -> None:
        self._blocks = blocks
        self._heard = heard
        self._held = _Piece.empty()

    def known_until(self, start: int) -> int:
        """Return the row up to which it has spoken, asking on when that is not beyond `start`."""
        if self._held.stop <= start:
            self._held = self._listen(next(self._blocks))
        return self._held.stop

    def take(self, start: int, stop: int) -> _Piece:
        """Return what is heard of some rows up to `known_until`."""
        return self._held.rows(start, stop)

    def _listen(self, block: WindowScores) -> _Piece:
        nowhere = np.zeros(0, np.int64), np.zeros((0, 2), np.int16), np.zeros(0)
        row_M, place_M2, score_M = block.cells or nowhere
        score_T = self._heard(block.scores_NL[:, 0].astype(np.float64))
        score_M = self._heard(score_M.astype(np.float64))
        told_M = ~np.isnan(score_M)
        first_row = int(block.rows_NL[0, 0])
        cells = row_M[told_M], place_M2[told_M], score_M[told_M]
        return _Piece(first_row, block.cells is not None, score_T, *cells)


def _joined(pieces: Sequence[_Piece], number_P: NDArray[np.int8]) -> WindowScores:
    """Return the highest score of each row, the number of its part, and the cells of all that is heard."""
    score_PT = np.stack([piece.score_T for piece in pieces])
    score_PT[np.isnan(score_PT)] = -np.inf
    part_T = number_P[score_PT.argmax(axis=0)]
    rows_T = np.arange(pieces[0].first_row, pieces[0].stop, dtype=np.int64)
    cells = None
    if any(piece.localises for piece in pieces):
        cells = (
            np.concatenate([piece.row_M for piece in pieces]),
            np.concatenate([piece.place_M2 for piece in pieces]),
            np.concatenate([piece.score_M for piece in pieces]),
        )
    return WindowScores(score_PT.max(axis=0)[:, None], rows_T[:, None], cells, part_T)
