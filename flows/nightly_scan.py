"""`nightly-scan`: what happens to an archive every night; the story is told in `anomaly.nightly`."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.nightly import nightly
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_bad_files, publish_summary, publish_top_events
from flows.runs import archive_flow, end, engine, workplace


@archive_flow("nightly-scan")
def nightly_scan(
    archive: ArchiveSpec | None = None,
    root: str = "",
    checkpoint: str = "",
    videos: tuple[str, ...] = (),
    keep_nights: int = 0,
) -> State[dict[str, Any]]:
    """Scan, extract, score, find events, write the report: only what is new.

    Args:
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        checkpoint: name of the checkpoint; empty: the current one
        videos: globs of the videos to do; empty: all
        keep_nights: drop stored features older than this many nights; 0: keep them
    """
    spec, place = workplace(archive, root)
    summary = nightly(
        place,
        spec,
        checkpoint=checkpoint,
        videos=videos,
        keep_nights=keep_nights,
        fan_out=engine(),
    )
    publish_summary(summary.to_json())
    publish_top_events(place, summary.scoring)
    publish_bad_files(summary.troubled)
    return end(summary.to_json(), summary.troubled)
