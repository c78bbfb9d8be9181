"""`compare`: several checkpoints on the same labelled videos, and what changes for those who look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly.checkpoints import Checkpoint
from anomaly.datasets.labels import LabelSet, read_labels
from anomaly.errors import SpecError
from anomaly.evaluation.changes import Changes, changes_between
from anomaly.evaluation.compare import Comparison, compare_scores
from anomaly.evaluation.results import record
from anomaly.fanout import FanOut
from anomaly.report.comparison import render_comparison
from anomaly.scores.tables import Partition, read_partition
from anomaly.storage import open_root
from anomaly.verbs.evaluate import labelled_videos, look_labelled, trained_on
from anomaly.verbs.look import Look
from anomaly.verbs.score import choose_checkpoint
from anomaly.verbs.stored import sanity_scores, stored_scores
from anomaly.video import ArchiveSpec


@dataclass(frozen=True, kw_only=True)
class CompareSummary:
    """What a comparison came to, and where its report lies."""

    archive: str
    comparison: Comparison
    changes: Sequence[tuple[str, str, Changes]]
    """first checkpoint against each other one: both names, and the events that differ"""
    report: str

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "archive": self.archive,
            "checkpoints": {
                name: found.to_json() for name, found in self.comparison.evaluations.items()
            },
            "pairs": [pair.to_json() for pair in self.comparison.pairs],
            "events": [
                {
                    "first": first,
                    "second": second,
                    "kept": changes.kept,
                    **{kind: changes.count(kind) for kind in ("gained", "lost", "moved")},
                }
                for first, second, changes in self.changes
            ],
            "report": self.report,
        }


def compare(
    root: str,
    archive: ArchiveSpec,
    *,
    checkpoints: Sequence[str],
    labels: str,
    videos: Sequence[str] = (),
    seed: int = 0,
    fan_out: FanOut | None = None,
) -> CompareSummary:
    """Compare checkpoints on the labelled videos that none was fitted on; write a report.

    Their events are compared on all videos that both have scored, labelled or not. With `fan_out`,
    labelled videos without scores are scored first.

    Raises:
        SpecError: fewer than two checkpoints, a label names an unknown video, or no labelled
            video has scores of all checkpoints.
    """
    if len(set(checkpoints)) < 2:
        raise SpecError(
            f"Name at least two checkpoints to compare, found {', '.join(checkpoints) or 'none'}: "
            "--checkpoint A --checkpoint B. `anomaly list checkpoints` says what there is."
        )
    opened = open_root(root)
    bundles = [choose_checkpoint(opened, name) for name in dict.fromkeys(checkpoints)]
    truth = read_labels(Path(labels))
    seen = look_labelled(root, archive, bundles, truth, videos, fan_out)
    wanted = _common_videos(seen, bundles, truth, videos)
    comparison = compare_scores(
        {bundle.name: stored_scores(seen, bundle, wanted) for bundle in bundles},
        truth,
        seed=seed,
        sanity=sanity_scores(seen, bundles[0], wanted),
    )
    for name, evaluation in comparison.evaluations.items():
        record(seen.root, seen.archive, name, evaluation)
    first, *others = bundles
    changes = [
        (first.name, other.name, _changes(seen, first, other, truth)) for other in others
    ]
    key = render_comparison(
        seen.root, seen.archive, comparison, changes, time_zone=archive.time_zone
    )
    return CompareSummary(
        archive=seen.archive,
        comparison=comparison,
        changes=changes,
        report=seen.root.address(key),
    )


def _common_videos(
    seen: Look, bundles: Sequence[Checkpoint], truth: LabelSet, globs: Sequence[str]
) -> list[str]:
    """Return the labelled videos that all bundles have scored and none was fitted on."""
    labelled = labelled_videos(seen, truth, globs)
    learnt = set().union(*(trained_on(seen, bundle, truth) for bundle in bundles))
    ledgers = [seen.catalog.scored(bundle.name) for bundle in bundles]
    common = [
        uri
        for uri in labelled
        if uri not in learnt and all(uri in ledger for ledger in ledgers)
    ]
    if not common:
        counts = ", ".join(
            f"{sum(uri in ledger for uri in labelled)} have scores of {bundle.name!r}"
            for bundle, ledger in zip(bundles, ledgers, strict=True)
        )
        raise SpecError(
            f"None of {len(labelled)} labelled videos can be compared on: "
            f"{sum(uri in learnt for uri in labelled)} were trained on, {counts}. "
            "Score them first: anomaly score --checkpoint NAME."
        )
    return common


def _changes(seen: Look, first: Checkpoint, second: Checkpoint, truth: LabelSet) -> Changes:
    """Compare the events of two bundles on the videos that both have scored."""
    both = set(seen.catalog.scored(first.name)) & set(seen.catalog.scored(second.name))
    events = [
        [row for row in _events(seen, bundle) if row["video"] in both]
        for bundle in (first, second)
    ]
    return changes_between(events[0], events[1], truth)


def _events(seen: Look, bundle: Checkpoint) -> list[dict[str, Any]]:
    """Return the events of a bundle with their cameras, from the camera-days that have any."""
    ledger = seen.catalog.scored(bundle.name).values()
    eventful = sorted({(row.camera, row.date) for row in ledger if row.n_events})
    rows = []
    for camera, date in eventful:
        partition = Partition(
            archive=seen.archive, checkpoint=bundle.name, camera=camera, date=date
        )
        found = read_partition(seen.root, partition, "events").to_pylist()
        rows += [{**row, "camera": camera, "date": date} for row in found]
    return rows
