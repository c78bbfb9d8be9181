"""Fits a detector together with the score stages that belong to it, on honest scores.

What a detector says about video that it has learnt from is too kind, so calibration never sees
such scores: a detector that remembers vectors leaves out each video's own; a quick one is fitted
twice more, on each half of the videos, and scores the other half; a trained one keeps some videos
out of training, which then also serve for early stopping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly.checkpoints import Model
from anomaly.detectors import Detector, FitContext, WindowScores
from anomaly.errors import StoreError
from anomaly.scores import FrameScores, Part, ScoreSpec
from anomaly.scores.domain import Outside, is_outside
from anomaly.scores.events import Event
from anomaly.scores.merge import RowScores, merge
from anomaly.scores.stages import ScoreStages
from anomaly.windows.bags import Bag, Room
from anomaly.windows.split import halves, hold_out

KEPT_BYTES = 512 * 2**20
"""features that a fit keeps in memory, so that it reads them from the store once: hours of `motion`"""


class VideoRows(Protocol):
    """Which frames of a video the rows of its stored features are."""

    @property
    def n_frames(self) -> int:
        """Length of the video in frames, holes counted."""

    def index_T(self) -> NDArray[np.int64]:
        """Return the source frame of each row."""

    def seconds_T(self) -> NDArray[np.float64]:
        """Return the presentation time of each row."""


def fit_model(
    make_detector: Callable[[], Detector],
    bags: Sequence[Bag],
    spec: ScoreSpec,
    context: FitContext,
) -> Model:
    """Return the detector fitted on the usable rows of `bags`, with its score stages.

    `make_detector` returns an unfitted detector, a new one each time it is called.

    Raises:
        SpecError: there are too few usable rows to split.
        StoreError: no held-out row has a score.
    """
    fit = _FITS[make_detector().calibration]
    detector, held_out = fit(make_detector, bags, context)
    stages = ScoreStages.fit(held_out, spec)
    return Model(detector.state(), stages.state(), stages.facts)


def score_bag(
    detector: Detector,
    bag: Bag,
    video: VideoRows,
    stages: ScoreStages,
    outside: Sequence[Outside] = (),
) -> tuple[FrameScores, list[Event]]:
    """Return the scores of all frames of one video, and its events.

    Frames of the stretches `outside` the camera's domain are not covered and make no events.

    Raises:
        StoreError: the detector scores a row that does not exist, or with a NaN.
    """
    rows = _rows(
        detector, bag, detector.score(bag), video.index_T(), video.seconds_T(), video.n_frames
    )
    scores = stages(rows)
    strange_T = is_outside(outside, scores.seconds_T)
    known = replace(scores, score_T=np.where(strange_T, np.nan, scores.score_T))
    return replace(scores, covered_T=scores.covered_T & ~strange_T), stages.events(known)


Fitted = tuple[Detector, list[RowScores]]


def _cross_fit(
    make_detector: Callable[[], Detector], bags: Sequence[Bag], context: FitContext
) -> Fitted:
    contexts = _contexts(context, ["all", "first-half", "second-half"])
    bags = _read_once(bags)
    held_out: list[RowScores] = []
    for (learn, judge), fold_context in zip(halves(bags), contexts[1:], strict=True):
        fold = make_detector().fit(learn, validation=(), context=fold_context)
        held_out += _normal_rows(fold, _scored(fold, judge))
    return make_detector().fit(bags, validation=(), context=contexts[0]), held_out


def _held_out(
    make_detector: Callable[[], Detector], bags: Sequence[Bag], context: FitContext
) -> Fitted:
    detector = make_detector()
    learn, judge = hold_out(bags, detector.held_out_share)
    detector.fit(learn, validation=judge, context=context)
    return detector, list(_normal_rows(detector, _scored(detector, judge)))


def _left_out(
    make_detector: Callable[[], Detector], bags: Sequence[Bag], context: FitContext
) -> Fitted:
    halves(bags)  # says what is wrong where nothing can be left out
    bags = _read_once(bags)
    detector = make_detector().fit(bags, validation=(), context=context)
    return detector, list(_normal_rows(detector, detector.left_out(bags)))


_FITS = {"cross_fit": _cross_fit, "held_out": _held_out, "left_out": _left_out}


def _read_once(bags: Sequence[Bag]) -> list[Bag]:
    room = Room(KEPT_BYTES)
    return [bag.kept(room) for bag in bags]


def _contexts(context: FitContext, names: Sequence[str]) -> list[FitContext]:
    """Return one context for each of several fits, with chance and saved state of its own."""
    generators = context.generator.spawn(len(names))
    return [
        replace(context, generator=generator, resume_key=f"{context.resume_key}-{name}")
        for generator, name in zip(generators, names, strict=True)
    ]


Scored = Iterable[tuple[Bag, Iterable[WindowScores]]]


def _scored(detector: Detector, bags: Iterable[Bag]) -> Scored:
    return ((bag, detector.score(bag)) for bag in bags)


def _normal_rows(detector: Detector, scored: Scored) -> Iterable[RowScores]:
    """Yield the scores of the rows that are known to be normal; the others are NaN.

    A row whose score may depend on one labelled abnormal is not.
    """
    for bag, windows in scored:
        normal_R = bag.normal_rows(detector.support_rows)
        if not normal_R.any():
            continue
        index_R, seconds_R = _times(bag)
        rows = _rows(detector, bag, windows, index_R, seconds_R, int(index_R[-1]) + 1)
        yield replace(rows, raw_R=np.where(normal_R, rows.raw_R, np.nan))


def _times(bag: Bag) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    blocks = [(block.index_T, block.seconds_T) for block in bag.blocks(next(iter(bag.sources)))]
    index_parts, seconds_parts = zip(*blocks, strict=True)
    return np.concatenate(index_parts), np.concatenate(seconds_parts)


def _rows(
    detector: Detector,
    bag: Bag,
    windows: Iterable[WindowScores],
    index_R: NDArray[np.int64],
    seconds_R: NDArray[np.float64],
    n_frames: int,
) -> RowScores:
    parts = tuple(Part(name, detector.cell_grid(bag, name)) for name in detector.inputs)
    first = next(iter(detector.inputs.values()))
    try:
        raw_R, place_R2, part_R = merge(windows, bag.n_rows)
        return RowScores(
            raw_R,
            index_R,
            seconds_R,
            n_frames,
            first.pixels.stride,
            place_R2,
            parts,
            part_R,
        )
    except StoreError as error:
        raise StoreError(f"{bag.video!r}: {error}") from error
