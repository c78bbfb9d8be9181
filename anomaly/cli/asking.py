"""Questions to the root: query, list, show, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from anomaly.cli import screen
from anomaly.cli.verb import verb
from anomaly.storage import open_root

if TYPE_CHECKING:
    from anomaly.verbs.query import Form


@verb(
    click.argument("sql"),
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "csv", "json", "parquet"]),
        default="table",
        show_default=True,
        help="how to print the answer",
    ),
    archive=False,
)
def query(root: str, *, sql: str, form: Form, as_json: bool) -> None:
    """Ask DuckDB: views scores, events (and current_...), catalog, evaluations, runs, verdicts."""
    from anomaly.verbs.query import query as run
    from anomaly.verbs.query import write_answer

    write_answer(run(open_root(root), sql), "json" if as_json else form)


@verb(click.argument("kind", required=False, default=""), archive=False)
def list_(root: str, *, kind: str, as_json: bool) -> None:
    """Names of backbones, detectors, decoders, metrics, archives, checkpoints, bad files."""
    from anomaly.verbs.listing import list_things

    things = list_things(open_root(root), kind)
    screen.show(things, as_json=as_json)


@verb(
    click.argument("kind"),
    click.argument("name"),
    click.option(
        "--dimension",
        default=0,
        type=click.IntRange(min=0),
        metavar="D",
        help="of a detector: how many numbers its network learns for vectors of this length",
    ),
    archive=False,
)
def show(root: str, *, kind: str, name: str, dimension: int, as_json: bool) -> None:
    """What is known of one checkpoint, detector, backbone or video."""
    from anomaly.verbs.listing import show as run

    facts = run(open_root(root), kind, name, dimension)
    screen.show(facts, as_json=as_json)


@verb(archive=False)
def doctor(root: str, *, as_json: bool) -> None:
    """Versions, devices, and whether the root can be written."""
    from anomaly.verbs.listing import doctor as run

    facts = run(open_root(root))
    screen.show(facts, as_json=as_json)
