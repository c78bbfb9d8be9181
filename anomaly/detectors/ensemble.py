"""Any one-class detectors on one archive, made comparable and joined by their sum or by the highest word.

Each part is a detector that also runs alone. What it says becomes -log10 of how often normal video makes it
say as much, learnt on normal videos that were kept out of training, as Reiss and Hoshen calibrate their
attributes before they add them up ("Attribute-based representations for accurate and interpretable video
anomaly detection", 2022). Where we depart: they scale by the lowest and the highest training score; a
tail probability needs no highest. Added up, these are Fisher's sum of evidence (1932), which takes the
parts for independent. For parts of which only the first ranks see `fused`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureSpec
from anomaly.spec import spec
from anomaly.training.calibrate import Calibrator
from anomaly.windows.bags import Bag

_PIECE_ROWS = 1024  # that are joined together

Cells = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.floating[Any]]]


@spec
class PartSpec:
    """One of the joined detectors."""

    detector: str
    """see `anomaly list detectors`; one that learns from normal video"""
    input: str = ""
    """which backbone it reads; empty: every one of them, each by a part of its own"""
    options: dict[str, Any] = Field(default_factory=dict)
    """its own options"""


@spec
class EnsembleParameters:
    """Which detectors are joined, and how."""

    parts: Annotated[tuple[PartSpec, ...], Field(min_length=1)] = (
        PartSpec(detector="knn"),
        PartSpec(detector="gaussian"),
    )
    """the detectors"""
    join: Literal["sum", "max"] = "sum"
    """sum: what all parts find a little odd is odd; max: one part that is sure is enough"""


class Ensemble(Detector):
    """Scores a row by the sum, or the highest, of the rarities that its parts tell.

    A row of which a part says nothing has no score. Cells and input told of are those of the loudest part.
    State: that of each part under `<number>.part.`, and what makes it comparable under `<number>.level.`.
    """

    Parameters = EnsembleParameters
    parameters: EnsembleParameters
    paper = "Reiss, Hoshen: Attribute-based representations for video anomaly detection (AI-VAD), 2022"
    signal = "features: whatever its parts read"
    calibration = "held_out"

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        super().__init__(parameters, inputs)
        _check_strides(self.inputs)
        self._parts = [
            _built(one, name, self.inputs)
            for one in self.parameters.parts
            for name in ([one.input] if one.input else self.inputs)
        ]
        self._levels: list[Calibrator] = []

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        self._levels = []
        generators = context.generator.spawn(len(self._parts))
        for number, (part, generator) in enumerate(zip(self._parts, generators, strict=True)):
            own, judge = ([bag.only(part.input) for bag in side] for side in (bags, validation))
            key = f"{context.resume_key}-part-{number}"
            part.fit(
                own,
                validation=judge if part.calibration == "held_out" else (),
                context=replace(context, generator=generator, resume_key=key),
            )
            self._levels.append(Calibrator.fit([_normal_scores(part, bag) for bag in judge]))
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        said = [_pieces(part.score(bag.only(part.input)), bag.n_rows) for part in self._parts]
        for several in zip(*said, strict=True):
            yield from self._joined(several)

    def _joined(self, pieces: Sequence[_Piece]) -> Iterator[WindowScores]:
        first_row = pieces[0].first_row
        level_PT = np.stack(
            [
                rarity(level, piece.score_T)
                for level, piece in zip(self._levels, pieces, strict=True)
            ]
        )
        known_T = np.isfinite(level_PT).all(axis=0)
        if not known_T.any():
            return
        loudest_T = np.where(known_T, level_PT, 0.0).argmax(axis=0)
        total_T = (
            level_PT.sum(axis=0) if self.parameters.join == "sum" else level_PT.max(axis=0)
        )
        names = list(self.inputs)
        input_P = np.array([names.index(part.input) for part in self._parts], dtype=np.int8)
        yield WindowScores(
            total_T[known_T][:, None],
            (first_row + np.flatnonzero(known_T))[:, None],
            self._cells(pieces, level_PT, total_T),
            input_P[loudest_T[known_T]],
        )

    def _cells(
        self,
        pieces: Sequence[_Piece],
        level_PT: NDArray[np.float64],
        total_T: NDArray[np.float64],
    ) -> Cells | None:
        """Return the cells of the loudest part of each row; the highest scores what the row does."""
        told = []
        top_T = level_PT.max(axis=0)
        for level_T, calibrator, piece in zip(level_PT, self._levels, pieces, strict=True):
            if piece.cells is None:
                continue
            row_M, place_M2, score_M = piece.cells
            seen_M = row_M - piece.first_row
            own_M = level_T[seen_M] == top_T[seen_M]
            of_M = seen_M[own_M]
            level_M = rarity(calibrator, score_M[own_M].astype(np.float64))
            below_M = level_M - top_T[of_M]
            score_M = np.where(below_M < 0, total_T[of_M] + below_M, total_T[of_M])
            told.append((row_M[own_M], place_M2[own_M], score_M))
        if not told:
            return None
        rows, places, scores = zip(*told, strict=True)
        return np.concatenate(rows), np.concatenate(places), np.concatenate(scores)

    @override
    def judge_of(self, name: str) -> Detector:
        return next(part for part in self._parts if part.input == name)

    @property
    @override
    def support_rows(self) -> int:
        return max(part.support_rows for part in self._parts)

    @override
    def trainable(self, dimension: int) -> int | None:
        counts = [part.trainable(dimension) for part in self._parts]
        return sum(count or 0 for count in counts) if any(counts) else None

    @override
    def state(self) -> Arrays:
        return {
            f"{number}.{kind}.{key}": array
            for number, (part, level) in enumerate(zip(self._parts, self._levels, strict=True))
            for kind, arrays in (("part", part.state()), ("level", level.state()))
            for key, array in arrays.items()
        }

    @override
    def load_state(self, state: Arrays) -> None:
        for number, part in enumerate(self._parts):
            part.load_state(_below(state, f"{number}.part."))
        self._levels = [
            Calibrator.from_state(_below(state, f"{number}.level."))
            for number in range(len(self._parts))
        ]


def rarity(level: Calibrator, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log10 of how often normal video scores as high; 0 below all of it, NaN stays NaN."""
    return np.maximum(level(scores), 0.0)


def _check_strides(inputs: Mapping[str, FeatureSpec]) -> None:
    strides = {recipe.pixels.stride for recipe in inputs.values()}
    if len(strides) > 1:
        raise SpecError(
            f"ensemble: the inputs {', '.join(inputs)} look at every {sorted(strides)} frames; "
            "expected one stride for all of them."
        )


def _built(one: PartSpec, name: str, inputs: Mapping[str, FeatureSpec]) -> Detector:
    cls = detectors().get(one.detector)
    if cls.supervision != "one_class":
        raise SpecError(
            f"ensemble: part {one.detector!r} learns from {cls.supervision.replace('_', ' ')}; expected "
            "detectors that learn from normal video."
        )
    if name not in inputs:
        raise SpecError(
            f"ensemble: part {one.detector!r} reads {name!r}, which is none of the inputs "
            f"({', '.join(inputs) or 'there are none'}). Name it with --backbone too."
        )
    return cls.build(one.options, {name: inputs[name]})


def _below(state: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): a for key, a in state.items() if key.startswith(prefix)}


def _normal_scores(part: Detector, bag: Bag) -> NDArray[np.float64]:
    """Return what a part says of the rows of a video that are known to be normal."""
    said = [piece.score_T for piece in _pieces(part.score(bag), bag.n_rows)]
    normal_T: NDArray[np.bool_] = bag.normal_rows(part.support_rows)
    return np.concatenate([*said, np.zeros(0)])[normal_T]


@dataclass(frozen=True)
class _Piece:
    """What one part says of consecutive rows; NaN is silence."""

    first_row: int
    score_T: NDArray[np.float64]
    cells: Cells | None

    @classmethod
    def of(cls, blocks: Sequence[WindowScores], start: int, stop: int) -> Self:
        """Return what blocks say of rows `start` to `stop`: of a row the mean of its windows."""
        sum_T, count_T = np.zeros(stop - start), np.zeros(stop - start)
        told = []
        for block in blocks:
            rows, scores = block.rows_NL.ravel(), block.scores_NL.ravel()
            inside = (rows >= start) & (rows < stop)
            np.add.at(sum_T, rows[inside] - start, scores[inside])
            np.add.at(count_T, rows[inside] - start, 1)
            if block.cells is not None:
                inside = (block.cells[0] >= start) & (block.cells[0] < stop)
                told.append(tuple(one[inside] for one in block.cells))
        mean_T = np.divide(sum_T, count_T, out=np.full(len(sum_T), np.nan), where=count_T > 0)
        cells = tuple(np.concatenate(column) for column in zip(*told, strict=True))
        return cls(start, mean_T, (cells[0], cells[1], cells[2]) if told else None)


def _pieces(blocks: Iterator[WindowScores], n_rows: int) -> Iterator[_Piece]:
    """Yield what blocks of windows, in order, say of all rows, so many rows at a time."""
    held: list[WindowScores] = []
    for start in range(0, n_rows, _PIECE_ROWS):
        stop = min(start + _PIECE_ROWS, n_rows)
        # Windows come in order: once one begins beyond the piece, no later one reaches into it.
        while not held or held[-1].rows_NL[-1, 0] < stop:
            block = next(blocks, None)
            if block is None:
                break
            held += [block] if block.rows_NL.size else []
        yield _Piece.of(held, start, stop)
        held = [block for block in held if block.rows_NL.max() >= stop]
