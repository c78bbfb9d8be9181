"""`evaluate`: join stored scores with labels and say how good they are."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.verbs.evaluate import evaluate as evaluate_archive
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_summary
from flows.runs import archive_flow, end, workplace


@archive_flow("evaluate")
def evaluate(
    labels: str,
    archive: ArchiveSpec | None = None,
    root: str = "",
    checkpoint: str = "",
    videos: tuple[str, ...] = (),
    seed: int = 0,
) -> State[dict[str, Any]]:
    """Compare the scores of a checkpoint with labels: AUC and more, with 95 % intervals over videos.

    Args:
        labels: label file: video,n_frames,start_frame,stop_frame,category
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        checkpoint: name of the checkpoint; empty: the current one
        videos: globs of the videos to evaluate on; empty: all labelled ones
        seed: seed of the bootstrap
    """
    spec, place = workplace(archive, root)
    summary = evaluate_archive(
        place, spec, labels=labels, checkpoint=checkpoint, videos=videos, seed=seed
    ).to_json()
    publish_summary(summary)
    return end(summary, ())
