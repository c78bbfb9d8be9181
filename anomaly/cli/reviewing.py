"""What people say of events, and what they take away: review, verdicts, export-events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from anomaly.cli import screen
from anomaly.cli.verb import CHECKPOINT, verb
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec

if TYPE_CHECKING:
    from anomaly.scores.verdicts import Said
    from anomaly.verbs.export_events import Form

_archive = click.option(
    "--archive",
    default="",
    metavar="NAME",
    show_default="the only one with verdicts",
    help="name of the archive",
)


@verb(
    CHECKPOINT,
    click.option(
        "--since",
        default="",
        metavar="YYYY-MM-DD",
        help="only events of this day and later ones",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=0,
        show_default="any free one",
        help="port of this machine",
    ),
    click.option(
        "--open/--no-open",
        "open_page",
        default=None,
        help="open the page in a browser [default: when in a terminal]",
    ),
)
def review(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str,
    since: str,
    port: int,
    open_page: bool | None,
    as_json: bool,
) -> None:
    """Look through the events of ARCHIVE (its path, or its name) in a browser; verdicts are stored at once.

    The page is served on this machine alone, at a secret address, until Ctrl-C.
    """
    from anomaly.verbs.review import review as run

    def ready(url: str) -> None:
        click.echo(f"review: {url}", err=True)
        click.echo("Ctrl-C ends it.", err=True)
        if screen.ERRORS.is_terminal if open_page is None else open_page:
            click.launch(url)

    summary = run(root, archive, checkpoint=checkpoint, since=since, port=port, ready=ready)
    screen.show(summary.to_json(), as_json=as_json)


@verb(
    CHECKPOINT,
    click.option("--to", "folder", required=True, metavar="DIR", help="where files go"),
    click.option(
        "--as",
        "forms",
        multiple=True,
        required=True,
        type=click.Choice(["csv", "json", "fiftyone", "chapters", "clips"]),
        help="tables; a FiftyOne data set; chapters for players; clips; may be repeated",
    ),
    click.option(
        "--verdict",
        "verdicts",
        multiple=True,
        type=click.Choice(["real", "false", "unsure", "none"]),
        help="only events that were called so (none: not judged); may be repeated",
    ),
)
def export_events(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str,
    folder: str,
    forms: tuple[Form, ...],
    verdicts: tuple[Said | Literal["none"], ...],
    as_json: bool,
) -> None:
    """Write the events of ARCHIVE (its path, or its name) as files for other programs."""
    from anomaly.verbs.export_events import export_events as run

    summary = run(
        root,
        archive,
        Path(folder).expanduser(),
        forms,
        checkpoint=checkpoint,
        verdicts=verdicts,
    )
    screen.show(summary.to_json(), as_json=as_json)


@click.group
def verdicts() -> None:
    """What people said of events: give and take in verdicts; a threshold and labels from them."""


@verb(
    click.argument("event"),
    click.argument("said", type=click.Choice(["real", "false", "unsure"])),
    click.option("--note", default="", metavar="TEXT", help="in your own words"),
    archive=False,
)
def give(root: str, *, event: str, said: Said, note: str, as_json: bool) -> None:
    """Say that EVENT (its id, or how it begins) is real, a false alarm, or that you are unsure."""
    from anomaly.verbs.verdicts import give_verdict

    verdict = give_verdict(open_root(root), event, said, note)
    screen.show(verdict.to_json(), as_json=as_json)


@verb(click.argument("file"), archive=False)
def import_(root: str, *, file: str, as_json: bool) -> None:
    """Take in FILE, as the report's page saves it; a second time changes nothing."""
    from anomaly.verbs.verdicts import import_verdicts

    summary = import_verdicts(open_root(root), Path(file).expanduser()).to_json()
    screen.show(summary, as_json=as_json)


@verb(
    click.option("--archive", default="", metavar="NAME", help="only of this archive"),
    archive=False,
)
def list_(root: str, *, archive: str, as_json: bool) -> None:
    """All verdicts, by archive, video and time."""
    from anomaly.verbs.verdicts import list_verdicts

    found = [verdict.to_json() for verdict in list_verdicts(open_root(root), archive)]
    if as_json:
        screen.print_json({"verdicts": found})
        return
    shown = (
        "video",
        "start_seconds",
        "stop_seconds",
        "verdict",
        "note",
        "decided_at",
        "event_id",
    )
    screen.print_table("verdicts", [{name: row[name] for name in shown} for row in found])


@verb(_archive, archive=False)
def export(root: str, *, archive: str, as_json: bool) -> None:
    """Print the verdicts of an archive as a file that `anomaly verdicts import` reads."""
    from anomaly.verbs.verdicts import export_verdicts

    del as_json  # it is JSON anyhow
    screen.print_json(export_verdicts(open_root(root), archive))


@verb(
    _archive,
    CHECKPOINT,
    click.option(
        "--budget",
        type=click.FloatRange(min=0, min_open=True),
        default=None,
        show_default="that of the checkpoint",
        help="false alarms that a camera may give in a day",
    ),
    click.option(
        "--since",
        default="",
        metavar="YYYY-MM-DD",
        help="first day that was reviewed; events without a verdict count as false alarms",
    ),
    click.option(
        "--into",
        default="",
        metavar="NAME",
        help="set it: a new checkpoint with the same models at this threshold, made the current one",
    ),
    archive=False,
)
def threshold(
    root: str,
    *,
    archive: str,
    checkpoint: str,
    budget: float | None,
    since: str,
    into: str,
    as_json: bool,
) -> None:
    """Propose the threshold at which what people called false keeps to the false-alarm budget."""
    from anomaly.verbs.verdicts import threshold as run

    found = run(
        open_root(root),
        archive=archive,
        checkpoint=checkpoint,
        budget=budget,
        since=since,
        into=into,
    )
    if as_json:
        screen.print_json(found.to_json())
    else:
        click.echo(found.in_words)


@verb(
    _archive,
    CHECKPOINT,
    click.option("--out", required=True, metavar="FILE", help="label file to write"),
    click.option(
        "--judged-only",
        is_flag=True,
        help="ignore frames that nobody has looked at, instead of taking them for normal",
    ),
    archive=False,
)
def labels(
    root: str, *, archive: str, checkpoint: str, out: str, judged_only: bool, as_json: bool
) -> None:
    """Write verdicts as labels for training: real is abnormal, false is normal, unsure is ignored."""
    from anomaly.verbs.verdicts import write_verdict_labels

    summary = write_verdict_labels(
        open_root(root),
        Path(out).expanduser(),
        archive=archive,
        checkpoint=checkpoint,
        judged_only=judged_only,
    ).to_json()
    screen.show(summary, as_json=as_json)


for command in (give, import_, list_, export, threshold, labels):
    verdicts.add_command(command)
