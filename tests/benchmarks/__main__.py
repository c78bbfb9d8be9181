"""Measures and writes docs/measured.md: `python -m tests.benchmarks [NAME ...]`, all without names.

A benchmark is one file with a function `measure()` that returns its rows; its docstring heads the section.
Naming some writes only their sections anew; NAME.PART, where `measure` takes a part, only those rows of the
section. Each section says when, at which commit and on how many cores.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import ModuleType

from tests.benchmarks.harness import REPOSITORY, Figure, MissingDataError, cores

PAGE = REPOSITORY / "docs" / "measured.md"
BENCHMARKS = (
    "demo",
    "accuracy",
    "one_class",
    "weak_labels",
    "mil_training",
    "honest_split",
    "evaluation",
    "two_cameras",
    "no_peeking",
    "second_night",
    "odd_videos",
    "storage",
    "throughput",
    "extraction",
    "numerics",
    "memory",
    "scoring",
    "pixel_models",
    "products",
    "start_up",
)
HEAD = """# Measured

<!-- Written by `make bench`; `python -m tests.benchmarks demo` writes the section `demo` alone. -->

Times include start-up, and were taken on a small machine: trust ratios more than seconds. AUC is
`frame_auc_micro` in percent over every frame of all test clips, with a 95 % interval over clips. The real
videos lie in `../shared/data`, beside the checkout; where they are missing, the row says so.
"""
_SECTION = re.compile(r"^<!-- (\w+) -->\n(.*?)^<!-- end -->\n", re.MULTILINE | re.DOTALL)

_ROW = re.compile(r"^\| (?!What)[^\n]*\n", re.MULTILINE)


def main(names: list[str]) -> None:
    """Measure the named benchmarks, or all, and write their sections after each."""
    unknown = {name.partition(".")[0] for name in names} - set(BENCHMARKS)
    if unknown:
        sys.exit(
            f"No benchmark named {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}."
        )
    for name in names or BENCHMARKS:
        print(f"{name} ...", flush=True)
        begun = time.monotonic()
        name, _, part = name.partition(".")  # noqa: PLW2901
        text = section(importlib.import_module(f"tests.benchmarks.{name}"), part)
        write(name, with_rows_of(written().get(name, ""), text) if part else text)
        print(text, f"took {time.monotonic() - begun:.0f} s\n", flush=True)


def section(module: ModuleType, part: str = "") -> str:
    """Measure, all or one part, and return the section as Markdown."""
    lines = (module.__doc__ or "").strip().splitlines()
    try:
        figures: list[Figure] = module.measure(*filter(None, [part]))
    except MissingDataError as error:
        figures = [Figure(lines[0].rstrip("."), f"not measured: {error}")]
    rows = [
        "| "
        + " | ".join((f.what, f.measured, f.goal, f"`{f.command}`" if f.command else ""))
        + " |"
        for f in figures
    ]
    cores_here = "1 core" if cores() == 1 else f"{cores()} cores"
    when = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {cores_here}"
    head = [
        f"## {lines[0].rstrip('.')}",
        "",
        *[part for part in ["\n".join(lines[2:]), ""] if lines[2:]],
    ]
    table = ["| What | Measured | Goal | Command |", "|---|---|---|---|", *rows]
    return "\n".join([*head, *table, "", f"*{when}*", ""])


def with_rows_of(old: str, new: str) -> str:
    """Return the new section with those rows of the old one that it does not measure again."""
    kept = {row.split(" | ")[0]: row for row in _ROW.findall(old)}
    again = {row.split(" | ")[0]: row for row in _ROW.findall(new)}
    rows = "".join({**kept, **again}.values())
    return new.replace("".join(again.values()), rows)


def written() -> dict[str, str]:
    """Return the sections of the page."""
    return dict(_SECTION.findall(PAGE.read_text())) if PAGE.exists() else {}


def write(name: str, text: str) -> None:
    """Put one section into the page, in the order of the benchmarks."""
    found = written()
    found[name] = text
    parts = [f"<!-- {n} -->\n{found[n]}<!-- end -->\n" for n in BENCHMARKS if n in found]
    PAGE.write_text("\n".join([HEAD, *parts]))


def commit() -> str:
    """Return the commit of the checkout, and whether the package differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "anomaly") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


if __name__ == "__main__":
    main(sys.argv[1:])
