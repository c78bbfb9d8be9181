"""The arrays of a group of features: how they grow on disk, and how stretches of them are read.

They are plain Zarr v3. Zarr reads them; chunks are encoded and written here, because Zarr's own way of
writing, made for many chunks at once, takes 4 ms for each of the eight small arrays of a short video (an
eighth of the time in which `motion` describes ten seconds of it) and keeps memory in each of its threads.
A test holds what is written here against what Zarr writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.memory import give_back
from anomaly.storage import Root

_COMPRESSION = {"cname": "zstd", "clevel": 3}
"""level 5 takes two and a half times as long and saves a twelfth of the bytes"""


class GrowingColumn:
    """One array that grows by whole chunks, so that no chunk is ever written twice."""

    def __init__(
        self, root: Root, key: str, *, chunk_bytes: int, check: Callable[[], None]
    ) -> None:
        """Begin an array below `key`; `check` raises when it may not be written any more."""
        self.root, self.key = root, key
        self.chunk_bytes, self.check = chunk_bytes, check
        self.chunk: NDArray[Any] | None = None
        """the next chunk, of which `n_waiting` entries are known: small arrays kept until then would leave
        the heap in pieces"""
        self.n_waiting = 0
        self.n_stored = 0
        self.n_known = 0
        """entries still to be told that are stored already"""
        self.just_stored = False
        """whether the last append has filled a chunk"""

    def go_on(self, n_stored: int, *, told_from: int) -> None:
        """Keep the first `n_stored` entries that an earlier writer put down; others will be told."""
        self.n_stored = n_stored
        self.n_known = n_stored - told_from

    def append(self, rows: NDArray[Any]) -> None:
        """Take the next entries."""
        known = min(self.n_known, len(rows))
        self.n_known -= known
        before = self.n_stored
        self._wait(rows[known:])
        self.just_stored = self.n_stored > before

    def _wait(self, rows: NDArray[Any]) -> None:
        if self.chunk is None:
            chunk_rows = max(1, self.chunk_bytes // entry_bytes(rows))
            self.chunk = np.empty((chunk_rows, *rows.shape[1:]), rows.dtype)
        while len(rows):
            free = self.chunk[self.n_waiting :]
            taken = rows[: len(free)]
            free[: len(taken)] = taken
            rows = rows[len(taken) :]
            self.n_waiting += len(taken)
            if self.n_waiting == len(self.chunk):
                self.check()
                self._write(self.chunk)
                give_back()

    def finish(self) -> dict[str, Any]:
        """Write what waits, and return the array's metadata."""
        chunk, self.chunk = self.chunk, None
        if chunk is None:  # an earlier writer has stored everything
            return dict(self.root.read_json(f"{self.key}/zarr.json"))
        if self.n_stored == 0:  # a short array is one chunk of its own size
            chunk = chunk[: max(1, self.n_waiting)]
        if self.n_waiting or self.n_stored == 0:
            self._write(chunk)
        return array_metadata(self.n_stored, chunk)

    def _write(self, chunk: NDArray[Any]) -> None:
        """Write a chunk, then that it is there; Zarr wants the last one filled up."""
        if self.n_waiting:
            chunk[self.n_waiting :] = _fill_value(chunk.dtype)
            number = self.n_stored // len(chunk)
            place = "/".join(["c", str(number), *("0" for _ in chunk.shape[1:])])
            self.root.write(f"{self.key}/{place}", _encoded(chunk))
        self.n_stored += self.n_waiting
        self.n_waiting = 0
        metadata = json.dumps(array_metadata(self.n_stored, chunk)).encode()
        self.root.write(f"{self.key}/zarr.json", metadata)


class Column:
    """Reads stretches of one array, keeping the chunks that the last one touched."""

    def __init__(self, root: Root, key: str, array: Any) -> None:
        self.root, self.key, self.array = root, key, array
        self.start = self.stop = 0
        self.kept = np.empty((0, *array.shape[1:]), dtype=array.dtype)

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Return entries `first` to `last`; the caller must not write to them."""
        if first < self.start or last > self.stop:
            self._move(first, last)
        return self.kept[first - self.start : last - self.start]

    def _move(self, first: int, last: int) -> None:
        chunk = self.array.chunks[0]
        begin, end = first // chunk * chunk, min(-(-last // chunk) * chunk, self.array.shape[0])
        overlaps = self.start <= begin < self.stop < end
        missing = self._load(self.stop if overlaps else begin, end)
        kept = self.kept[begin - self.start :]
        self.kept = np.concatenate([kept, missing]) if overlaps else missing
        self.start, self.stop = begin, end

    def _load(self, begin: int, end: int) -> NDArray[Any]:
        with self.root.translated_errors(self.key):
            loaded = np.asarray(self.array[begin:end])
        lost = np.isnan(loaded) if loaded.dtype.kind == "f" else loaded == self.array.fill_value
        if lost.any():
            raise StoreError(
                f"{self.root.address(self.key)}/{self.array.basename} has lost stored data between "
                f"{begin} and {end}. Delete the folder; the next extraction writes it anew."
            )
        return loaded


def entry_bytes(rows: NDArray[Any]) -> int:
    """Return the bytes of one entry of an array."""
    return max(1, rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64)))


def array_metadata(n_entries: int, chunk: NDArray[Any]) -> dict[str, Any]:
    """Return the metadata of a Zarr v3 array of `n_entries` in chunks like this one."""
    fill = _fill_value(chunk.dtype)
    size = chunk.dtype.itemsize
    number = {"name": "bytes", **({"configuration": {"endian": "little"}} if size > 1 else {})}
    blosc = {**_COMPRESSION, "typesize": size, "shuffle": "shuffle", "blocksize": 0}
    # Column after column compresses a fifth better than row after row.
    turned = [{"name": "transpose", "configuration": {"order": [1, 0]}}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [n_entries, *chunk.shape[1:]],
        "data_type": chunk.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN" if np.isnan(fill) else int(fill),
        "codecs": [
            *(turned if chunk.ndim == 2 else []),
            number,
            {"name": "blosc", "configuration": blosc},
        ],
        "attributes": {},
        "storage_transformers": [],
    }


def _encoded(chunk: NDArray[Any]) -> bytes:
    from numcodecs.blosc import SHUFFLE, Blosc

    ordered = np.ascontiguousarray(chunk.T if chunk.ndim == 2 else chunk)
    return bytes(Blosc(**_COMPRESSION, shuffle=SHUFFLE).encode(ordered))


def _fill_value(dtype: np.dtype[Any]) -> float | int:
    """Return what stands for lost data: nothing that is ever stored."""
    return float("nan") if dtype.kind == "f" else int(np.iinfo(dtype).max)
