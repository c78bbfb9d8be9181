"""`query`: ask the tables of a root a question in SQL, with DuckDB.

The views are defined once, in `views.sql` beside this file (`infra/duckdb/views.sql` links to it). A
query can read the root and nothing else, and can write nothing.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Literal, TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly.errors import SpecError, StoreError
from anomaly.storage import Root, open_root
from anomaly.storage.objects import ObjectRoot
from anomaly.verbs.look import init_root

Form = Literal["table", "csv", "json", "parquet"]

VIEWS = (
    "scores",
    "current_scores",
    "events",
    "current_events",
    "catalog",
    "evaluations",
    "runs",
    "verdicts",
)
_ALWAYS_THERE = "catalog/archive=_/videos.parquet"
_ROOT = "getvariable('root')"
"""how `views.sql` names the root"""
_NOT_THERE = "No files found"
_ROWS_SHOWN = 1000


def query(root: Root, sql: str) -> pa.Table:
    """Return the answer to one SELECT over the root's views.

    Raises:
        SpecError: the SQL is wrong, is not one reading statement, or reaches outside the root.
        StoreError: a table of the root cannot be read.
    """
    with connect(root) as connection:
        try:
            _check_reads_only(connection, sql)
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise _explained(error, root, sql) from error


@contextlib.contextmanager
def connect(root: Root) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB with the views of `root`; it can read the root and nothing else.

    A root that holds nothing yet answers with empty tables; nothing is written to it.
    """
    with contextlib.ExitStack() as stack:
        if not root.exists(_ALWAYS_THERE):
            root = stack.enter_context(_empty_root())
        connection = stack.enter_context(duckdb.connect())
        if isinstance(root, ObjectRoot):
            connection.register_filesystem(root.fs)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET VARIABLE root = $url", {"url": root.url})
        urls = [root.url]
        for view in connection.extract_statements(_views()):
            try:
                connection.execute(view)
            except duckdb.Error as error:
                if _NOT_THERE not in str(error):
                    raise _explained(error, root, view.query) from error
                # an earlier version made this root: a table that it did not know is empty
                nowhere = stack.enter_context(_empty_root())
                connection.execute(view.query.replace(_ROOT, _quoted(nowhere.url)))
                urls.append(nowhere.url)
        _lock(connection, urls)
        yield connection


def _views() -> str:
    return files("anomaly.verbs").joinpath("views.sql").read_text()


@contextlib.contextmanager
def _empty_root() -> Iterator[Root]:
    with tempfile.TemporaryDirectory() as folder:
        root = open_root(folder)
        init_root(root)
        yield root


def _lock(connection: duckdb.DuckDBPyConnection, urls: Iterable[str]) -> None:
    folders = ", ".join(_quoted(f"{url}/") for url in urls)
    connection.execute(f"SET allowed_directories = [{folders}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET python_enable_replacements = false")  # our variables are no tables
    connection.execute("SET lock_configuration = true")


def _check_reads_only(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    reading = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in reading:
        found = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise SpecError(
            f"A query is one statement that reads (SELECT, DESCRIBE, EXPLAIN), found {found}. "
            "To write results, print them with --format csv or parquet."
        )


def write_answer(table: pa.Table, form: Form = "table", file: TextIO | None = None) -> None:
    """Write an answer to `file` (standard output by default) as text or, for parquet, as bytes.

    `table` draws a box and stops after 1,000 rows; csv, json and parquet hold every row. In json, NaN
    and infinite numbers are null.
    """
    out = sys.stdout if file is None else file
    if form == "parquet":
        if out.isatty():
            raise SpecError(
                "Parquet is not for a terminal: redirect it, as in `... > answer.parquet`."
            )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        out.buffer.write(sink.getvalue())
    elif form == "json":
        rows = [
            {name: _plain(value) for name, value in row.items()} for row in table.to_pylist()
        ]
        out.write(json.dumps(rows, indent=2, default=str) + "\n")
    elif form == "csv":
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(table.column_names)
        lines.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    else:
        out.write(_box(table) + "\n")


def _box(table: pa.Table) -> str:
    width = shutil.get_terminal_size((10_000, 24)).columns
    with duckdb.connect() as connection, contextlib.redirect_stdout(io.StringIO()) as text:
        connection.from_arrow(table).show(max_width=width, max_rows=_ROWS_SHOWN)
    return text.getvalue().rstrip("\n")


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _explained(error: duckdb.Error, root: Root, sql: str) -> SpecError | StoreError:
    """Tell a wrong question from tables that cannot be read."""
    told = str(error)
    parquet = isinstance(error, duckdb.IOException | duckdb.InvalidInputException)
    if (parquet and ".parquet" in told) or "source column content" in told:  # our JSON files
        return StoreError(f"Cannot read the tables of {root.url}: {_one_line(error)}")
    return SpecError(f"SQL {sql.strip()!r}: {_one_line(error)} Views: {', '.join(VIEWS)}.")


def _one_line(error: duckdb.Error) -> str:
    """Return DuckDB's message without the drawing of where in the text it stands."""
    return " ".join(str(error).split("\n\nLINE ")[0].split())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
