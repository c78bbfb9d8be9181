"""The reference says what the source says."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.blocks import REPOSITORY
from tests.docs.reference import FOLDER, MEANINGS, pages


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_up_to_date(name):
    assert (FOLDER / name).read_text() == pages()[name], "run python -m tests.docs.reference"


def test_every_explained_column_exists():
    text = (FOLDER / "tables.md").read_text()
    for table, columns in MEANINGS.items():
        for column in columns:
            assert f"| {column} |" in text, f"{table}.{column}"


def test_every_reason_code_of_the_source_is_explained():
    documented = set(
        re.findall(r"^\| `(\w+)` \|", (FOLDER / "codes.md").read_text(), re.MULTILINE)
    )
    assert codes_in_source() <= documented


def codes_in_source() -> set[str]:
    """First arguments of errors about videos, and `code=` of outcomes."""
    found = set()
    for path in (REPOSITORY / "anomaly").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [k.value for k in node.keywords if k.arg == "code"]
            if name in {"VideoError", "DecoderDied"}:
                given += node.args[:1]
            if name in {"VideoError", "DecoderDied", "Outcome", "replace"}:
                found |= {a.value for a in given if isinstance(a, ast.Constant) and a.value}
    return found


def test_the_codes_are_found_in_the_source():
    assert {"empty", "hang", "frames_lost"} <= codes_in_source()
