"""One-class detectors on `motion` features, each with its defaults.

Ped2: trained on its normal clips, tested on the 7 test clips that have labels. Coffee room
(falls): trained on the normal frames of every other clip, tested on the rest, and the other way
round. No detector was tuned on these figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.harness import Figure, anomaly, auc, globs, shared, workplace

DETECTORS = (
    ("knn",),
    ("gaussian",),
    ("gaussian", "components=npca"),
    ("cell_gaussian",),
    ("gmm",),
    ("isolation_forest",),
    ("predictor",),
    ("lstm_autoencoder",),
    ("memory_autoencoder",),
    ("mulde",),
)


def measure() -> list[Figure]:
    """Return AUC and the time of training for each detector and camera."""
    with workplace() as root:
        return [figure for trial in _trials() for figure in _figures(root, *trial)]


def _trials() -> Iterator[tuple[str, Path, list[str], list[str], list[object]]]:
    """Yield name, archive, training videos, test videos and more options of training."""
    ped2, coffee = shared("ped2"), shared("coffeeroom")
    yield "Ped2", ped2, ["train/*"], ["test/*"], []
    clips = sorted(path.name for path in coffee.glob("*.mp4"))
    known: list[object] = ["--labels", coffee / "labels.csv"]
    yield "coffee room", coffee, clips[::2], clips[1::2], known
    yield "coffee room, sides changed", coffee, clips[1::2], clips[::2], known


def _figures(
    root: Path,
    name: str,
    archive: Path,
    learn: list[str],
    judge: list[str],
    known: Sequence[object],
) -> Iterator[Figure]:
    anomaly("extract", archive, "--root", root)
    for detector, *options in DETECTORS:
        chosen = [part for option in options for part in ("--detector-option", option)]
        trained = anomaly(
            "train",
            archive,
            "--root",
            root,
            "--detector",
            detector,
            *chosen,
            *globs(learn),
            *known,
        )
        scored = ["--checkpoint", trained.answer["checkpoint"], "--root", root, *globs(judge)]
        anomaly("score", archive, *scored)
        answer = anomaly(
            "evaluate", archive, *scored, "--labels", archive / "labels.csv"
        ).answer
        yield Figure(
            f"{name}: `{' '.join([detector, *options])}`",
            f"{auc(answer)}; trained in {trained.seconds:.0f} s",
            "",
            f"anomaly train --detector {detector}; score; evaluate",
        )
