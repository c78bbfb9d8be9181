"""The page of queries: every query answers what the page says, to the letter."""

from __future__ import annotations

import io
import re

import duckdb
import pytest

from anomaly.storage import Root
from anomaly.verbs.query import query, write_answer
from tests.docs.blocks import REPOSITORY, Block, blocks
from tests.docs.example import make_example

PAGE = REPOSITORY / "docs" / "how-to" / "query-with-duckdb.md"
QUERIES = [block for block in blocks(PAGE) if block.answer]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return make_example(str(tmp_path_factory.mktemp("example")))


def test_there_are_twenty_and_they_are_counted_right():
    numbers = re.findall(r"^\*\*(\d+)\. ", PAGE.read_text(), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 21)]
    assert len(QUERIES) == 20
    assert all(block.answer for block in blocks(PAGE) if block.language == "sql")


@pytest.mark.parametrize("block", QUERIES, ids=range(1, len(QUERIES) + 1))
def test_a_query_answers_what_the_page_says(root: Root, block: Block, monkeypatch):
    monkeypatch.setenv("COLUMNS", "118")
    printed = io.StringIO()
    write_answer(query(root, block.text), "table", printed)
    assert printed.getvalue() == block.answer, block.name


@pytest.fixture(scope="module")
def plain(root: Root) -> duckdb.DuckDBPyConnection:
    """A DuckDB that knows nothing of us but the file of views."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET VARIABLE root = $url", {"url": root.url})
    connection.execute((REPOSITORY / "infra" / "duckdb" / "views.sql").read_text())
    return connection


@pytest.mark.parametrize("block", QUERIES, ids=range(1, len(QUERIES) + 1))
def test_a_plain_duckdb_answers_the_same(root: Root, plain, block: Block):
    assert plain.sql(block.text).to_arrow_table().equals(query(root, block.text))
