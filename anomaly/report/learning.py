"""What a report says of the model behind it: how its networks learnt, and what flatters its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anomaly.checkpoints import load, names
from anomaly.detectors import detectors
from anomaly.evaluation.choices import choices
from anomaly.evaluation.table import PEEKS
from anomaly.report.drawing import DrawnLayer
from anomaly.storage import Root

WIDTH, HEIGHT = 240, 72
"""of a plot, in units of its view box"""


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """How bad one network was after each epoch."""

    model: str
    """camera, or `pooled`"""
    network: str
    learnt: tuple[float, ...]
    held_out: tuple[float, ...]
    best_epoch: int
    layers: tuple[DrawnLayer, ...] = ()
    """of the network; empty where an earlier version trained it"""

    @property
    def lines(self) -> dict[str, str]:
        """The points of each line in the plot, by name: every line from its lowest to its highest value."""
        both = {"learnt": self.learnt, "held_out": self.held_out}
        return {name: _points(values) for name, values in both.items() if len(values) > 1}


def curves_of(root: Root, checkpoint: str) -> tuple[LearningCurve, ...]:
    """Return the learning curves of all models of a bundle; none where nothing is trained by epochs."""
    if checkpoint not in names(root):
        return ()
    models = load(root, checkpoint).facts(root)
    return tuple(
        LearningCurve(
            model=model,
            network=network,
            learnt=tuple(curve["learnt"]),
            held_out=tuple(curve["held_out"]),
            best_epoch=curve["best_epoch"],
            layers=tuple(
                DrawnLayer(**{**layer, "shape": tuple(layer["shape"])})
                for layer in curve.get("layers", ())
            ),
        )
        for model, facts in models.items()
        for network, curve in facts.get("curves", {}).items()
    )


def warnings_of(root: Root, checkpoint: str) -> Iterator[str]:
    """Yield what a reader of a bundle's figures must know, a sentence each."""
    if checkpoint in names(root) and detectors().get(load(root, checkpoint).detector).peeks:
        yield PEEKS
    for choice in choices(root, checkpoint):
        if choice.in_words():
            yield choice.in_words()


def _points(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = WIDTH / (len(values) - 1)
    return " ".join(
        f"{number * step:.1f},{HEIGHT * (high - value) / span:.1f}"
        for number, value in enumerate(values)
    )
