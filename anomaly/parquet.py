"""Parquet files as bytes: read by the calling thread alone, written small.

Arrow's reader threads may hold the last reference to Python's bytes when the interpreter ends, and abort
the process then ("terminate called without an active exception", Arrow issues 34314 and 50482). The bytes
of an object in the root are Python's, so they are never given to those threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def decoded(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table in `data`, all its columns or those named.

    Raises:
        pa.ArrowInvalid: the bytes are not a Parquet file.
        KeyError: a column is missing.
    """
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    missing = set(columns or ()) - set(file.schema_arrow.names)
    if missing:
        raise KeyError(f"no column {', '.join(sorted(missing))}")
    return file.read(columns=columns, use_threads=False)


def metadata(data: bytes) -> dict[bytes, bytes]:
    """Return what was written beside the schema of the table in `data`; no rows are read."""
    return pq.read_schema(pa.BufferReader(data)).metadata or {}


def encoded(table: pa.Table, **options: Any) -> bytes:
    """Return `table` as a Parquet file; `options` are those of `pyarrow.parquet.write_table`."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", **options)
    return sink.getvalue().to_pybytes()
