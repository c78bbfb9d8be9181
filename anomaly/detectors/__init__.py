"""ROOM 4: from windows to window scores. One file per detector; see `Detector` for the promise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureSpec
from anomaly.registry import Registry
from anomaly.shapes import expect
from anomaly.spec import from_dict
from anomaly.windows.bags import Bag

Supervision = Literal["one_class", "video_labels", "frame_labels", "none"]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class WindowScores:
    """Scores of some windows of one video; higher is more anomalous.

    `scores_NL[n, l]` belongs to row `rows_NL[n, l]` of the video's features. `cells` optionally says
    where: (row of the video, grid row, grid column, score) of each active cell.
    """

    scores_NL: NDArray[np.floating[Any]]
    rows_NL: NDArray[np.int64]
    cells: tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.floating[Any]]] | None = None
    """(row_M, place_M2, score_M), or None for a detector that does not localise"""

    def __post_init__(self) -> None:
        expect("scores", self.scores_NL, "N L")
        expect("rows", self.rows_NL, "N L", N=self.scores_NL.shape[0], L=self.scores_NL.shape[1])


@dataclass(frozen=True)
class FitContext:
    """What a fit may use beside its data."""

    generator: np.random.Generator
    """the only source of chance"""
    resume_key: str = ""
    """names the training run; a trained detector saves its state under it and resumes from there"""
    load: Callable[[str], Arrays | None] = field(default=lambda _key: None)
    """returns state saved by `save`, or None"""
    save: Callable[[str, Arrays], None] = field(default=lambda _key, _arrays: None)
    """stores state whole or not at all"""
    progress: Callable[[str, int, int], None] = field(default=lambda _text, _done, _total: None)
    """told now and then: what is happening, steps done, steps in all"""


class Detector(ABC):
    """Learns what is normal (or what is not) and scores one video at a time.

    Promises, checked for every file in `detectors/` by the contract suite: equal seeds give equal
    scores; a score never depends on what else is scored, nor on labels, nor on rows later than the
    detector's own `support_rows`; every row gets a score; a round trip through `state` changes nothing;
    memory does not grow with the length of a video.
    """

    Parameters: ClassVar[type[Any]]
    supervision: ClassVar[Supervision] = "one_class"
    scope: ClassVar[Literal["camera", "archive", "batch"]] = "camera"
    peeks: ClassVar[bool] = False
    """True for a detector that uses statistics of the very videos it scores"""
    calibration: ClassVar[Literal["cross_fit", "held_out"]] = "cross_fit"
    """where honest scores of normal video come from: refit on halves, or videos kept out of training"""

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        self.parameters = parameters
        self.inputs = dict(inputs)

    @abstractmethod
    def fit(self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext) -> Self:
        """Learn from the usable rows of `bags`; `validation` are other videos, for early stopping."""

    @abstractmethod
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        """Yield scores of all rows of one video, block by block, in order."""

    @abstractmethod
    def state(self) -> Arrays:
        """Return everything learnt as named arrays."""

    @abstractmethod
    def load_state(self, state: Arrays) -> None:
        """Take back what `state` returned."""

    @property
    def support_rows(self) -> int:
        """How many rows to either side a row's score may depend on."""
        return 0

    @classmethod
    def build(cls, parameters: dict[str, Any], inputs: Mapping[str, FeatureSpec]) -> Detector:
        """Build an unfitted detector from plain values; unknown or unfit ones raise `SpecError`."""
        return cls(from_dict(cls.Parameters, parameters), inputs)


def detectors() -> Registry[Detector]:
    """The registry of detectors."""
    return Registry("anomaly.detectors", Detector, "detector")
