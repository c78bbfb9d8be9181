"""One vector for each row of a video, whatever its backbone gives: what sequence models read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.features import FeatureBlock, vector_block
from anomaly.training.sampling import checked
from anomaly.windows.bags import Bag


def row_vectors(
    bag: Bag, block: FeatureBlock, dimension: int | None = None
) -> NDArray[np.float32]:
    """Return one vector a row, shape (T, D); a plain vector stays as it is.

    A grid is described by the mean and the maximum over its cells and the share of active cells;
    a row without any is all zeros.

    Raises:
        StoreError: rows are not of length `dimension`, or hold numbers that are not finite.
    """
    cells = checked(block, bag)
    vectors_TD = cells.pooled_TD()
    if cells.grid is not None:
        highest_TD = np.full_like(vectors_TD, -np.inf)
        np.maximum.at(highest_TD, cells.row_N, cells.values_ND)
        active_T = np.diff(cells.offsets_S)
        highest_TD[active_T == 0] = 0.0
        share_T = (active_T / np.prod(cells.grid)).astype(np.float32)
        vectors_TD = np.concatenate([vectors_TD, highest_TD, share_T[:, None]], axis=1)
    if dimension is not None and vectors_TD.shape[1] != dimension:
        raise StoreError(
            f"Rows of {bag.video!r} have {vectors_TD.shape[1]} dimensions, expected {dimension} "
            "as in the videos that the detector learnt from. Use features of one recipe."
        )
    return vectors_TD


View = Literal["vectors", "changes", "both", "amount"]
"""What a network sees of a row: its vector, how much each entry changed since the row before, both, or one
number alone: how much they changed on average"""


@dataclass(frozen=True)
class Changes:
    """The rows of one input with their changes, as a source of plain vectors; row 0 has not changed."""

    bag: Bag
    input_name: str
    view: View

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return self.bag.sources[self.input_name].n_rows

    @property
    def dimension(self) -> int:
        """Length D of each vector of the input, twice that, or 1."""
        if self.view == "amount":
            return 1
        return self.bag.sources[self.input_name].dimension * (1 + (self.view == "both"))

    @property
    def grid(self) -> None:
        """There are no cells."""

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open."""
        first = max(start - 1, 0)
        block = self.bag.read(self.input_name, first, stop)
        vectors_TD = row_vectors(self.bag, block)
        changes_TD = np.abs(np.diff(vectors_TD, axis=0, prepend=vectors_TD[:1]))
        if self.view == "both":
            changes_TD = np.concatenate([vectors_TD, changes_TD], axis=1)
        if self.view == "amount":
            changes_TD = changes_TD.mean(axis=1, keepdims=True)
        asked = slice(start - first, stop - first)
        return vector_block(block.index_T[asked], block.seconds_T[asked], changes_TD[asked])


def seen_as(view: View, bag: Bag) -> Bag:
    """Return the bag as a network with this view sees it."""
    if view == "vectors":
        return bag
    sources = {name: Changes(bag, name, view) for name in bag.sources}
    return replace(bag, sources=sources)
