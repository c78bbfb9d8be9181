"""Code blocks of Markdown pages, and how what they show is compared with what happens.

A block says by its language what is done with it:

    console   each `$ command` is run, and what follows is what it prints; `...` stands for any lines
    bash      the whole block is run and must succeed
    sql       asked with `anomaly query`; where a block `text` follows, that is the answer, to the letter,
              on the root of `tests.docs.example`
    python    see the page's own test

A comment `<!-- not run: why -->` before a block takes it out, for what needs the world outside.
"""

from __future__ import annotations

import doctest
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    r"(?=(?:\n\n```text\n(?P<answer>.*?)^```$)?)",
    re.MULTILINE | re.DOTALL,
)
_FRAMES = re.compile(r"[\u2500-\u257f]+")
_DIGITS = re.compile(r"\d+(\.\d+)?")
_DIGESTS = re.compile(r"\b[0-9a-f]{8,}\b")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str
    """why it cannot be run; empty when it is"""
    answer: str = ""
    """what the page says that a query answers; empty: nothing"""

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console block, each with what it prints."""
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, shown = found.pop()
                found.append((command, f"{shown}{line}\n"))
        return found


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page that name a language, in order."""
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            match["why"] or "",
            (match["answer"] or "") if match["language"] == "sql" else "",
        )
        for match in _BLOCK.finditer(text)
    ]


def agrees(shown: str, printed: str) -> bool:
    """Say whether a page shows what was printed, numbers and the widths of tables apart.

    Scores differ in late digits between processors, and a checkpoint's name is a digest of them.
    """
    return doctest.OutputChecker().check_output(
        _words(shown), _words(printed), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )


def _words(text: str) -> str:
    text = _FRAMES.sub(" ", _DIGESTS.sub("#", text))
    return " ".join(_DIGITS.sub("0", text).split()) + "\n"
