"""One video as a detector sees it: its stored features, read lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.features import FeatureBlock

BLOCK_ROWS = 4096
BLOCK_BYTES = 16 * 2**20
"""A block of all cells active stays below this, counted as float32."""


class FeatureSource(Protocol):
    """Something that holds the features of one video (a stored group, or arrays in a test)."""

    @property
    def n_rows(self) -> int:
        """Rows in all."""

    @property
    def dimension(self) -> int:
        """Length D of each vector."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the grid, None for one vector a row."""

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open."""


@dataclass(frozen=True)
class MemorySource:
    """Features of one video that are in memory already."""

    block: FeatureBlock

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return len(self.block)

    @property
    def dimension(self) -> int:
        """Length D of each vector."""
        return self.block.values_ND.shape[1]

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the grid, None for one vector a row."""
        return self.block.grid

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open."""
        return self.block.rows(start, stop)


@dataclass(frozen=True)
class Wrapped:
    """Another source, read in another way."""

    source: FeatureSource

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return self.source.n_rows

    @property
    def dimension(self) -> int:
        """Length D of each vector."""
        return self.source.dimension

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the grid, None for one vector a row."""
        return self.source.grid


@dataclass(frozen=True)
class Kept(Wrapped):
    """Another source whose blocks stay in memory once they were read, as long as there is room."""

    room: Room
    _blocks: dict[tuple[int, int], FeatureBlock] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open."""
        block = self._blocks.get((start, stop))
        if block is None:
            block = self.source.read(start, stop)
            if self.room.take(block.nbytes):
                self._blocks[start, stop] = block
        return block


@dataclass
class Room:
    """Memory that several sources share."""

    left_bytes: int

    def take(self, n_bytes: int) -> bool:
        """Say whether there is room for so many bytes, which are then taken."""
        fits = n_bytes <= self.left_bytes
        self.left_bytes -= n_bytes if fits else 0
        return fits


@dataclass(frozen=True)
class Stretch(Wrapped):
    """Consecutive rows of another source, counted from 0."""

    first: int
    last: int
    """one past the last row of the other source"""

    @property
    @override
    def n_rows(self) -> int:
        """Rows in all."""
        return self.last - self.first

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open."""
        return self.source.read(self.first + start, self.first + stop)


@dataclass(frozen=True)
class Bag:
    """All rows of one video, each input aligned to the rows of the first.

    `ranges` are the half-open row ranges that a fit may learn from: all rows, unless labels
    take some out. Scoring always sees every row, and never a label.
    """

    video: str
    camera: str
    sources: Mapping[str, FeatureSource]
    ranges: tuple[tuple[int, int], ...] | None = None
    label: int | None = None
    """class of the video as a whole: 0 normal, from 1 on abnormal; None: nobody said"""
    labels_T: NDArray[np.int16] | None = None
    """class of each row, -1 for rows that count neither way; None: rows are not labelled"""
    group: str = ""
    """videos of one group come from one source and stay on one side of every split; empty: alone"""
    view_HW: NDArray[np.uint8] | None = None
    """what the camera showed in the first seconds, small and grey; None: nobody measured it"""
    clock_hours: float | None = None
    """time of day (UTC) at which the video begins, in hours; None: nobody knows"""

    @property
    def n_rows(self) -> int:
        """Rows of the first input."""
        return next(iter(self.sources.values())).n_rows

    @property
    def n_usable(self) -> int:
        """Rows that a fit may learn from."""
        return sum(stop - start for start, stop in self.usable_ranges)

    @property
    def usable_ranges(self) -> tuple[tuple[int, int], ...]:
        """Row ranges that a fit may learn from."""
        return ((0, self.n_rows),) if self.ranges is None else self.ranges

    def usable_rows(self) -> NDArray[np.bool_]:
        """Return shape (T,): may a fit learn from the row?"""
        usable_T = np.zeros(self.n_rows, dtype=bool)
        for start, stop in self.usable_ranges:
            usable_T[start:stop] = True
        return usable_T

    def normal_rows(self, margin: int = 0) -> NDArray[np.bool_]:
        """Return shape (T,): usable, and more than `margin` rows from any that is labelled abnormal."""
        usable_T = self.usable_rows()
        if self.labels_T is None:
            return usable_T & (not self.label)
        before_S = np.concatenate([[0], np.cumsum(self.labels_T > 0)])
        row_T = np.arange(self.n_rows)
        first_T, last_T = (
            np.maximum(row_T - margin, 0),
            np.minimum(row_T + margin + 1, self.n_rows),
        )
        far_T: NDArray[np.bool_] = before_S[first_T] == before_S[last_T]
        return usable_T & (self.labels_T == 0) & far_T

    def restrict(self, start: int, stop: int) -> Bag:
        """Return the bag with `ranges` cut to rows `start` to `stop`."""
        cut = ((max(start, a), min(stop, b)) for a, b in self.usable_ranges)
        return replace(self, ranges=tuple((a, b) for a, b in cut if a < b))

    def stretch(self, start: int, stop: int) -> Bag:
        """Return rows `start` to `stop` as a bag of their own, counted from 0."""
        inside = self.restrict(start, stop).usable_ranges
        return replace(
            self,
            sources={name: Stretch(one, start, stop) for name, one in self.sources.items()},
            ranges=tuple((first - start, last - start) for first, last in inside),
            labels_T=None if self.labels_T is None else self.labels_T[start:stop],
        )

    def only(self, input_name: str) -> Bag:
        """Return the bag with one of its inputs."""
        return replace(self, sources={input_name: self.sources[input_name]})

    def kept(self, room: Room) -> Bag:
        """Return the bag with sources that read what is stored once, as far as the room goes."""
        return replace(
            self, sources={name: Kept(one, room) for name, one in self.sources.items()}
        )

    def read(self, input_name: str, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop` of one input."""
        return self.sources[input_name].read(start, stop)

    def blocks(self, input_name: str, rows: int | None = None) -> Iterator[FeatureBlock]:
        """Yield all rows of one input, at most `rows` (default: `BLOCK_BYTES`) at a time."""
        rows = rows or self.block_rows(input_name)
        for start in range(0, self.n_rows, rows):
            yield self.read(input_name, start, min(start + rows, self.n_rows))

    def usable_blocks(self, input_name: str, rows: int | None = None) -> Iterator[FeatureBlock]:
        """Yield the rows that a fit may learn from, at most `rows` at a time."""
        rows = rows or self.block_rows(input_name)
        for first, last in self.usable_ranges:
            for start in range(first, last, rows):
                yield self.read(input_name, start, min(start + rows, last))

    def block_rows(self, input_name: str) -> int:
        """Return how many rows of one input make a block of about `BLOCK_BYTES`."""
        source = self.sources[input_name]
        cells = source.grid[0] * source.grid[1] if source.grid else 1
        return max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * cells * max(1, source.dimension))))
