"""How good it is: evaluate, compare."""

from __future__ import annotations

from typing import Any

import click

from anomaly.cli import screen
from anomaly.cli.options import spec_options, take_spec
from anomaly.cli.verb import CHECKPOINT, VIDEOS, WORKERS, verb
from anomaly.errors import SpecError
from anomaly.fanout import FanOut
from anomaly.video import ArchiveSpec


@verb(
    click.argument("archive", required=False, default=""),
    click.option(
        "--labels",
        required=True,
        metavar="FILE",
        help="CSV: video,n_frames,start_frame,stop_frame,category",
    ),
    CHECKPOINT,
    VIDEOS,
    click.option(
        "--scores",
        default="",
        metavar="FILE",
        help="evaluate this table (video,frame,score) instead of stored scores",
    ),
    click.option(
        "--only-scored", is_flag=True, help="with --scores: leave out frames without a score"
    ),
    click.option(
        "--threshold",
        type=float,
        show_default="none",
        help="with --scores: score from which a frame alarms, for figures of events and accuracy",
    ),
    click.option(
        "--masks",
        default="",
        metavar="DIR",
        help="judge places too: NAME.npy, or folders NAME or NAME_gt of numbered pictures, one a frame",
    ),
    click.option("--seed", default=0, show_default=True, help="seed of the bootstrap"),
    spec_options(ArchiveSpec, leave_out=["root"]),
    archive=False,
)
def evaluate(  # noqa: PLR0913 (one argument an option)
    root: str,
    archive: str,
    *,
    labels: str,
    scores: str,
    only_scored: bool,
    threshold: float | None,
    masks: str,
    as_json: bool,
    seed: int,
    checkpoint: str,
    videos: tuple[str, ...],
    **values: Any,
) -> None:
    """Compare scores with labels: AUC, average precision, EER, with 95 % intervals over videos."""
    from pathlib import Path

    from anomaly.evaluation.table import to_text

    if scores:
        from anomaly.evaluation.files import evaluate_file

        found = evaluate_file(
            Path(scores), Path(labels), only_scored=only_scored, threshold=threshold, seed=seed
        )
        summary = found.to_json()
    elif archive:
        from anomaly.verbs.evaluate import evaluate as run

        spec = take_spec(ArchiveSpec, values, root=archive)
        summary = run(
            root,
            spec,
            labels=labels,
            checkpoint=checkpoint,
            videos=videos,
            masks=masks,
            seed=seed,
        ).to_json()
    else:
        raise SpecError(
            "Name an ARCHIVE to evaluate stored scores, or a table with --scores FILE."
        )
    if as_json:
        screen.print_json(summary)
    else:
        click.echo(to_text(summary))


@verb(
    click.option(
        "--checkpoint",
        "checkpoints",
        multiple=True,
        metavar="ID",
        help="name of a checkpoint, twice or more often; the first is what the others are set against",
    ),
    click.option(
        "--labels",
        required=True,
        metavar="FILE",
        help="CSV: video,n_frames,start_frame,stop_frame,category",
    ),
    VIDEOS,
    click.option("--score", "score_missing", is_flag=True, help="score labelled videos first"),
    click.option("--seed", default=0, show_default=True, help="seed of the bootstrap"),
    WORKERS,
)
def compare(
    root: str,
    archive: ArchiveSpec,
    *,
    score_missing: bool,
    fan_out: FanOut,
    as_json: bool,
    **values: Any,
) -> None:
    """Compare checkpoints on labelled videos; write a report with differences, curves and events."""
    from anomaly.verbs.compare import compare as run

    found = run(root, archive, fan_out=fan_out if score_missing else None, **values)
    if as_json:
        screen.print_json(found.to_json())
        return
    for pair in found.comparison.pairs:
        click.echo(pair.in_words)
    for event_counts in found.to_json()["events"]:
        screen.print_facts(event_counts)
    click.echo(found.report)
