"""What was found: score, nightly, report, clip, animate."""

from __future__ import annotations

from typing import Any

import click

from anomaly.cli import screen
from anomaly.cli.verb import CHECKPOINT, FEEDERS, VIDEOS, WORKERS, end, verb
from anomaly.fanout import FanOut
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec


@verb(CHECKPOINT, VIDEOS, WORKERS)
def score(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str,
    videos: tuple[str, ...],
    fan_out: FanOut,
    as_json: bool,
) -> int:
    """Give every frame of every video a score; missing features are extracted first."""
    from anomaly.verbs.score import score as run

    summary = run(
        root, archive, checkpoint=checkpoint, videos=videos, fan_out=fan_out
    ).to_json()
    screen.show(summary, as_json=as_json)
    return end(summary["extraction"]["troubled"])


@verb(
    CHECKPOINT,
    VIDEOS,
    click.option(
        "--keep-nights",
        type=click.IntRange(min=0),
        default=0,
        show_default="for ever",
        help="drop stored features older than this",
    ),
    WORKERS,
    FEEDERS,
)
def nightly(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str,
    videos: tuple[str, ...],
    keep_nights: int,
    fan_out: FanOut,
    as_json: bool,
) -> int:
    """Scan, extract, score, find events, write the report: only what is new."""
    from anomaly.nightly import nightly as run

    summary = run(
        root,
        archive,
        checkpoint=checkpoint,
        videos=videos,
        keep_nights=keep_nights,
        fan_out=fan_out,
    ).to_json()
    screen.show(summary, as_json=as_json)
    return end(summary["troubled"])


@verb(CHECKPOINT)
def report(root: str, archive: ArchiveSpec, *, checkpoint: str, as_json: bool) -> None:
    """Write the HTML report of an archive's scores."""
    from anomaly.verbs.report import report as run

    summary = run(root, archive, checkpoint=checkpoint).to_json()
    if as_json:
        screen.print_json(summary)
    else:
        click.echo(summary["report"])


@verb(
    click.argument("event"),
    click.option(
        "--out", default="", metavar="FILE", show_default="EVENT.mp4", help=".mp4 or .gif"
    ),
    click.option(
        "--margin-seconds",
        default=2.0,
        show_default=True,
        help="how much is shown before and after",
    ),
    archive=False,
)
def clip(root: str, *, event: str, out: str, margin_seconds: float, as_json: bool) -> None:
    """Write EVENT (its id, or how it begins) as a clip: strange places on each frame, score below."""
    from anomaly.verbs.animate import clip as run

    made = run(open_root(root), event, out=out, margin_seconds=margin_seconds).to_json()
    screen.show(made, as_json=as_json)


@verb(
    click.argument("video"),
    CHECKPOINT,
    click.option(
        "--out",
        default="",
        metavar="FILE",
        show_default="VIDEO-animated.mp4",
        help=".mp4 or .gif",
    ),
    click.option(
        "--show",
        "shown",
        type=click.Choice(["score", "regularity", "regularity_max"]),
        default="score",
        show_default=True,
        help="calibrated score; or regularity: 1 - (e - min) / (max - min), or / max as in notebooks",
    ),
    archive=False,
)
def animate(
    root: str, *, video: str, checkpoint: str, out: str, shown: Any, as_json: bool
) -> None:
    """Write all of VIDEO (its path in the archive) with strange places and the course of its score."""
    from anomaly.verbs.animate import animate as run

    made = run(open_root(root), video, out=out, checkpoint=checkpoint, shown=shown).to_json()
    screen.show(made, as_json=as_json)
