"""Uniform samples, in bounded memory, of what a fit learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.features import FeatureBlock
from anomaly.windows.bags import Bag


class Reservoir:
    """A uniform sample without replacement of at most `capacity` items of a stream.

    Each item draws a random key and the smallest keys stay, so the sample does not depend on
    how the stream was cut into pieces.
    """

    def __init__(self, capacity: int, generator: np.random.Generator) -> None:
        self.capacity = capacity
        self.n_seen = 0
        self._generator = generator
        self._keys: list[NDArray[np.float64]] = []
        self._items: list[NDArray[Any]] = []
        self._highest_key = np.inf

    def add(self, items_N: NDArray[Any]) -> None:
        """Offer items; their first axis counts them."""
        keys_N = self._generator.random(len(items_N))
        self.n_seen += len(items_N)
        chosen_N = keys_N < self._highest_key
        self._keys.append(keys_N[chosen_N])
        self._items.append(items_N[chosen_N])
        if sum(map(len, self._keys)) > 2 * self.capacity:
            self._shrink()

    def sample(self) -> NDArray[Any]:
        """Return the sample in the order of the stream.

        Raises:
            StoreError: nothing was ever added, so not even the shape is known.
        """
        if not self._items:
            raise StoreError("There is nothing to take a sample of.")
        self._shrink()
        return self._items[0]

    def _shrink(self) -> None:
        keys_N, items_N = np.concatenate(self._keys), np.concatenate(self._items)
        if len(keys_N) > self.capacity:
            kept = np.sort(np.argpartition(keys_N, self.capacity - 1)[: self.capacity])
            keys_N, items_N = keys_N[kept], items_N[kept]
            self._highest_key = float(keys_N.max())
        self._keys, self._items = [keys_N], [items_N]


def locations(block: FeatureBlock) -> NDArray[np.float32]:
    """Return where each cell is, (row, column) over the longer side of the grid, in [0, 1).

    So cameras whose grids differ share one frame of reference. Shape (N, 0) for plain vectors.
    """
    if block.place_N2 is None or block.grid is None:
        return np.zeros((len(block.values_ND), 0), dtype=np.float32)
    return block.place_N2.astype(np.float32) / np.float32(max(block.grid))


def checked(block: FeatureBlock, bag: Bag, dimension: int | None = None) -> FeatureBlock:
    """Return the block, its values as float32, after a look at them.

    Raises:
        StoreError: vectors are not of length `dimension`, or hold numbers that are not finite.
    """
    found = block.values_ND.shape[1]
    if dimension is not None and found != dimension:
        raise StoreError(
            f"Features of {bag.video!r} have {found} dimensions, expected {dimension} as in "
            "the videos that the detector learnt from. Use features of one recipe."
        )
    values_ND = block.values_ND.astype(np.float32, copy=False)
    if not np.isfinite(values_ND).all():
        raise StoreError(
            f"Features of {bag.video!r} are not finite between frames {block.index_T[0]} and "
            f"{block.index_T[-1]}. Delete the video's features and extract them again."
        )
    return FeatureBlock(
        block.index_T, block.seconds_T, values_ND, block.offsets_S, block.place_N2, block.grid
    )


def scored_blocks(
    bag: Bag, input_name: str, dimension: int
) -> Iterator[tuple[int, FeatureBlock]]:
    """Yield (first row, checked block) over all rows of a video; `checked` says what raises."""
    first_row = 0
    for block in bag.blocks(input_name):
        yield first_row, checked(block, bag, dimension)
        first_row += len(block)


def usable_cells(
    bags: Sequence[Bag], input_name: str, dimension: int | None = None
) -> Iterator[FeatureBlock]:
    """Yield the usable rows of all bags, checked, block by block.

    Raises:
        StoreError: bags disagree on the length of vectors, or hold numbers that are not finite.
    """
    for bag in bags:
        for block in bag.usable_blocks(input_name):
            cells = checked(block, bag, dimension)
            dimension = cells.values_ND.shape[1]
            yield cells


class NothingToLearnError(StoreError):
    """Training video holds no vector at all."""


def nothing_to_learn(bags: Sequence[Bag]) -> NothingToLearnError:
    """Return the error of a fit that was given no vector."""
    rows = sum(bag.n_usable for bag in bags)
    return NothingToLearnError(
        f"Nothing to learn from: {len(bags)} training videos with {rows} usable rows hold "
        "no active cell. Train on videos in which something moves."
    )


def sample_cells(
    bags: Sequence[Bag], input_name: str, capacity: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a uniform sample of the usable cells of all bags: vectors (N, D), places (N, 2).

    Places come from `locations`: shape (N, 0) for plain vectors.

    Raises:
        StoreError: no bag has a cell, or bags disagree on the length of vectors.
    """
    vectors_ND, places_N2, _ = sample_sides([bags], input_name, capacity, generator)
    return vectors_ND, places_N2


def sample_sides(
    sides: Sequence[Sequence[Bag]],
    input_name: str,
    capacity: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]:
    """Return what `sample_cells` does, of all sides together, and the side of each vector: (N,).

    Raises:
        StoreError: no bag has a cell, or bags disagree on the length of vectors.
    """
    reservoir = Reservoir(capacity, generator)
    dimension: int | None = None
    for side, bags in enumerate(sides):
        for cells in usable_cells(bags, input_name, dimension):
            dimension = cells.values_ND.shape[1]
            side_N1 = np.full((len(cells.values_ND), 1), side, dtype=np.float32)
            reservoir.add(np.concatenate([cells.values_ND, locations(cells), side_N1], axis=1))
    if reservoir.n_seen == 0:
        raise nothing_to_learn([bag for bags in sides for bag in bags])
    sample_NE = reservoir.sample()
    vectors_ND, places_N2 = sample_NE[:, :dimension], sample_NE[:, dimension:-1]
    return vectors_ND, places_N2, sample_NE[:, -1].astype(np.int16)
