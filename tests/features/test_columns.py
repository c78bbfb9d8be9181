"""Arrays of a group: written as Zarr itself writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, TransposeCodec

from anomaly.features.columns import GrowingColumn
from anomaly.storage import open_root


def written_by_zarr(folder: Path, entries: np.ndarray, chunk_entries: int) -> None:
    is_float = entries.dtype.kind == "f"
    array = zarr.create_array(
        str(folder),
        shape=entries.shape,
        chunks=(chunk_entries, *entries.shape[1:]),
        dtype=entries.dtype,
        filters=[TransposeCodec(order=(1, 0))] if entries.ndim == 2 else None,
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        fill_value=np.nan if is_float else np.iinfo(entries.dtype).max,
    )
    array[:] = entries


@pytest.mark.parametrize("n_entries", [0, 1, 9, 10, 25])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "int64", "uint8"])
@pytest.mark.parametrize("rest", [(), (6,), (3, 4)])
def test_files_are_those_that_zarr_writes(
    tmp_path: Path, n_entries: int, dtype: str, rest: tuple[int, ...]
) -> None:
    entries = np.random.default_rng(0).integers(0, 9, (n_entries, *rest)).astype(dtype)
    chunk_bytes = 10 * entries.itemsize * int(np.prod(rest))
    column = GrowingColumn(
        open_root(str(tmp_path)), "ours", chunk_bytes=chunk_bytes, check=lambda: None
    )
    for start in range(0, max(1, n_entries), 4):
        column.append(entries[start : start + 4])
    metadata = column.finish()
    # An array that fits into one chunk is one chunk of its own length.
    chunk_entries = 10 if n_entries >= 10 else max(1, n_entries)
    written_by_zarr(tmp_path / "zarr", entries, chunk_entries)
    ours, theirs = (
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder)}
        for folder in (tmp_path / "ours", tmp_path / "zarr")
    )
    told = json.loads(theirs.pop("zarr.json"))
    assert json.loads(ours.pop("zarr.json")) == told == metadata
    assert ours == theirs
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "ours"))[:], entries)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
