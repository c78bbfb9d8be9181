"""ROOM 4: from windows to window scores. One file per detector; `Detector` is the promise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.registry import Registry
from anomaly.shapes import expect
from anomaly.spec import from_dict
from anomaly.training.rows import View
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag

if TYPE_CHECKING:
    from torch import Tensor

Supervision = Literal["one_class", "video_labels", "frame_labels", "none"]
DEFAULT = "default"
"""name of the detector that is taken when none is named"""
LABELLED: frozenset[Supervision] = frozenset({"video_labels", "frame_labels"})
"""kinds of supervision that need labels; frame labels tell more than labels of whole videos"""
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class WindowScores:
    """Scores of some windows of one video; higher is more anomalous.

    `scores_NL[n, l]` belongs to row `rows_NL[n, l]` of the video's features. `cells` optionally
    says where: (row of the video, grid row and column, score) of each active cell.
    """

    scores_NL: NDArray[np.floating[Any]]
    rows_NL: NDArray[np.int64]
    cells: tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.floating[Any]]] | None = None
    """(row_M, place_M2, score_M), or None for a detector that does not localise"""
    part_N: NDArray[np.int8] | None = None
    """which of the detector's inputs each window's score comes from; None: it reads a single one"""

    @classmethod
    def of_cells(
        cls, first_row: int, block: FeatureBlock, scores_N: NDArray[np.floating[Any]]
    ) -> Self:
        """Return one score a row, the highest of its cells (0 without cells), and the cells.

        `block` holds the rows of the video from `first_row` on, `scores_N` a score for each of
        its cells. A block of plain vectors has no cells to tell of.
        """
        rows_T = np.arange(first_row, first_row + len(block), dtype=np.int64)
        cells = None
        if block.place_N2 is not None:
            cells = (first_row + block.row_N, block.place_N2, scores_N)
        return cls(block.max_over_cells(scores_N)[:, None], rows_T[:, None], cells)

    def __post_init__(self) -> None:
        expect("scores", self.scores_NL, "N L")
        n_windows, length = self.scores_NL.shape
        expect("rows", self.rows_NL, "N L", N=n_windows, L=length)
        if self.part_N is not None:
            expect("part", self.part_N, "N", N=n_windows)


@dataclass(frozen=True)
class CellFormula:
    """A score as a function that torch can differentiate: of each cell by itself; a row has its highest."""

    of_cells: Callable[[Tensor, FeatureBlock], Tensor]
    """vectors (N, D) in the place of those of a block's cells -> scores (N,)"""


@dataclass(frozen=True)
class WindowFormula:
    """A score as a function that torch can differentiate: of windows of rows; a row has their mean."""

    of_windows: Callable[[Tensor], Tensor]
    """windows of rows (N, L, D) -> scores (N, M)"""
    window: WindowSpec
    asked: slice
    """which M of the L rows have the scores"""
    view: View = "vectors"
    """what is shown of each row"""


Formula = CellFormula | WindowFormula


@dataclass(frozen=True)
class FitContext:
    """What a fit may use beside its data."""

    generator: np.random.Generator
    """the only source of chance"""
    resume_key: str = ""
    """names this fit; a trained detector saves its state under it and resumes from there"""
    load: Callable[[str], Arrays | None] = field(default=lambda _key: None)
    """returns state saved by `save`, or None"""
    save: Callable[[str, Arrays], None] = field(default=lambda _key, _arrays: None)
    """stores state whole or not at all"""
    progress: Callable[[str, int, int], None] = field(default=lambda _text, _done, _total: None)
    """told now and then: what is happening, steps done, steps in all"""
    record: Callable[[str, dict[str, Any]], None] = field(default=lambda _key, _curve: None)
    """told after each epoch the resume key of a network in training and its learning curve so far"""
    start: Arrays | None = None
    """state of a fitted detector of the same kind, whose network's weights this one begins with"""


@dataclass(frozen=True)
class Published:
    """A figure that a paper gives for its method; not measured here."""

    data: str
    figure: str
    protocol: str
    """how it was come by: what was split, what was counted"""


class Detector(ABC):
    """Learns what is normal (or what is not) and scores one video at a time.

    Promises, checked for every file in `detectors/` by the contract suite: equal seeds give
    equal scores; a score never depends on what else is scored, nor on labels, nor on rows later
    than the detector's own `support_rows` (the view of a video's first seconds apart: `Bag.view_HW`);
    every row gets a score, or lies beside one that has (room 5 fills it); a round trip through
    `state` changes nothing; memory does not grow with the length of a video.
    """

    Parameters: ClassVar[type[Any]]
    supervision: ClassVar[Supervision] = "one_class"
    scope: ClassVar[Literal["camera", "archive", "batch"]] = "camera"
    peeks: ClassVar[bool] = False
    """True for a detector that uses statistics of the very videos it scores"""
    calibration: ClassVar[Literal["cross_fit", "held_out", "left_out"]] = "cross_fit"
    """where honest scores of normal video come from: refits on halves, videos kept out of training, or
    the detector itself, which can leave out any part of what it learnt"""
    held_out_share: ClassVar[float] = 0.25
    """share of the training rows that a trained detector keeps out of training"""
    backbones: ClassVar[tuple[str, ...]] = ("motion",)
    """its inputs where none are named"""
    paper: ClassVar[str] = ""
    signal: ClassVar[str] = "features: vectors or cells of a grid, one row a frame"
    """what the detector reads"""
    published: ClassVar[tuple[Published, ...]] = ()
    strange_cell: ClassVar[float | None] = None
    """score from which on a cell is part of what is strange; None: scores of cells have no common scale"""
    reads: ClassVar[Literal["features", "pixels"]] = "features"
    """pixels: it wants the backbone `frames`"""
    reads_clock: ClassVar[bool] = False
    """True for a detector to which it counts at what time of day a video begins"""

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        self.parameters = parameters
        self.inputs = dict(inputs)

    @property
    def input(self) -> str:
        """Name of the one input of a detector that reads a single one.

        Raises:
            SpecError: several inputs were given, or none.
        """
        if len(self.inputs) != 1:
            given = ", ".join(self.inputs) or "none"
            raise SpecError(f"{type(self).__name__} reads one input; given: {given}.")
        return next(iter(self.inputs))

    @abstractmethod
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        """Learn from the usable rows of `bags`; other videos, `validation`, tell when to stop.

        Raises:
            SpecError: parameters do not suit the features.
            StoreError: there is nothing to learn from, or features are not of one kind.
        """

    @abstractmethod
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        """Yield scores of all rows of one video, block by block, in order.

        Raises:
            StoreError: the features are not of the kind that the detector was fitted on.
        """

    def left_out(self, bags: Sequence[Bag]) -> Iterator[tuple[Bag, Iterator[WindowScores]]]:
        """Yield the videos that it was just fitted on, each scored as if it had not been learnt from.

        Only of detectors whose `calibration` is "left_out". A single video comes in stretches, each a
        bag of its own (`windows.split.leave_out`).
        """
        raise NotImplementedError(f"{type(self).__name__} cannot leave out what it learnt.")

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

    def formula(self, bag: Bag) -> Formula | None:
        """Return the score of a video's rows as torch sees it, equal to `score` up to rounding.

        None for a detector whose score has no slope, or that joins several; see `judge_of`.
        """
        del bag
        return None

    def judge_of(self, name: str) -> Detector:
        """Return the fitted detector that judges one input: itself, unless it joins several."""
        del name
        return self

    def embed(self, block: FeatureBlock, *, placed: bool) -> NDArray[np.floating[Any]] | None:
        """Return cells where it measures distances between them, (N, E); None: it measures none.

        `placed` says whether it counts where in the picture a cell lies.
        """
        del block, placed
        return None

    def error_map(self, bag: Bag, row: int) -> NDArray[np.float64] | None:
        """Return how much more than usual it is wrong about each pixel of a row's small picture, (H, W).

        In units of `strange_cell`. None for a detector that does not look at pictures.
        """
        del bag, row
        return None

    def cell_grid(self, bag: Bag, name: str) -> tuple[int, int] | None:
        """Return rows and columns of the cells that it tells of for one input of a video."""
        return bag.sources[name].grid

    def trainable(self, dimension: int) -> int | None:
        """Return how many numbers the network for vectors of this length learns; None: there is none."""
        del dimension
        return None

    @classmethod
    def build(cls, parameters: dict[str, Any], inputs: Mapping[str, FeatureSpec]) -> Detector:
        """Build an unfitted detector; parameters unknown or unfit raise `SpecError`."""
        return cls(from_dict(cls.Parameters, parameters), inputs)


def detectors() -> Registry[Detector]:
    """The registry of detectors."""
    return Registry("anomaly.detectors", Detector, "detector")
