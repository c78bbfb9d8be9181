"""`score-archive`: give every frame of every video a score, and find events."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.verbs.score import score
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_bad_files, publish_summary, publish_top_events
from flows.runs import archive_flow, end, engine, workplace


@archive_flow("score-archive")
def score_archive(
    archive: ArchiveSpec | None = None,
    root: str = "",
    checkpoint: str = "",
    videos: tuple[str, ...] = (),
) -> State[dict[str, Any]]:
    """Score the videos that the checkpoint has not scored yet; missing features are extracted first.

    Args:
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        checkpoint: name of the checkpoint; empty: the current one
        videos: globs of the videos to do; empty: all
    """
    spec, place = workplace(archive, root)
    summary = score(place, spec, checkpoint=checkpoint, videos=videos, fan_out=engine())
    publish_summary(summary.to_json())
    publish_top_events(place, summary)
    publish_bad_files(summary.extraction.troubled)
    return end(summary.to_json(), summary.extraction.troubled)
