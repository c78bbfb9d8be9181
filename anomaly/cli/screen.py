"""What people see: tables and JSON on stdout, progress and complaints on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from anomaly.fanout import FanOut, Item, Result

ERRORS = Console(stderr=True)


def start_logging() -> None:
    """Send log lines of the library to stderr."""
    logger = logging.getLogger("anomaly")
    if not logger.handlers:
        logger.addHandler(RichHandler(console=ERRORS, show_path=False, show_time=False))
        logger.setLevel(logging.INFO)


def with_progress(fan_out: FanOut) -> FanOut:
    """Return `fan_out` with a progress bar on stderr; quiet when that is not a terminal."""

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if not items or not ERRORS.is_terminal:
            yield from fan_out(function, items, label=label)
            return
        with _bar() as progress:
            task = progress.add_task(label, total=len(items))
            for result in fan_out(function, items, label=label):
                progress.advance(task)
                yield result

    return run


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def show(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print plain values: as JSON, or for people to read."""
    (print_json if as_json else print_facts)(facts)


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys as a table on stdout."""
    if not rows:
        click.echo(f"{title}: none")
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row.values()])
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print plain values, one a line, nested ones indented."""
    for line in _lines(facts):
        click.echo(line)


def print_troubled(troubled: Sequence[Mapping[str, Any]]) -> None:
    """List videos that gave nothing, with their reasons, on stderr."""
    for one in troubled:
        text = f"{one['status']}: {one['video']} ({one['code']}): {one['message']}"
        click.echo(" ".join(text.split()), err=True)


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
    )


def _lines(value: Any, indent: int = 0) -> Iterator[str]:
    pad = "  " * indent
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, (Mapping, list)) and inner:
                yield f"{pad}{key}:"
                yield from _lines(inner, indent + 1)
            else:
                yield f"{pad}{key}: {_cell(inner)}"
    elif isinstance(value, list) and all(isinstance(inner, float) for inner in value):
        yield pad + " ".join(_cell(inner) for inner in value)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping):
                yield pad + ", ".join(f"{key} {_cell(cell)}" for key, cell in inner.items())
            else:
                yield f"{pad}{_cell(inner)}"
    else:
        yield f"{pad}{_cell(value)}"


def _cell(value: Any) -> str:
    if value is None or value in ({}, []):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
