"""`sweep-detectors`: try a small grid of detectors and options, and compare them by one honest figure."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.verbs.sweep import SweepSpec, sweep
from flows.artifacts import publish_summary
from flows.runs import archive_flow, end, engine
from flows.settings import load_settings


@archive_flow("sweep-detectors")
def sweep_detectors(
    request: SweepSpec, root: str = "", select_on_test: bool = False
) -> State[dict[str, Any]]:
    """Train every combination into a bundle of its own and compare them; the current one stays.

    Args:
        request: archive, labels, what is tried, and by which videos it is chosen
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        select_on_test: compare by the test videos themselves; the figures are marked as too good
    """
    place = root or load_settings().root
    summary = sweep(place, request, select_on_test=select_on_test, fan_out=engine()).to_json()
    publish_summary(summary)
    return end(summary, ())
