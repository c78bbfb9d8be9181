"""What is learnt: train, sweep."""

from __future__ import annotations

from typing import Any

import click

from anomaly.cli import screen
from anomaly.cli.options import key_values, spec_options, take_spec
from anomaly.cli.verb import FEATURES, VIDEOS, WORKERS, end, verb
from anomaly.fanout import FanOut
from anomaly.scores import ScoreSpec
from anomaly.video import ArchiveSpec


@verb(
    VIDEOS,
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
    *FEATURES,
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
        "--start-from",
        default="",
        metavar="ID",
        help="begin with the weights of this checkpoint's network in place of drawn ones",
    ),
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
    WORKERS,
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
    return end(summary["extraction"]["troubled"])


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


@verb(
    click.argument("file"),
    click.option(
        "--select-on-test",
        is_flag=True,
        help="compare by the test videos themselves; marked wherever the figures are shown",
    ),
    WORKERS,
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
