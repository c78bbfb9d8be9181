"""Accuracy on real video: `motion` and `knn` with their defaults.

Ped2: trained on its normal clips, tested on the 7 test clips that have labels. Coffee room (falls):
trained on the normal frames of half of the 24 clips, tested on the other half, both ways, for two
ways of halving. Half of it is about 100 seconds of normal footage. Where nobody came close to the
camera in these, somebody who does (clip 15) scores like a fall, which is what the second half
misses about the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.harness import (
    Done,
    Figure,
    anomaly,
    auc,
    globs,
    in_words,
    shared,
    workplace,
)

RECIPE = ("--backbone", "motion", "--detector", "knn")


def measure() -> list[Figure]:
    """Train, score and evaluate on both data sets."""
    return [*_ped2(), *_coffeeroom()]


def _ped2() -> list[Figure]:
    archive = shared("ped2")
    with workplace() as root:
        trained, scored, answer = learn_and_judge(
            archive, root, ["train/*"], ["test/*"], archive / "labels.csv", with_labels=False
        )
    seconds = in_words(
        trained.seconds + scored.seconds, trained.cpu_seconds + scored.cpu_seconds
    )
    command = "anomaly train PED2 --videos 'train/*'; score --videos 'test/*'; evaluate --labels labels.csv"
    sanity = answer["sanity"]["frame_difference"]
    unscored = answer["frames_without_score"]
    return [
        Figure("Ped2 AUC", auc(answer), "at least 95", command),
        Figure("Ped2 AUC of frame difference alone", f"{100 * sanity:.1f}", "", "the same"),
        Figure("Ped2 frames without a score", str(unscored), "0", "the same"),
        Figure(
            "Ped2 training and scoring",
            seconds,
            "under 120 s on two cores",
            "the same",
        ),
    ]


def _coffeeroom() -> list[Figure]:
    archive = shared("coffeeroom")
    clips = sorted(path.name for path in archive.glob("*.mp4"))
    middle = len(clips) // 2
    splits = {
        "first half, tested on second": (clips[:middle], clips[middle:]),
        "second half, tested on first": (clips[middle:], clips[:middle]),
        "every other clip, tested on the rest": (clips[::2], clips[1::2]),
        "the rest, tested on every other clip": (clips[1::2], clips[::2]),
    }
    figures = []
    with workplace() as root:
        for name, (learn, judge) in splits.items():
            _, _, answer = learn_and_judge(archive, root, learn, judge, archive / "labels.csv")
            command = (
                "anomaly train COFFEEROOM --labels labels.csv --videos ...; score; evaluate"
            )
            figures.append(
                Figure(
                    f"Coffee room AUC, trained on {name}", auc(answer), "at least 90", command
                )
            )
    return figures


def learn_and_judge(
    archive: Path,
    root: Path,
    learn: list[str],
    judge: list[str],
    labels: Path,
    *,
    with_labels: bool = True,
) -> tuple[Done, Done, dict[str, Any]]:
    """Train on some videos, score and evaluate others."""
    known = ["--labels", labels] if with_labels else []
    trained = anomaly("train", archive, "--root", root, *RECIPE, *globs(learn), *known)
    chosen = ["--checkpoint", trained.answer["checkpoint"], "--root", root, *globs(judge)]
    scored = anomaly("score", archive, *chosen)
    answer = anomaly("evaluate", archive, *chosen, "--labels", labels).answer
    return trained, scored, answer
