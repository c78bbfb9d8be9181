"""`anomaly <verb>`: the command line.

Results go to stdout, everything else to stderr. Exit status: 0 done; 1 something outside failed, try
again; 2 the request is wrong; 3 done, but some videos newly failed; 130 interrupted.

Verbs are imported when they are called: `anomaly --help` loads nothing heavy. Verbs of other packages
(`serve` and `deploy` need Prefect) are found through the entry-point group `anomaly.commands`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from typing import Any

import click
from typing_extensions import override

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Make a small archive, run everything over it, open the report."),
    "scan": (
        "archives",
        "What is in the archive, what is new, what is broken, how long it would take.",
    ),
    "extract": ("archives", "Store the features of every video that has none yet."),
    "train": ("learning", "Fit a detector on normal (or labelled) videos."),
    "sweep": ("learning", "Try a small grid of detectors and options, and compare them."),
    "score": ("scoring", "Give every frame of every video a score; find events."),
    "nightly": ("scoring", "Scan, extract, score, report: only what is new."),
    "evaluate": ("judging", "Compare scores with labels: AUC and more, with intervals."),
    "compare": (
        "judging",
        "Compare checkpoints on labelled videos: differences, curves, events.",
    ),
    "report": ("scoring", "Write the HTML report of an archive."),
    "clip": ("scoring", "Write one event as a clip, with boxes and the course of the score."),
    "animate": ("scoring", "Write a whole video the same way, as MP4 or GIF."),
    "explain": ("explaining", "Why an event: where, when, which part, nearest normal moments."),
    "similar": ("explaining", "What is most like an event, in the whole archive."),
    "review": ("reviewing", "Look through events in a browser and say which are real."),
    "verdicts": ("reviewing", "What people said of events: threshold and labels from it."),
    "export-events": ("reviewing", "Events as tables, chapters, clips, a FiftyOne data set."),
    "query": ("asking", "Ask the score tables a question in SQL (DuckDB)."),
    "list": ("asking", "Names of backbones, detectors, checkpoints, bad files, ..."),
    "show": ("asking", "What is known of one checkpoint, detector, backbone or video."),
    "retry": ("archives", "Take bad videos out of quarantine."),
    "export": ("archives", "Write stored features as .npy files."),
    "import": ("archives", "Take in features from .npy files."),
    "datasets": (
        "archives",
        "Public data sets: layouts, counts, whether a copy is whole, labels.",
    ),
    "doctor": ("asking", "Versions, devices, and whether the root can be written."),
}
"""in the order of a day's work: the module that has the verb, and what it does"""


class Verbs(click.Group):
    """Finds verbs by name and imports one only when it is called."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our verbs in the order of a day's work, then those of other packages."""
        del ctx
        return [*VERBS, *sorted(point.name for point in entry_points(group="anomaly.commands"))]

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        del ctx
        if cmd_name in VERBS:
            theme, _ = VERBS[cmd_name]
            found = vars(importlib.import_module(f"anomaly.cli.{theme}"))
            name = cmd_name.replace("-", "_")
            verb: click.Command = found[name if name in found else f"{name}_"]
            return verb
        for point in entry_points(group="anomaly.commands", name=cmd_name):
            plugin: click.Command = point.load()
            return plugin
        return None

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is answered with the nearest."""
        from anomaly.registry import unknown_name

        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            raise click.UsageError(str(unknown_name("verb", args[0], self.list_commands(ctx))))
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        rows = [
            (name, VERBS.get(name, ("", "(plug-in)"))[1]) for name in self.list_commands(ctx)
        ]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="archive-anomaly")
def anomaly() -> None:
    """Find what does not belong in large archives of video.

    \b
    anomaly demo                                       see it work, in two minutes
    anomaly train ARCHIVE --videos 'GLOB'              learn what is normal
    anomaly nightly ARCHIVE                            scan what is new, write the report
    """  # noqa: D301 (\b is click's mark for a block that keeps its lines)


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run the command line; return its exit status and never let a traceback meet a user's mistake."""
    from anomaly.errors import AnomalyError, TransientError

    status: Any = 0
    try:
        status = anomaly.main(args, prog_name="anomaly", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = 2
    except click.ClickException as error:
        status = _complain(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        status = _complain("interrupted; run the same command again to go on from here", 130)
    except AnomalyError as error:
        status = _complain(str(error), 1 if isinstance(error, TransientError) else 2)
    except BrokenPipeError:
        sys.stderr.close()
    return status if isinstance(status, int) else 0


def _complain(text: str, status: int) -> int:
    click.echo(f"anomaly: {' '.join(text.split())}", err=True)
    return status
