"""Tables as bytes."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from anomaly import parquet

TABLE = pa.table({"video": ["a", "b", "b"], "score": [0.5, None, 2.0]})

READ_IN_A_PROCESS_OF_ITS_OWN = """
import os
from anomaly import parquet
import pyarrow as pa
data = parquet.encoded(pa.table({str(n): list(range(5000)) for n in range(20)}))
before = len(os.listdir("/proc/self/task"))
parquet.decoded(data)
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_a_table_comes_back_as_it_was_written() -> None:
    assert parquet.decoded(parquet.encoded(TABLE)).equals(TABLE)
    assert parquet.decoded(parquet.encoded(TABLE), ["score"]).equals(TABLE.select(["score"]))


def test_what_stands_beside_the_schema_is_read_without_the_rows() -> None:
    assert parquet.metadata(parquet.encoded(TABLE)) == {}
    marked = TABLE.replace_schema_metadata({b"by": b"us"})
    assert parquet.metadata(parquet.encoded(marked)) == {b"by": b"us"}


def test_bytes_of_something_else_and_missing_columns_are_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        parquet.decoded(b"not a table")
    with pytest.raises(KeyError, match="frame"):
        parquet.decoded(parquet.encoded(TABLE), ["video", "frame"])


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_reading_starts_no_threads_that_could_outlive_the_interpreter() -> None:
    told = subprocess.run(
        [sys.executable, "-c", READ_IN_A_PROCESS_OF_ITS_OWN], capture_output=True, check=True
    )
    assert told.stdout.strip() == b"0"
