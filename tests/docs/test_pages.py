"""What README and docs show is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, REPOSITORY, Block, agrees, blocks

pytestmark = pytest.mark.slow  # the demo runs once

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_type_works_and_prints_what_it_shows(page, request):
    told = [
        b
        for b in blocks(page)
        if b.language in {"console", "bash", "sql"} and not b.not_run and not b.answer
    ]
    if not told:
        pytest.skip("nothing to type")
    demo, shell = request.getfixturevalue("demo"), request.getfixturevalue("shell")
    for block in told:
        for command, shown in typed(block):
            if command.startswith("anomaly demo"):  # a second one would take its time again
                printed = demo.printed
            else:
                done = shell(command)
                assert done.returncode == 0, f"{block.name}: {command}\n{done.stderr}"
                printed = done.stdout
            assert agrees(shown, printed), (
                f"{block.name}: {command}\nshown:\n{shown}\nprinted:\n{printed}"
            )


def typed(block: Block) -> list[tuple[str, str]]:
    """Return what a reader types, each with what the page says that it prints."""
    if block.language == "console":
        return block.commands
    command = block.text
    if block.language == "sql":
        command = f"anomaly query {shlex.quote(command)}"
    return [(command, "...\n")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in _LINK.findall(page.read_text()):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, (
                f"{name_of(page)} links to {target}#{anchor}; there are {slugs}"
            )


def test_every_page_is_reached_from_the_index():
    index = REPOSITORY / "docs" / "index.md"
    linked = {
        (index.parent / target).resolve()
        for target, _ in _LINK.findall(index.read_text())
        if target
    }
    missing = [name_of(page) for page in PAGES[1:] if page not in linked | {index}]
    assert not missing


def test_the_readme_shows_code_before_line_25():
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    assert any(line.startswith("```") for line in lines[:24])
