"""`evaluate`: join stored scores with labels and say how good they are, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly.checkpoints import Checkpoint
from anomaly.datasets.labels import LabelSet, check_known, read_labels
from anomaly.detectors import detectors
from anomaly.errors import SpecError
from anomaly.evaluation.compare import curves_of
from anomaly.evaluation.evaluate import Evaluation, evaluate_scores
from anomaly.evaluation.results import record, record_curves
from anomaly.fanout import FanOut
from anomaly.storage import open_root
from anomaly.verbs.look import Look, look
from anomaly.verbs.score import choose_checkpoint, score_missing
from anomaly.verbs.spatial import SpatialSummary, evaluate_places
from anomaly.verbs.stored import sanity_scores, stored_scores
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import select


@dataclass(frozen=True, kw_only=True)
class EvaluateSummary:
    """The figures of one checkpoint on one set of labels."""

    archive: str
    checkpoint: str
    evaluation: Evaluation
    trained_on: tuple[str, ...]
    """labelled videos left out because the checkpoint was fitted on them"""
    unscored: tuple[str, ...]
    """labelled videos without scores of this checkpoint"""
    detector_peeks: bool = False
    """the detector uses statistics of the very videos that it is judged on"""
    threshold_verdicts: int = 0
    """verdicts on scored video that the thresholds rest on"""
    places: SpatialSummary | None = None
    """how well places are found; None: no masks were given"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "archive": self.archive,
            "checkpoint": self.checkpoint,
            **self.evaluation.to_json(),
            "videos_trained_on_left_out": len(self.trained_on),
            "videos_without_scores": len(self.unscored),
            "detector_peeks": self.detector_peeks,
            "threshold_verdicts": self.threshold_verdicts,
            "spatial": None if self.places is None else self.places.to_json(),
        }


def evaluate(
    root: str,
    archive: ArchiveSpec,
    *,
    labels: str,
    checkpoint: str = "",
    videos: Sequence[str] = (),
    masks: str = "",
    seed: int = 0,
    fan_out: FanOut | None = None,
) -> EvaluateSummary:
    """Evaluate the scores of a checkpoint on the labelled videos it was not fitted on.

    Stored scores are taken as they are; with `fan_out`, videos without any are scored first. With
    `masks`, a folder that says which pixels are abnormal, places are judged too, from stored features.

    Nor on others of their groups. Only a detector whose scope is the batch is judged on the videos that it
    was fitted on: it has no others, learns from no label, and its figures are marked.

    Raises:
        SpecError: a label names an unknown video, no labelled video has scores, or masks do not fit.
    """
    bundle = choose_checkpoint(open_root(root), checkpoint)
    truth = read_labels(Path(labels))
    seen = look_labelled(root, archive, [bundle], truth, videos, fan_out)
    labelled = labelled_videos(seen, truth, videos)
    trained = trained_on(seen, bundle, truth)
    ledger = seen.catalog.scored(bundle.name)
    wanted = [uri for uri in labelled if uri in ledger and uri not in trained]
    if not wanted:
        raise SpecError(
            f"None of {len(labelled)} labelled videos can be evaluated: "
            f"{sum(uri in trained for uri in labelled)} were trained on and "
            f"{sum(uri not in ledger for uri in labelled)} have no scores of {bundle.name!r}. "
            "Score them first: anomaly score."
        )
    scores = stored_scores(seen, bundle, wanted)
    evaluation = evaluate_scores(
        scores, truth, seed=seed, sanity=sanity_scores(seen, bundle, wanted)
    )
    record(seen.root, seen.archive, bundle.name, evaluation)
    curves = curves_of(scores, truth, seed=seed)
    if curves is not None:
        record_curves(seen.root, seen.archive, bundle.name, curves)
    return EvaluateSummary(
        archive=seen.archive,
        checkpoint=bundle.name,
        evaluation=evaluation,
        trained_on=tuple(uri for uri in labelled if uri in trained),
        unscored=tuple(uri for uri in labelled if uri not in ledger),
        detector_peeks=detectors().get(bundle.detector).peeks,
        threshold_verdicts=_threshold_verdicts(seen, bundle),
        places=_places(seen, bundle, wanted, masks, seed),
    )


def _places(
    seen: Look, bundle: Checkpoint, uris: Sequence[str], masks: str, seed: int
) -> SpatialSummary | None:
    return evaluate_places(seen, bundle, uris, Path(masks), seed=seed) if masks else None


def _threshold_verdicts(seen: Look, bundle: Checkpoint) -> int:
    facts = bundle.describe(seen.root)["models"].values()
    behind = (one.get("verdicts") for one in facts)
    return max((one["real"] + one["false"] for one in behind if one), default=0)


def labelled_videos(seen: Look, truth: LabelSet, globs: Sequence[str]) -> list[str]:
    """Return the labelled videos of the archive, in the order of the labels."""
    chosen = {file.uri for file in seen.chosen(globs)}
    return [uri for uri in truth.videos if uri in chosen]


def look_labelled(
    root: str,
    archive: ArchiveSpec,
    bundles: Sequence[Checkpoint],
    truth: LabelSet,
    globs: Sequence[str],
    fan_out: FanOut | None,
) -> Look:
    """Look at an archive whose videos the labels name.

    With `fan_out`, labelled videos that some bundle has not scored and was not fitted on are scored.

    Raises:
        SpecError: a label names an unknown video, or a glob no video.
    """

    def check(files: Sequence[VideoFile]) -> None:
        check_known(truth, [file.uri for file in files])
        select(files, globs)

    seen = look(root, archive, check=check)
    if fan_out is None:
        return seen
    labelled = set(labelled_videos(seen, truth, globs))
    for bundle in bundles:
        wanted = labelled - trained_on(seen, bundle, truth)
        files = [file for file in seen.files if file.uri in wanted]
        score_missing(seen, seen.usable(files), bundle, fan_out=fan_out)
    return look(root, archive)


def trained_on(seen: Look, bundle: Checkpoint, truth: LabelSet) -> set[str]:
    """Return the videos whose bytes some model of the bundle was fitted on, and others of their groups.

    None for a detector whose scope is the batch.
    """
    if detectors().get(bundle.detector).scope == "batch":
        return set()
    contents = bundle.trained_contents(seen.root)
    learnt = {uri for uri, row in seen.rows.items() if row.content in contents}
    groups = {truth.group(uri) for uri in learnt} - {""}
    return learnt | {uri for uri in truth.videos if truth.group(uri) in groups}
