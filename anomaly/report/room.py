"""What the machine room of the report shows: health and drift of cameras, runs, lineage, figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from anomaly.checkpoints import load, names
from anomaly.evaluation.compare import HEADLINE, LEVEL, holm
from anomaly.evaluation.metrics import metrics
from anomaly.evaluation.results import read_curves
from anomaly.report.contents import Contents
from anomaly.report.drawing import DrawnLayer, chart, diagram
from anomaly.report.learning import LearningCurve
from anomaly.runs import Run, runs_of
from anomaly.scores.camera_drift import CameraDrift, read_drift
from anomaly.scores.drift import Drift
from anomaly.scores.health import CameraHealth, State
from anomaly.spec import canonical_json, fingerprint, to_dict
from anomaly.storage import Root

RUNS = 12
"""how many of the latest runs are shown"""
_SLIGHT, _MODERATE = 0.1, 0.25
"""stability index below which a change of scores is slight, or moderate: the usual rule of thumb"""
_CAMERA_BYTES, _MODEL_BYTES, _CHART_BYTES, _VIDEO_BYTES = 2_500, 1_500, 30_000, 200
_VIDEOS = 50
"""training videos that are named"""


@dataclass(frozen=True, kw_only=True)
class DriftRow:
    """One comparison of a camera with its training period."""

    camera: str
    what: str
    """`scores`, or `features: <input>`"""
    drift: Drift | None
    p: float | None
    """corrected after Holm for all comparisons shown"""
    words: str

    @property
    def is_drift(self) -> bool:
        """Whether chance alone hardly explains it."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """One model of the checkpoint."""

    name: str
    digest: str
    facts: Mapping[str, Any]
    videos: tuple[str, ...]
    """it was fitted on, the first ones"""
    videos_in_all: int


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a checkpoint comes from."""

    detector: str
    parameters: tuple[tuple[str, str], ...]
    recipes: tuple[tuple[str, str, str], ...]
    """input, fingerprint, everything that decides its numbers"""
    scores: tuple[tuple[str, str], ...]
    models: tuple[ModelRow, ...]
    trainings: tuple[Run, ...]
    """runs that made it, the first one first"""


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Curves on one set of labels."""

    label_set: str
    roc: Markup
    precision_recall: Markup


@dataclass(frozen=True, kw_only=True)
class Network:
    """What some networks of the checkpoint are made of."""

    models: tuple[str, ...]
    """whose they are"""
    layers: int
    parameters: int
    """numbers that each of them has learnt"""
    diagram: Markup


@dataclass(frozen=True, kw_only=True)
class Room:
    """Everything that the machine room shows beside what `Contents` holds."""

    cameras: tuple[CameraHealth, ...]
    """those in trouble first"""
    drifts: tuple[DriftRow, ...]
    runs: tuple[Run, ...]
    """the latest first"""
    lineage: Lineage | None
    """None where there is no such checkpoint"""
    figures: tuple[Mapping[str, Any], ...]
    """rows of evaluations with `meaning` and `peeks`: the headline first, what peeks last"""
    charts: tuple[Charts, ...]
    networks: tuple[Network, ...]
    """each kind once"""

    @property
    def text_bytes(self) -> int:
        """About what it takes on the page, rather too much."""
        models = self.lineage.models if self.lineage else ()
        return (
            _CAMERA_BYTES * (len(self.cameras) + len(self.drifts) + len(self.runs))
            + sum(_MODEL_BYTES + _VIDEO_BYTES * len(model.videos) for model in models)
            + _CHART_BYTES * 2 * len(self.charts)
            + sum(len(network.diagram) for network in self.networks)
        )


def room_of(root: Root, contents: Contents) -> Room:
    """Return what is known of the machinery behind a report."""
    archive, checkpoint = contents.archive, contents.checkpoint
    runs = runs_of(root, archive)
    order: tuple[State, ...] = ("missing", "degraded", "ok")
    return Room(
        cameras=tuple(
            sorted(contents.headline.cameras, key=lambda one: order.index(one.state))
        ),
        drifts=tuple(_drifts(read_drift(root, archive, checkpoint).values())),
        runs=tuple(runs[: -RUNS - 1 : -1]),
        lineage=_lineage(root, checkpoint, runs) if checkpoint in names(root) else None,
        figures=tuple(_ordered(contents.evaluations)),
        charts=tuple(_charts(root, archive, checkpoint)),
        networks=tuple(_networks(contents.learning)),
    )


def _ordered(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found = [
        {**row, "meaning": metrics().get(name).meaning, "peeks": metrics().get(name).peeks}
        for row in rows
        if (name := row["metric"]) in metrics().names()
    ]
    return sorted(
        found,
        key=lambda row: (
            row["label_set"],
            row["peeks"],
            row["metric"] != HEADLINE,
            row["metric"],
        ),
    )


# ---- drift -------------------------------------------------------------------------------------------


def _drifts(measured: Iterable[CameraDrift]) -> list[DriftRow]:
    pairs = [
        (camera, what, drift)
        for camera in measured
        for what, drift in [
            ("scores", camera.scores),
            *((f"features: {name}", one) for name, one in camera.features.items()),
        ]
    ]
    p_values = holm([drift.p for _, _, drift in pairs if drift is not None])
    corrected = iter(p_values)
    rows = []
    for camera, what, drift in pairs:
        p = None if drift is None else next(corrected)
        words = camera.reason if drift is None else _words(drift, p or 0.0, len(p_values))
        rows.append(DriftRow(camera=camera.camera, what=what, drift=drift, p=p, words=words))
    return rows


def _words(drift: Drift, p: float, comparisons: int) -> str:
    """Say what a comparison means; `p` is corrected for so many of them."""
    if p >= LEVEL:
        can_tell = drift.least_p * comparisons < LEVEL
        return "no drift seen" if can_tell else "too little video to tell"
    if drift.higher is None:
        return "what it shows has changed"
    strength = (
        "slightly"
        if drift.size < _SLIGHT
        else "moderately"
        if drift.size < _MODERATE
        else "strongly"
    )
    return f"{strength} changed, {'higher' if drift.higher else 'lower'} in the median"


# ---- lineage -----------------------------------------------------------------------------------------


def _lineage(root: Root, checkpoint: str, runs: Iterable[Run]) -> Lineage:
    bundle = load(root, checkpoint)
    facts = bundle.facts(root)
    return Lineage(
        detector=bundle.detector,
        parameters=_pairs(bundle.parameters),
        recipes=tuple(
            (name, fingerprint(recipe), canonical_json(to_dict(recipe)))
            for name, recipe in bundle.inputs.items()
        ),
        scores=_pairs(bundle.scores),
        models=tuple(
            ModelRow(
                name=name,
                digest=digest,
                facts=facts[name],
                videos=tuple(
                    video["video"] for video in facts[name].get("videos", [])[:_VIDEOS]
                ),
                videos_in_all=len(facts[name].get("videos", [])),
            )
            for name, digest in bundle.models.items()
        ),
        trainings=tuple(
            run for run in runs if run.verb == "train" and run.checkpoint == checkpoint
        ),
    )


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, canonical_json(value)) for name, value in sorted(values.items()))


# ---- figures -----------------------------------------------------------------------------------------


def _charts(root: Root, archive: str, checkpoint: str) -> Sequence[Charts]:
    return [
        Charts(
            label_set=curves.label_set,
            roc=chart(
                {checkpoint: curves.roc},
                x="share of normal frames called abnormal",
                y="share of abnormal frames found",
                diagonal=True,
            ),
            precision_recall=chart(
                {checkpoint: curves.precision_recall},
                x="share of abnormal frames found",
                y="precision",
            ),
        )
        for curves in read_curves(root, archive, checkpoint)
    ]


def _networks(curves: Iterable[LearningCurve]) -> Iterator[Network]:
    owners: dict[tuple[DrawnLayer, ...], list[str]] = defaultdict(list)
    for curve in curves:
        owners[curve.layers].append(curve.model)
    for layers, models in owners.items():
        if layers:
            yield Network(
                models=tuple(models),
                layers=len(layers),
                parameters=sum(layer.parameters for layer in layers),
                diagram=diagram(layers),
            )
