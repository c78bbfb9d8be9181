"""`train --start-from`: the checkpoint whose weights a network begins with, in place of drawn ones."""

from __future__ import annotations

from collections.abc import Collection

from anomaly.checkpoints import Model, all_videos, load, names
from anomaly.detectors import Detector
from anomaly.errors import SpecError
from anomaly.registry import unknown_name
from anomaly.storage import Root


def check_start(
    root: Root, checkpoint: str, detector: str, cls: type[Detector], folds: int
) -> None:
    """Refuse a checkpoint that a detector's network cannot begin with.

    Raises:
        SpecError: there is no such checkpoint, it is of another detector, the detector has no network, or
            folds are asked for, whose judged videos the checkpoint may have learnt from.
    """
    if checkpoint not in names(root):
        raise unknown_name("checkpoint", checkpoint, names(root))
    if cls.trainable is Detector.trainable:
        raise SpecError(
            f"Detector {detector!r} has no network of its own, so it cannot start from a checkpoint. "
            "Leave --start-from out."
        )
    found = load(root, checkpoint).detector
    if found != detector:
        raise SpecError(
            f"Checkpoint {checkpoint!r} is of detector {found!r}, expected {detector!r}: its weights do "
            "not fit."
        )
    if folds:
        raise SpecError(
            f"--folds with --start-from: {checkpoint!r} may have learnt from the videos that a fold keeps "
            "out. Ask for one of the two."
        )


def start_of(root: Root, checkpoint: str, model: str, contents: Collection[str]) -> Model:
    """Return the checkpoint's model of the same camera, or its pooled one, to begin a fit on videos with.

    Raises:
        SpecError: it has learnt from some of the videos, and the fit might hold those out.
        StoreError: it has neither model.
    """
    found = load(root, checkpoint).model_for(root, model)[1]
    known = {video["content"] for video in all_videos(found.facts)}
    if known & set(contents) and known != set(contents):
        raise SpecError(
            f"{len(known & set(contents))} of {len(contents)} training videos of model {model!r} are "
            f"among those that {checkpoint!r} learnt from: they might be held out now, and thresholds "
            "would be too low. Train on the very videos that it was trained on, or on others alone."
        )
    return found
