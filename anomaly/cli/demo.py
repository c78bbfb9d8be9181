"""The demo's own page of output: planted, found, missed, false alarms."""

from __future__ import annotations

import click

from anomaly.cli import screen
from anomaly.demo import BUDGET, DemoSummary


def print_demo(summary: DemoSummary) -> None:
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
