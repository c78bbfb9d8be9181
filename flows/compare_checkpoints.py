"""`compare-checkpoints`: which of several checkpoints is better, and what changes with it."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.verbs.compare import compare
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_summary
from flows.runs import archive_flow, end, engine, labels_or_set, workplace


@archive_flow("compare-checkpoints")
def compare_checkpoints(
    checkpoints: tuple[str, ...],
    labels: str = "",
    archive: ArchiveSpec | None = None,
    root: str = "",
    videos: tuple[str, ...] = (),
    seed: int = 0,
) -> State[dict[str, Any]]:
    """Compare checkpoints on labelled videos, scoring those that lack scores; write a report.

    Args:
        checkpoints: names of two or more; the first is what the others are set against
        labels: label file: video,n_frames,start_frame,stop_frame,category; empty: that of the settings
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        videos: globs of the videos to compare on; empty: all labelled ones
        seed: seed of the bootstrap
    """
    spec, place = workplace(archive, root)
    found = compare(
        place,
        spec,
        checkpoints=checkpoints,
        labels=labels_or_set(labels),
        videos=videos,
        seed=seed,
        fan_out=engine(),
    ).to_json()
    publish_summary({name: found[name] for name in ("archive", "pairs", "events", "report")})
    return end(found, ())
