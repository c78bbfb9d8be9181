"""What is most like a moment: exact nearest neighbours over stored features, block by block.

A moment is five seconds of a video; it is as near as its nearest row, and a row as its nearest cell.
Everything is compared, nothing is indexed: memory is that of one block of features, whatever the archive
holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Detector
from anomaly.features import FeatureBlock
from anomaly.training.rows import row_vectors
from anomaly.training.sampling import checked, locations, nothing_to_learn
from anomaly.windows.bags import Bag

MOMENT_SECONDS = 5.0
_SCALED_BY_ROWS, _SCALED_BY_BYTES = 20_000, 64 * 2**20
"""most rows of training video, and their bytes, that the scale of each number is taken from"""

Embed = Callable[[Bag, FeatureBlock], tuple[NDArray[np.floating], NDArray[np.int64]]]
"""Returns vectors (N, E) where distances are taken, and the row of the block that each belongs to."""
Enough = Callable[[], bool]
"""Says that time is up."""


@dataclass(frozen=True)
class Near:
    """The row of some video that is nearest to a query within its moment."""

    number: int
    """of the video, among those that were searched"""
    row: int
    frame: int
    seconds: float
    distance: float


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    near: list[list[Near]]
    """of each query, the nearest first"""
    searched: int
    """videos that were gone through before time was up"""


def nearest_moments(
    query_QE: NDArray[np.floating],
    bags: Iterable[Bag],
    input_name: str,
    embed: Embed,
    *,
    k: int,
    enough: Enough = lambda: False,
) -> Found:
    """Return the `k` moments nearest to each query, over the usable rows of videos.

    Ties go to the earlier video, and the earlier moment in it.
    """
    best: list[list[Near]] = [[] for _ in query_QE]
    searched = 0
    for number, bag in enumerate(bags):
        if enough():
            break
        search = _VideoSearch(query_QE, number)
        if not search.through(bag, input_name, embed, enough):
            break
        best = [
            sorted([*own, *found], key=lambda near: near.distance)[:k]
            for own, found in zip(best, search.nearest(k), strict=True)
        ]
        searched += 1
    return Found(best, searched)


class _VideoSearch:
    """The nearest row of each moment of one video, for each query."""

    def __init__(self, query_QE: NDArray[np.floating], number: int) -> None:
        self.query_QE, self.number = query_QE, number
        self.moments: list[dict[int, Near]] = [{} for _ in query_QE]

    def through(self, bag: Bag, input_name: str, embed: Embed, enough: Enough) -> bool:
        """Look at all usable rows; say whether there was time for that."""
        for first, last in bag.usable_ranges:
            step = bag.block_rows(input_name)
            for start in range(first, last, step):
                if enough():
                    return False
                block = bag.read(input_name, start, min(start + step, last))
                self._look(start, block, *embed(bag, block))
        return True

    def nearest(self, k: int) -> list[list[Near]]:
        """Return the nearest moments of each query, at most `k`."""
        return [
            sorted(own.values(), key=lambda near: near.distance)[:k] for own in self.moments
        ]

    def _look(
        self,
        start: int,
        block: FeatureBlock,
        vectors_NE: NDArray[np.floating],
        row_N: NDArray[np.int64],
    ) -> None:
        from scipy.spatial.distance import cdist

        if not len(vectors_NE):
            return
        distance_QN = cdist(self.query_QE, vectors_NE)
        moment_N = (block.seconds_T[row_N] // MOMENT_SECONDS).astype(np.int64)
        firsts = np.flatnonzero(np.append(True, np.diff(moment_N) != 0))
        lasts = np.append(firsts[1:], len(moment_N))
        for own, distance_N in zip(self.moments, distance_QN, strict=True):
            for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
                best = first + int(distance_N[first:last].argmin())
                moment, row = int(moment_N[first]), int(row_N[best])
                if moment in own and own[moment].distance <= distance_N[best]:
                    continue
                own[moment] = Near(
                    self.number,
                    start + row,
                    int(block.index_T[row]),
                    float(block.seconds_T[row]),
                    float(distance_N[best]),
                )


@dataclass(frozen=True)
class Space:
    """Where distances between moments are taken.

    That is the detector's own space where it measures distances itself. Elsewhere numbers count in standard
    deviations of training video: those of cells where it judges each row by itself, else those of rows.
    """

    detector: Detector
    """of one input"""
    placed: bool
    """whether it counts where in the picture a cell lies"""
    scale_D: NDArray[np.float64] | None = None
    """None: the detector's own space"""

    @classmethod
    def of(cls, detector: Detector, training: Sequence[Bag], *, placed: bool) -> Space:
        """Return the space for a detector; `training` are videos that it was fitted on, one at least."""
        name = detector.input
        if detector.embed(training[0].read(name, 0, 0), placed=placed) is not None:
            return cls(detector, placed)
        row_bytes = 4 * max(1, training[0].sources[name].dimension)
        rows = min(_SCALED_BY_ROWS, _SCALED_BY_BYTES // row_bytes)
        plain, each = cls(detector, placed), max(2, rows // len(training))
        sample_ND = np.concatenate(
            [
                plain._vectors(bag, bag.read(name, 0, min(each, bag.n_rows)))[0]
                for bag in training
            ]
        )
        if not len(sample_ND):
            raise nothing_to_learn(training)
        scale_D = sample_ND.std(axis=0, dtype=np.float64)
        return cls(detector, placed, np.where(scale_D > 0, scale_D, 1.0))

    @property
    def unit(self) -> str:
        """What distances are measured in, in words."""
        if self.scale_D is None:
            return (
                "as the detector measures them between cells, in units of its scaled features"
            )
        return "standard deviations of training video, root mean square over all numbers"

    def embed(
        self, bag: Bag, block: FeatureBlock
    ) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        """Return vectors and their rows, as a search wants them."""
        block = checked(block, bag)
        own_NE = self.detector.embed(block, placed=self.placed)
        if own_NE is not None:
            return own_NE, block.row_N
        vectors_ND, row_N = self._vectors(bag, block)
        scale_D = np.ones(vectors_ND.shape[1]) if self.scale_D is None else self.scale_D
        scaled_ND = vectors_ND / (scale_D * np.sqrt(len(scale_D)))
        if self.placed and self._of_cells:
            scaled_ND = np.concatenate([scaled_ND, locations(block)], axis=1)
        return scaled_ND, row_N

    def peak_E(self, bag: Bag, row: int) -> NDArray[np.floating] | None:
        """Return the vector that stands for a row, that of its strangest cell where there are several.

        None for a row in which nothing is active.
        """
        vectors_NE, _ = self.embed(bag, bag.read(self.detector.input, row, row + 1))
        if len(vectors_NE) < 2:
            return vectors_NE[0] if len(vectors_NE) else None
        (said,) = self.detector.score(bag.stretch(row, row + 1))
        return vectors_NE[0 if said.cells is None else int(np.argmax(said.cells[2]))]

    @property
    def _of_cells(self) -> bool:
        return self.detector.support_rows == 0

    def _vectors(
        self, bag: Bag, block: FeatureBlock
    ) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        if self._of_cells:
            return block.values_ND, block.row_N
        return row_vectors(bag, block), np.arange(len(block))
