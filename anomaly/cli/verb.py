"""What the verbs of the command line share: how one is made of a function, and options of several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from anomaly.cli import screen
from anomaly.cli.options import key_values, spec_options, take_spec
from anomaly.fanout import process_pool, with_feeders
from anomaly.video import ArchiveSpec

if TYPE_CHECKING:
    from anomaly.features import FeatureSpec

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
VIDEOS = click.option(
    "--videos",
    multiple=True,
    metavar="GLOB",
    help="only videos whose path matches; may be repeated",
)
workers_option = functools.partial(
    click.option,
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default="one a core",
    envvar="ANOMALY_WORKERS",
    show_envvar=True,
)
WORKERS = workers_option(help="how many videos at once")
FEEDERS = click.option(
    "--feeders",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="for GPUs: how many videos at once each worker extracts, all with one network in its memory",
)
CHECKPOINT = click.option(
    "--checkpoint",
    default="",
    metavar="ID",
    help="name of the checkpoint; default: the current one",
)
_backbone = click.option(
    "--backbone",
    "backbones",
    multiple=True,
    show_default="what the detector is made for: motion, static and trail",
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
FEATURES = (_backbone, _backbone_options, _runtime, _decoder, _keyframes, _bad_frames, _gate)
"""what makes a recipe"""


def verb(*options: Callable[..., Any], archive: bool = True) -> Callable[..., click.Command]:
    """Return what makes a command of a function: with these options and those all verbs share.

    The function finds `root` and `as_json` among its arguments, `archive` as an `ArchiveSpec` unless it
    takes none, and `fan_out` with a progress bar where `WORKERS` is among the options. Its exit status
    is what it returns.
    """

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
                pool = process_pool(values.pop("workers"))
                fed = with_feeders(pool, values.pop("feeders", 1))
                values["fan_out"] = screen.with_progress(fed)
            return function(**values)

        wrapped: Any = call
        for option in reversed((*options, _root, _json)):
            wrapped = option(wrapped)
        if archive:
            wrapped = spec_options(ArchiveSpec, leave_out=["root"])(wrapped)
            wrapped = click.argument("archive")(wrapped)
        return click.command(function.__name__.rstrip("_").replace("_", "-"))(wrapped)

    return decorate


def recipes_of(
    backbones: tuple[str, ...], backbone_options: tuple[str, ...], **pixels: Any
) -> tuple[FeatureSpec, ...]:
    """Return the recipes that the options of `FEATURES` ask for."""
    from anomaly.detectors import DEFAULT, detectors
    from anomaly.features import recipe

    parameters = key_values(backbone_options)
    named = backbones or detectors().get(DEFAULT).backbones
    return tuple(recipe(name, parameters, **pixels) for name in named)


def end(troubled: Sequence[dict[str, Any]]) -> int:
    """List videos that gave nothing; return the exit status."""
    screen.print_troubled(troubled)
    return SOME_VIDEOS_FAILED if troubled else 0
