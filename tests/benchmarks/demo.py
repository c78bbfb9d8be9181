"""The demo, into a fresh root."""

from __future__ import annotations

from tests.benchmarks.harness import Figure, anomaly, workplace


def measure() -> list[Figure]:
    """Run the demo once."""
    with workplace() as folder:
        done = anomaly("demo", "--no-open", "--root", folder / "root")
    answer = done.answer
    command = "anomaly demo"
    missed = sorted({one["kind"] for one in answer["planted"] if not one["found"]})
    found = f"{answer['found']} of {answer['found'] + answer['missed']}"
    return [
        Figure("time", done.times, "under 120 s on two cores", command),
        Figure(
            "planted events found",
            f"{found}; missed: {', '.join(missed) or 'none'}",
            "",
            command,
        ),
        Figure("false alarms", str(answer["false_alarms"]), "", command),
    ]
