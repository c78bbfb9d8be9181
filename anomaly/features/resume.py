"""Going on with a video whose extraction was killed: only what is missing is forwarded and written.

The video is decoded from its start again. Frames whose vectors are stored pass by; the backbone is given
those from `Backbone.restart_row` on, and what comes out for stored rows once more is dropped. So the group
comes out bit for bit as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomaly.features import Backbone, FeatureBlock
from anomaly.storage import Root
from anomaly.video import FrameBatch

if TYPE_CHECKING:
    from anomaly.features.gate import Gated
    from anomaly.features.store import FeatureWriter


@dataclass(frozen=True)
class LeftOver:
    """What a writer left behind that can be used."""

    offsets_S: NDArray[np.int64]
    """of the cells of whole rows, whose vectors are all stored"""
    grid: tuple[int, int] | None
    n_stored: dict[str, int]
    """entries in whole chunks, by array"""
    dimension: int

    @property
    def n_rows(self) -> int:
        """Whole rows."""
        return len(self.offsets_S) - 1


def left_over(
    root: Root, key: str, chunk_bytes: Callable[[str], int], grid: tuple[int, int] | None
) -> LeftOver | None:
    """Return what can be used of an incomplete group; None when there is no whole row.

    Args:
        root: where it lies.
        key: of the group.
        chunk_bytes: how large chunks are, by name of the array.
        grid: of the backbone.
    """
    import zarr

    with root.translated_errors(key):
        arrays = {
            name: zarr.open_array(root.zarr_store(f"{key}/{name}"), mode="r")
            for name in root.folders(key)
            if root.exists(f"{key}/{name}/zarr.json")
        }
        n_stored = {
            name: _whole_chunks(array, chunk_bytes(name)) for name, array in arrays.items()
        }
    n_cells = n_stored.get("features", 0)
    if grid is None:
        counts_T = np.ones(n_cells, dtype=np.int64)
    else:
        counts_T = _counts(root, key)
        n_cells = min(n_cells, n_stored.get("place", 0))
    offsets_S = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts_T, dtype=np.int64)])
    n_rows = int(np.searchsorted(offsets_S, n_cells, side="right")) - 1
    if n_rows == 0:
        return None
    dimension = int(arrays["features"].shape[1])
    return LeftOver(offsets_S[: n_rows + 1], grid, n_stored, dimension)


def _whole_chunks(array: Any, chunk_bytes: int) -> int:
    """Return how many entries are stored in chunks of the usual size that can be read."""
    chunk = array.chunks[0]
    row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    if chunk != max(1, chunk_bytes // max(1, row_bytes)):
        return 0  # the only chunk of a short array, sized by an end that was never reached
    for begin in range(0, array.shape[0] // chunk * chunk, chunk):
        try:
            entries = np.asarray(array[begin : begin + chunk])
        except (RuntimeError, ValueError):  # what a codec says of half a chunk
            return begin
        lost = np.isnan(entries) if entries.dtype.kind == "f" else entries == array.fill_value
        if lost.any():
            return begin
    return int(array.shape[0] // chunk * chunk)


def save_counts(root: Root, key: str, first_row: int, counts_T: NDArray[np.int64]) -> None:
    """Put down how many cells the rows from `first_row` on have, until the group is complete."""
    root.publish(f"{key}/progress/{first_row:012}", counts_T.astype("<i8").tobytes())


def forget_counts(root: Root, key: str) -> None:
    """Remove what `save_counts` has put down."""
    root.delete(f"{key}/progress")


def _counts(root: Root, key: str) -> NDArray[np.int64]:
    counts_T = np.empty(0, dtype=np.int64)
    for name in root.keys(f"{key}/progress"):
        first_row = int(name.rsplit("/", 1)[-1])
        if first_row <= len(counts_T):
            found_T = np.frombuffer(root.read(name) or b"", dtype="<i8")
            counts_T = np.concatenate([counts_T[:first_row], found_T])
    return counts_T


class GoingOn:
    """A backbone that starts where its writer left off."""

    def __init__(self, backbone: Backbone | Gated, writer: FeatureWriter) -> None:
        self._backbone = backbone
        self._writer = writer

    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        """Yield the features of the rows that the writer lacks; tell it the times of the others."""
        stored = self._writer.n_rows
        start = row = self._backbone.restart_row(stored) if stored else 0
        for block in self._backbone.extract(self._from_row(start, stored, batches)):
            if row + len(block) > stored:
                yield block if row >= stored else block.rows(stored - row, len(block))
            row += len(block)

    def _from_row(
        self, start: int, stored: int, batches: Iterable[FrameBatch]
    ) -> Iterator[FrameBatch]:
        row = 0
        for batch in batches:
            if row < stored:
                known = slice(0, stored - row)
                self._writer.append_times(batch.index_B[known], batch.seconds_B[known])
            if row + len(batch) > start:
                rest = slice(max(0, start - row), None)
                yield FrameBatch(
                    batch.pixels_BHWC[rest], batch.index_B[rest], batch.seconds_B[rest]
                )
            row += len(batch)
