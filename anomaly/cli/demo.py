"""`demo`: planted, found, missed, false alarms."""

from __future__ import annotations

import click

from anomaly.cli import screen
from anomaly.cli.verb import WORKERS, verb
from anomaly.demo import BUDGET, DemoSummary
from anomaly.demo import demo as run
from anomaly.fanout import FanOut


@verb(
    click.option(
        "--seed", default=0, show_default=True, help="another seed draws another archive"
    ),
    click.option(
        "--open/--no-open",
        "open_report",
        default=None,
        help="open the report in a browser [default: when in a terminal]",
    ),
    WORKERS,
    archive=False,
)
def demo(
    root: str, *, seed: int, open_report: bool | None, fan_out: FanOut, as_json: bool
) -> None:
    """Make a small archive, train, scan, evaluate, report; say what was planted and what was found."""
    summary = run(root, seed=seed, fan_out=fan_out)
    if as_json:
        screen.print_json(summary.to_json())
        return
    _print(summary)
    if screen.ERRORS.is_terminal if open_report is None else open_report:
        click.launch(summary.night.report)


def _print(summary: DemoSummary) -> None:
    """Print what was planted and what became of it, the figures and where the report lies."""
    facts = summary.to_json()
    screen.print_table(
        "planted events",
        [
            {
                "video": one["video"],
                "planted": one["kind"],
                "frames": f"{one['start_frame']}-{one['stop_frame']}",
                "": "found" if one["found"] else "MISSED",
                "rank": one["rank"],
            }
            for one in facts["planted"]
        ],
    )
    low, high = facts["frame_auc_micro_interval"]
    click.echo(
        f"planted {len(facts['planted'])}, found {facts['found']}, missed {facts['missed']}, "
        f"false alarms {facts['false_alarms']} "
        f"(budget: {BUDGET / 24:g} an hour and camera)"
    )
    click.echo(
        f"frame AUC (micro, every frame, other videos than trained on): "
        f"{facts['frame_auc_micro']:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    )
    click.echo(f"\n{summary.query}")
    screen.print_table("answer", summary.query_rows)
    click.echo(f"report: {facts['report']}")
    click.echo(f"took {facts['seconds']:.0f} s")
