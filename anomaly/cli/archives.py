"""What is in an archive and its features: scan, extract, retry, export, import, datasets."""

from __future__ import annotations

from typing import Any, Literal

import click

from anomaly.cli import screen
from anomaly.cli.verb import (
    FEATURES,
    FEEDERS,
    SOME_VIDEOS_FAILED,
    VIDEOS,
    WORKERS,
    end,
    recipes_of,
    verb,
    workers_option,
)
from anomaly.errors import SpecError
from anomaly.fanout import FanOut, cores_here, process_pool
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec


@verb(
    *FEATURES,
    click.option(
        "--forecast/--no-forecast",
        "wanted",
        default=True,
        help="say how long extraction would take here, measured on some new files in 20 seconds at most",
    ),
    workers_option("at_once", help="how many videos at once the forecast is for"),
)
def scan(
    root: str,
    archive: ArchiveSpec,
    *,
    wanted: bool,
    at_once: int,
    as_json: bool,
    **features: Any,
) -> None:
    """What is in the archive, what is new, what is broken, how long extraction would take."""
    from anomaly.verbs.forecast import ForecastRequest
    from anomaly.verbs.scan import scan as run

    request = None
    workers = at_once or cores_here()
    if wanted:
        recipes = recipes_of(**features)
        request = ForecastRequest(recipes=recipes, workers=workers)
    fan_out = screen.with_progress(process_pool(workers))
    summary = run(root, archive, request=request, fan_out=fan_out).to_json()
    screen.show(summary, as_json=as_json)


@verb(
    VIDEOS,
    *FEATURES,
    click.option(
        "--cross-check",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default="none",
        metavar="SHARE",
        help="share of the videos, drawn once and for all, that a second decoder reads too, to compare",
    ),
    WORKERS,
    FEEDERS,
)
def extract(
    root: str,
    archive: ArchiveSpec,
    *,
    videos: tuple[str, ...],
    cross_check: float,
    fan_out: FanOut,
    as_json: bool,
    **features: Any,
) -> int:
    """Store the features of every video that has none yet."""
    from anomaly.verbs.extract import extract as run

    recipes = recipes_of(**features)
    summary = run(
        root, archive, recipes, videos=videos, cross_check=cross_check, fan_out=fan_out
    ).to_json()
    screen.show(summary, as_json=as_json)
    return end(summary["troubled"])


@verb(
    click.argument("videos", nargs=-1),
    click.option("--archive", default="", metavar="NAME", help="only videos of this archive"),
    archive=False,
)
def retry(root: str, *, videos: tuple[str, ...], archive: str, as_json: bool) -> None:
    """Take videos out of quarantine (all of them when none is named); the next run tries them."""
    from anomaly.verbs.listing import retry as run

    freed = {"freed": run(open_root(root), videos, archive)}
    screen.show(freed, as_json=as_json)


@verb(
    VIDEOS,
    *FEATURES,
    click.option("--to", "folder", required=True, metavar="DIR", help="where files go"),
    click.option(
        "--layout",
        type=click.Choice(["videos", "pair"]),
        default="videos",
        show_default=True,
        help="an array a video and list.txt; or normal_features_M.npy and anomaly_features_M.npy",
    ),
    click.option(
        "--model",
        default="",
        metavar="M",
        help="name in the files of a pair; default: the backbone",
    ),
    click.option("--labels", default="", metavar="FILE", help="label file; a pair needs one"),
)
def export(
    root: str,
    archive: ArchiveSpec,
    *,
    videos: tuple[str, ...],
    folder: str,
    layout: Literal["pair", "videos"],
    model: str,
    labels: str,
    as_json: bool,
    **features: Any,
) -> None:
    """Write stored features of one backbone as .npy files, float32, cells averaged row by row."""
    from pathlib import Path

    from anomaly.verbs.exchange import export_features

    recipes = recipes_of(**features)
    if len(recipes) != 1:
        raise SpecError(f"Name one --backbone to export, not {len(recipes)}.")
    summary = export_features(
        root,
        archive,
        recipes[0],
        Path(folder).expanduser(),
        layout=layout,
        model=model,
        labels=labels,
        videos=videos,
    ).to_json()
    screen.show(summary, as_json=as_json)


@verb(
    click.argument("folder"),
    click.option("--model", required=True, metavar="M", help="what made the features"),
    click.option(
        "--name", default="", metavar="NAME", help="name of the archive; default: the folder's"
    ),
    click.option(
        "--row-seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=0.04,
        show_default=True,
        help="time from one row to the next",
    ),
    archive=False,
)
def import_(
    root: str, *, folder: str, model: str, name: str, row_seconds: float, as_json: bool
) -> None:
    """Take in .npy files: normal_features_M.npy and anomaly_features_M.npy, or an array a video."""
    from pathlib import Path

    from anomaly.verbs.exchange import import_features

    summary = import_features(
        root, Path(folder).expanduser(), model=model, name=name, row_seconds=row_seconds
    ).to_json()
    screen.show(summary, as_json=as_json)


@verb(
    click.argument("name", required=False, default=""),
    click.option(
        "--check",
        "path",
        default="",
        metavar="PATH",
        help="compare the copy in this folder with the published counts",
    ),
    click.option(
        "--variant",
        default="",
        metavar="NAME",
        help="label set or split, where there are several",
    ),
    click.option(
        "--labels",
        default="",
        metavar="OUT.csv",
        help="with --check: write labels for `anomaly evaluate`",
    ),
    click.option(
        "--split", default="", metavar="NAME", help="with --labels: which split; default: test"
    ),
    archive=False,
)
def datasets(
    root: str, *, name: str, path: str, variant: str, labels: str, split: str, as_json: bool
) -> int:
    """Public data sets: layouts, published counts, whether a copy is whole, its labels."""
    from anomaly.verbs.datasets import check, describe

    del root
    if not path:
        if labels:
            raise SpecError("Name the data set's folder with --check PATH to write its labels.")
        facts = describe(name)
        screen.show(facts, as_json=as_json)
        return 0
    summary = check(name, path, variant=variant, labels=labels, split=split)
    if as_json:
        screen.print_json(summary.to_json())
    else:
        screen.print_table(f"{name} {summary.variant}".strip(), summary.to_json()["counts"])
        for trouble in summary.troubles:
            click.echo(trouble, err=True)
    return SOME_VIDEOS_FAILED if summary.troubles else 0
