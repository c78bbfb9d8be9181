"""What a checkpoint has stored of labelled videos, as evaluation wants it: scores, times, alarms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from anomaly.checkpoints import Checkpoint
from anomaly.evaluation.evaluate import VideoScores
from anomaly.features.store import FeatureStore
from anomaly.scores.tables import Partition, read_partition
from anomaly.verbs.look import Look

_COLUMNS = ("video", "frame", "seconds", "score")


def stored_scores(
    seen: Look, bundle: Checkpoint, uris: Sequence[str]
) -> dict[str, VideoScores]:
    """Return the scores of some videos that the bundle has scored, with camera, alarms and threshold.

    Only the camera-days of these videos are read.
    """
    ledger = seen.catalog.scored(bundle.name)
    models = bundle.describe(seen.root)["models"]
    wanted: dict[Partition, list[str]] = defaultdict(list)
    for uri in uris:
        row = ledger[uri]
        wanted[
            Partition(
                archive=seen.archive, checkpoint=bundle.name, camera=row.camera, date=row.date
            )
        ].append(uri)
    found = {}
    for partition, videos in wanted.items():
        threshold = models[bundle.model_name(partition.camera)].get("threshold")
        rows = by_video(read_partition(seen.root, partition, columns=_COLUMNS), videos)
        events = by_video(read_partition(seen.root, partition, "events"), videos)
        for video, table in rows.items():
            alarms = events[video]
            found[video] = VideoScores(
                table["frame"].to_numpy(),
                table["score"].to_numpy(),
                seconds_N=table["seconds"].to_numpy(),
                camera=partition.camera,
                alarms=tuple(
                    zip(
                        alarms["start_frame"].to_pylist(),
                        alarms["stop_frame"].to_pylist(),
                        strict=True,
                    )
                ),
                threshold=threshold,
            )
    return found


def sanity_scores(
    seen: Look, bundle: Checkpoint, uris: Sequence[str]
) -> dict[str, dict[str, VideoScores]]:
    """Return the sanity rows that need pixels: how much the picture changes, and how bright it is.

    Videos whose features have been dropped are left out of them.
    """
    store = FeatureStore(seen.root)
    recipe = next(iter(bundle.inputs.values()))
    rows: dict[str, dict[str, VideoScores]] = {"frame_difference": {}, "brightness": {}}
    for uri in uris:
        group = store.open(recipe, seen.rows[uri].content or "")
        if group is None:
            continue
        index_T = group.index_T()
        changes = {
            "frame_difference": group.difference_T(),
            "brightness": group.brightness_T(),
        }
        for name, value_T in changes.items():
            rows[name][uri] = VideoScores(index_T, value_T.astype(np.float64))
    return rows


def by_video(table: pa.Table, videos: Sequence[str]) -> dict[str, pa.Table]:
    """Return the rows of each video; camera-days hold them video by video, in order."""
    names = table["video"].combine_chunks().dictionary_encode()
    counts = np.bincount(names.indices.to_numpy(), minlength=len(names.dictionary))
    starts = np.append(0, np.cumsum(counts))
    places = {name: number for number, name in enumerate(names.dictionary.to_pylist())}
    empty = table.slice(0, 0)
    return {
        video: table.slice(starts[places[video]], counts[places[video]])
        if video in places
        else empty
        for video in videos
    }
