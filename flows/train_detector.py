"""`train-detector`: fit a detector on normal (or labelled) videos and make it the current one."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_bad_files, publish_summary
from flows.events import tell_checkpoint
from flows.runs import archive_flow, end, engine, workplace


@archive_flow("train-detector")
def train_detector(
    archive: ArchiveSpec | None = None,
    root: str = "",
    request: TrainRequest = TrainRequest(),  # noqa: B008 (frozen)
) -> State[dict[str, Any]]:
    """Fit a detector; missing features are extracted first.

    Args:
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        request: what to train, and on which videos
    """
    spec, place = workplace(archive, root)
    summary = train(place, spec, request, fan_out=engine())
    tell_checkpoint(summary.checkpoint, place, spec)
    publish_summary(summary.to_json())
    publish_bad_files(summary.extraction.troubled)
    return end(summary.to_json(), summary.extraction.troubled)
