"""The verbs of the command line; each reads its options, calls the library's verb and prints."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from anomaly.cli import screen
from anomaly.cli.options import key_values, spec_options, take_spec
from anomaly.errors import SpecError
from anomaly.fanout import FanOut, process_pool
from anomaly.scores import ScoreSpec
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec

if TYPE_CHECKING:
    from anomaly.features import FeatureSpec
    from anomaly.verbs.query import Form

SOME_VIDEOS_FAILED = 3

_root = click.option(
    "--root",
    default="./anomaly-root",
    show_default=True,
    metavar="DIR",
    help="folder or s3:// prefix of everything stored",
)
_json = click.option(
    "--json", "as_json", is_flag=True, help="print JSON on stdout, nothing else"
)
_videos = click.option(
    "--videos",
    multiple=True,
    metavar="GLOB",
    help="only videos whose path matches; may be repeated",
)
_workers = click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default="one a core",
    help="how many videos at once",
)
_checkpoint = click.option(
    "--checkpoint",
    default="",
    metavar="ID",
    help="name of the checkpoint; default: the current one",
)
_backbone = click.option(
    "--backbone",
    "backbones",
    multiple=True,
    show_default="what the detector is made for: motion and static",
    metavar="NAME",
    help="where features come from; see `anomaly list backbones`",
)
_backbone_options = click.option(
    "--backbone-option",
    "backbone_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="a parameter of the backbone (of one of several: NAME.KEY=VALUE); see `anomaly show backbone`",
)
_decoder = click.option(
    "--decoder",
    default="pyav",
    show_default=True,
    metavar="NAME",
    help="see `anomaly list decoders`",
)


_keyframes = click.option(
    "--keyframes",
    is_flag=True,
    help="look at key frames alone: a quick first pass, for backbones that look at frames one by one",
)
_bad_frames = click.option(
    "--bad-frames",
    type=click.Choice(["skip", "repeat", "fail"]),
    default="skip",
    show_default=True,
    help="a frame that cannot be decoded: leave it out, show the one before again, or refuse the video",
)
_runtime = click.option(
    "--runtime",
    default="",
    show_default="torch",
    metavar="NAME",
    help="what runs a network: torch, onnx, openvino or compiled; short for --backbone-option runtime=NAME",
)
_gate = click.option(
    "--gate",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    metavar="TOLERANCE",
    show_default="off",
    help="reuse the last vector while the scene is still; how far off it may be, such as 0.02",
)
_features = (_backbone, _backbone_options, _runtime, _decoder, _keyframes, _bad_frames, _gate)
"""what makes a recipe"""


def _verb(*options: Callable[..., Any], archive: bool = True) -> Callable[..., click.Command]:
    """Make a command of a function, with the options all verbs share."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def call(**values: Any) -> Any:
            screen.start_logging()
            if archive:
                root = values.pop("archive")
                values["archive"] = take_spec(ArchiveSpec, values, root=root)
            if runtime := values.pop("runtime", ""):
                values["backbone_options"] += (f"runtime={runtime}",)
            if "workers" in values:
                values["fan_out"] = screen.with_progress(process_pool(values.pop("workers")))
            return function(**values)

        wrapped: Any = call
        for option in reversed((*options, _root, _json)):
            wrapped = option(wrapped)
        if archive:
            wrapped = spec_options(ArchiveSpec, leave_out=["root"])(wrapped)
            wrapped = click.argument("archive")(wrapped)
        return click.command(function.__name__.rstrip("_"))(wrapped)

    return decorate


def _end(troubled: Sequence[dict[str, Any]]) -> int:
    screen.print_troubled(troubled)
    return SOME_VIDEOS_FAILED if troubled else 0


@_verb(
    *_features,
    click.option(
        "--forecast/--no-forecast",
        "wanted",
        default=True,
        help="say how long extraction would take here, measured on some new files in 20 seconds at most",
    ),
    click.option(
        "--workers",
        "at_once",
        type=click.IntRange(min=0),
        default=0,
        show_default="one a core",
        help="how many videos at once the forecast is for",
    ),
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
    workers = at_once or os.cpu_count() or 1
    if wanted:
        recipes = _recipes(**features)
        request = ForecastRequest(recipes=recipes, workers=workers)
    fan_out = screen.with_progress(process_pool(workers))
    summary = run(root, archive, request=request, fan_out=fan_out).to_json()
    (screen.print_json if as_json else screen.print_facts)(summary)


def _recipes(
    backbones: tuple[str, ...], backbone_options: tuple[str, ...], **pixels: Any
) -> tuple[FeatureSpec, ...]:
    from anomaly.detectors import DEFAULT, detectors
    from anomaly.features import recipe

    parameters = key_values(backbone_options)
    named = backbones or detectors().get(DEFAULT).backbones
    return tuple(recipe(name, parameters, **pixels) for name in named)


@_verb(
    _videos,
    *_features,
    click.option(
        "--cross-check",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default="none",
        metavar="SHARE",
        help="share of the videos, drawn once and for all, that a second decoder reads too, to compare",
    ),
    _workers,
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

    recipes = _recipes(**features)
    summary = run(
        root, archive, recipes, videos=videos, cross_check=cross_check, fan_out=fan_out
    ).to_json()
    (screen.print_json if as_json else screen.print_facts)(summary)
    return _end(summary["troubled"])


@_verb(
    _videos,
    click.option(
        "--detector",
        default="default",
        show_default=True,
        metavar="NAME",
        help="see `anomaly list detectors`",
    ),
    click.option(
        "--detector-option",
        "detector_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="a parameter of the detector; see `anomaly show detector NAME`",
    ),
    *_features,
    click.option(
        "--labels",
        default="",
        metavar="FILE",
        help="label file: what a supervised detector learns; a one-class one leaves abnormal frames out",
    ),
    click.option("--camera", default="", metavar="NAME", help="train only this camera's model"),
    click.option(
        "--into",
        default="",
        metavar="NAME",
        help="name of the bundle; an existing one keeps its other cameras",
    ),
    click.option(
        "--folds",
        default=0,
        show_default="none",
        help="first say how well the detector does on videos of sources kept out of training",
    ),
    click.option("--seed", default=0, show_default=True, help="seed of everything random"),
    click.option(
        "--tensorboard",
        default="",
        metavar="DIR",
        help="write event files of networks in training below this folder",
    ),
    click.option(
        "--data-parallel",
        is_flag=True,
        help="under torchrun: its processes train together, each on its share of every batch",
    ),
    spec_options(ScoreSpec),
    _workers,
)
def train(
    root: str,
    archive: ArchiveSpec,
    *,
    detector_options: tuple[str, ...],
    backbone_options: tuple[str, ...],
    data_parallel: bool,
    fan_out: FanOut,
    as_json: bool,
    **values: Any,
) -> int:
    """Fit a detector on normal (or labelled) videos; missing features are extracted first."""
    from anomaly.verbs.train import TrainRequest, train_together
    from anomaly.verbs.train import train as run

    scores = take_spec(ScoreSpec, values)
    request = TrainRequest(
        scores=scores,
        detector_parameters=key_values(detector_options),
        backbone_parameters=key_values(backbone_options),
        **values,
    )
    found = (train_together if data_parallel else run)(root, archive, request, fan_out=fan_out)
    if found is None:
        return 0
    summary = found.to_json()
    if as_json:
        screen.print_json(summary)
    else:
        click.echo(f"checkpoint: {summary['checkpoint']}")
        screen.print_table("models", [_model_row(n, f) for n, f in summary["models"].items()])
        if "folds" in summary:
            screen.print_facts(summary["folds"])
    return _end(summary["extraction"]["troubled"])


def _model_row(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": name,
        "videos": len(facts["videos"]),
        "threshold": facts.get("threshold"),
        "false-alarm budget / camera-day": facts.get("alarms_per_camera_day"),
        "extrapolated by": facts.get("extrapolation_factor"),
        "achieved on held-out normals": facts.get("achieved_alarms_per_camera_day"),
        "held-out hours": facts.get("held_out_hours"),
    }


@_verb(
    click.argument("file"),
    click.option(
        "--select-on-test",
        is_flag=True,
        help="compare by the test videos themselves; marked wherever the figures are shown",
    ),
    _workers,
    archive=False,
)
def sweep(
    root: str, *, file: str, select_on_test: bool, fan_out: FanOut, as_json: bool
) -> None:
    """Try the grid of detectors and options that FILE (TOML) names, and write a comparison."""
    from pathlib import Path

    from anomaly.verbs.sweep import read_sweep
    from anomaly.verbs.sweep import sweep as run

    request = read_sweep(Path(file))
    found = run(root, request, select_on_test=select_on_test, fan_out=fan_out)
    summary = found.to_json()
    if as_json:
        screen.print_json(summary)
        return
    screen.print_table(f"compared by {summary['chosen_by']}", summary["trials"])
    click.echo(f"best: {summary['best']}; table: {summary['table']}")
    if found.warning:
        click.secho(found.warning, fg="red", err=True)
    if summary["test"]:
        from anomaly.evaluation.table import to_text

        click.echo(to_text(summary["test"]))


@_verb(_checkpoint, _videos, _workers)
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
    (screen.print_json if as_json else screen.print_facts)(summary)
    return _end(summary["extraction"]["troubled"])


@_verb(
    _checkpoint,
    _videos,
    click.option(
        "--keep-nights",
        type=click.IntRange(min=0),
        default=0,
        show_default="for ever",
        help="drop stored features older than this",
    ),
    _workers,
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
    (screen.print_json if as_json else screen.print_facts)(summary)
    return _end(summary["troubled"])


@_verb(
    click.argument("archive", required=False, default=""),
    click.option(
        "--labels",
        required=True,
        metavar="FILE",
        help="CSV: video,n_frames,start_frame,stop_frame,category",
    ),
    _checkpoint,
    _videos,
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
            root, spec, labels=labels, checkpoint=checkpoint, videos=videos, seed=seed
        ).to_json()
    else:
        raise SpecError(
            "Name an ARCHIVE to evaluate stored scores, or a table with --scores FILE."
        )
    if as_json:
        screen.print_json(summary)
    else:
        click.echo(to_text(summary))


@_verb(
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
    _videos,
    click.option("--score", "score_missing", is_flag=True, help="score labelled videos first"),
    click.option("--seed", default=0, show_default=True, help="seed of the bootstrap"),
    _workers,
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


@_verb(_checkpoint)
def report(root: str, archive: ArchiveSpec, *, checkpoint: str, as_json: bool) -> None:
    """Write the HTML report of an archive's scores."""
    from anomaly.verbs.report import report as run

    summary = run(root, archive, checkpoint=checkpoint).to_json()
    if as_json:
        screen.print_json(summary)
    else:
        click.echo(summary["report"])


@_verb(
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
    (screen.print_json if as_json else screen.print_facts)(made)


@_verb(
    click.argument("video"),
    _checkpoint,
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
    (screen.print_json if as_json else screen.print_facts)(made)


@_verb(
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
    """Ask DuckDB: views scores, current_scores, events, catalog, evaluations."""
    from anomaly.verbs.query import query as run
    from anomaly.verbs.query import write_answer

    write_answer(run(open_root(root), sql), "json" if as_json else form)


@_verb(click.argument("kind", required=False, default=""), archive=False)
def list_(root: str, *, kind: str, as_json: bool) -> None:
    """Names of backbones, detectors, decoders, metrics, archives, checkpoints, bad files."""
    from anomaly.verbs.listing import list_things

    things = list_things(open_root(root), kind)
    (screen.print_json if as_json else screen.print_facts)(things)


@_verb(
    click.argument("kind"),
    click.argument("name"),
    click.option(
        "--dimension",
        default=0,
        metavar="D",
        help="of a detector: how many numbers its network learns for vectors of this length",
    ),
    archive=False,
)
def show(root: str, *, kind: str, name: str, dimension: int, as_json: bool) -> None:
    """What is known of one checkpoint, detector, backbone or video."""
    from anomaly.verbs.listing import show as run

    facts = run(open_root(root), kind, name, dimension)
    (screen.print_json if as_json else screen.print_facts)(facts)


@_verb(
    click.argument("videos", nargs=-1),
    click.option("--archive", default="", metavar="NAME", help="only videos of this archive"),
    archive=False,
)
def retry(root: str, *, videos: tuple[str, ...], archive: str, as_json: bool) -> None:
    """Take videos out of quarantine (all of them when none is named); the next run tries them."""
    from anomaly.verbs.listing import retry as run

    freed = {"freed": run(open_root(root), videos, archive)}
    (screen.print_json if as_json else screen.print_facts)(freed)


@_verb(
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
        (screen.print_json if as_json else screen.print_facts)(facts)
        return 0
    summary = check(name, path, variant=variant, labels=labels, split=split)
    if as_json:
        screen.print_json(summary.to_json())
    else:
        screen.print_table(f"{name} {summary.variant}".strip(), summary.to_json()["counts"])
        for trouble in summary.troubles:
            click.echo(trouble, err=True)
    return SOME_VIDEOS_FAILED if summary.troubles else 0


@_verb(archive=False)
def doctor(root: str, *, as_json: bool) -> None:
    """Versions, devices, and whether the root can be written."""
    from anomaly.verbs.listing import doctor as run

    facts = run(open_root(root))
    (screen.print_json if as_json else screen.print_facts)(facts)


@_verb(
    click.option(
        "--seed", default=0, show_default=True, help="another seed draws another archive"
    ),
    click.option(
        "--open/--no-open",
        "open_report",
        default=None,
        help="open the report in a browser [default: when in a terminal]",
    ),
    _workers,
    archive=False,
)
def demo(
    root: str, *, seed: int, open_report: bool | None, fan_out: FanOut, as_json: bool
) -> None:
    """Make a small archive, train, scan, evaluate, report; say what was planted and what was found."""
    from anomaly.cli.demo import print_demo
    from anomaly.demo import demo as run

    summary = run(root, seed=seed, fan_out=fan_out)
    if as_json:
        screen.print_json(summary.to_json())
        return
    print_demo(summary)
    if screen.ERRORS.is_terminal if open_report is None else open_report:
        click.launch(summary.night.report)


@_verb(
    _videos,
    *_features,
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

    recipes = _recipes(**features)
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
    (screen.print_json if as_json else screen.print_facts)(summary)


@_verb(
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
    (screen.print_json if as_json else screen.print_facts)(summary)


globals()["list"] = list_
globals()["import"] = import_
