"""`evaluate`: join stored scores with labels and say how good they are."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from anomaly.verbs.evaluate import evaluate as evaluate_archive
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_summary
from flows.runs import archive_flow, end, engine, labels_or_set, workplace
from flows.settings import load_settings

NO_LABELS = "NoLabels"
"""name of the final state of a run after a training that finds no label file"""


@archive_flow("evaluate")
def evaluate(
    labels: str = "",
    archive: ArchiveSpec | None = None,
    root: str = "",
    checkpoint: str = "",
    videos: tuple[str, ...] = (),
    masks: str = "",
    seed: int = 0,
    after_training: bool = False,
) -> State[dict[str, Any]]:
    """Compare the scores of a checkpoint with labels: AUC and more, with 95 % intervals over videos.

    Stored scores are used again; labelled videos without any are scored first. A deployment runs by
    itself when `train-detector` has published a checkpoint.

    Args:
        labels: label file: video,n_frames,start_frame,stop_frame,category; empty: that of the settings
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        checkpoint: name of the checkpoint; empty: the current one
        videos: globs of the videos to evaluate on; empty: all labelled ones
        masks: folder of masks of abnormal pixels, to judge places too; empty: places are not judged
        seed: seed of the bootstrap
        after_training: nobody asked: without any label file there is nothing to do, and no error
    """
    if after_training and not (labels or load_settings().labels):
        return Completed(name=NO_LABELS, message="Set ANOMALY_LABELS to judge new checkpoints.")
    spec, place = workplace(archive, root)
    summary = evaluate_archive(
        place,
        spec,
        labels=labels_or_set(labels),
        checkpoint=checkpoint,
        videos=videos,
        masks=masks,
        seed=seed,
        fan_out=engine(),
    ).to_json()
    publish_summary(summary)
    return end(summary, ())
