"""`sweep`: a small grid of detectors and their options on one archive, compared by one honest figure.

What is chosen by must not be what the choice is judged on. Trials are compared by cross-validation over
labelled training videos (`folds`), or on `validation` videos; the best one alone is then judged on `test`
videos, once. To choose by the test videos themselves is possible, has to be asked for, and is marked for
ever after.
"""

from __future__ import annotations

import csv
import io
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from anomaly.datasets.labels import LabelSet, read_labels
from anomaly.errors import SpecError
from anomaly.evaluation.choices import Choice, record_choice, table_key
from anomaly.fanout import FanOut
from anomaly.spec import canonical_json, fingerprint, from_dict, spec
from anomaly.storage import open_root
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find, select

Options = dict[str, Any]


@spec
class TrialSpec:
    """One detector with a grid of options."""

    detector: str = "knn"
    """see `anomaly list detectors`"""
    backbones: tuple[str, ...] = ("motion",)
    """where features come from"""
    backbone_options: Options = Field(default_factory=dict)
    """parameters of the backbones"""
    options: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    """parameters of the detector, each with the list of values to be tried; every combination is"""


@spec
class SweepSpec:
    """What is tried, on which videos, and by which it is chosen."""

    archive: ArchiveSpec
    """where the videos are"""
    labels: str
    """label file"""
    trials: Annotated[tuple[TrialSpec, ...], Field(min_length=1)]
    """detectors, each with a grid of options"""
    train: tuple[str, ...] = ()
    """globs of the videos to train on; all without"""
    folds: Annotated[int, Field(ge=0)] = 0
    """compare by cross-validation over so many folds of the labelled training videos"""
    validation: tuple[str, ...] = ()
    """globs of labelled videos to compare by, where there are no folds"""
    test: tuple[str, ...] = ()
    """globs of labelled videos that the best trial alone is judged on"""
    seed: int = 0
    """seed of everything random"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination, and what it came to."""

    number: int
    detector: str
    backbones: tuple[str, ...]
    options: Options
    checkpoint: str
    metric: str
    value: float | None
    low: float | None
    high: float | None

    def row(self) -> dict[str, Any]:
        """Return the trial as a row of the table."""
        return {
            "trial": self.number,
            "detector": self.detector,
            "backbones": "+".join(self.backbones),
            "options": canonical_json(self.options),
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "checkpoint": self.checkpoint,
        }


@dataclass(frozen=True, kw_only=True)
class SweepSummary:
    """The comparison."""

    name: str
    chosen_by: Literal["folds", "validation", "test"]
    """test: the best figure is too good, since it was chosen by the videos that it is about"""
    trials: tuple[Trial, ...]
    """the best first"""
    test: Mapping[str, Any] | None
    """the best trial's evaluation on the test videos, if there are any"""
    table: str
    """where the table lies, as CSV"""

    @property
    def choice(self) -> Choice:
        """The best trial, and what it was chosen by."""
        best = self.trials[0].checkpoint
        return Choice(checkpoint=best, among=len(self.trials), chosen_by=self.chosen_by)

    @property
    def warning(self) -> str:
        """What a reader of the best figure must know; empty: nothing."""
        return self.choice.in_words()

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "sweep": self.name,
            "chosen_by": self.chosen_by,
            "selected_on_test": self.chosen_by == "test",
            "warning": self.warning,
            "best": self.trials[0].checkpoint,
            "trials": [trial.row() for trial in self.trials],
            "test": None if self.test is None else dict(self.test),
            "table": self.table,
        }


def read_sweep(path: Path) -> SweepSpec:
    """Read a sweep from a TOML file.

    Raises:
        SpecError: there is no such file, it is no TOML, or a field is unknown or wrong.
    """
    try:
        return from_dict(SweepSpec, tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise SpecError(f"The sweep {str(path)!r} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"The sweep {str(path)!r} is no TOML: {error}.") from error


def sweep(
    root: str, request: SweepSpec, *, select_on_test: bool = False, fan_out: FanOut
) -> SweepSummary:
    """Train every combination into a bundle of its own, compare them, judge the best on test videos.

    The current bundle stays as it is.

    Raises:
        SpecError: what to choose by is missing, given twice, or not apart from the test videos.
    """
    chosen_by = _chosen_by(request, select_on_test=select_on_test)
    _check_apart(request, read_labels(Path(request.labels)))
    name = f"sweep-{fingerprint(request)[:8]}"
    trials = [
        _tried(root, request, one, f"{name}-{number:02d}", chosen_by, fan_out)
        for number, one in enumerate(_combinations(request), start=1)
    ]
    trials.sort(key=lambda trial: (trial.value is None, -(trial.value or 0.0), trial.number))
    test = None
    if request.test and chosen_by != "test":
        test = _judged(root, request, trials[0].checkpoint, request.test, fan_out)
    summary = SweepSummary(
        name=name,
        chosen_by=chosen_by,
        trials=tuple(trials),
        test=test,
        table=open_root(root).address(table_key(name)),
    )
    table = _csv([trial.row() for trial in trials])
    record_choice(open_root(root), name, summary.choice, table)
    return summary


def _chosen_by(
    request: SweepSpec, *, select_on_test: bool
) -> Literal["folds", "validation", "test"]:
    """Say what trials are compared by.

    Raises:
        SpecError: there is nothing to compare by, or more than one thing.
    """
    if bool(request.folds) + bool(request.validation) + select_on_test > 1:
        raise SpecError(
            "Trials are compared by one thing: folds, validation videos, or --select-on-test. "
            "Give one of them."
        )
    if request.folds:
        return "folds"
    if request.validation:
        return "validation"
    if not select_on_test:
        raise SpecError(
            "The sweep names neither folds nor validation videos, so trials would be compared by the very "
            "videos that they are judged on. Set `folds` or `validation`; or say --select-on-test, and the "
            "figures are marked as too good."
        )
    if not request.test:
        raise SpecError(
            "--select-on-test compares trials by the test videos: name them as `test`."
        )
    return "test"


def _check_apart(request: SweepSpec, labels: LabelSet) -> None:
    """Refuse a video, or a group of videos, on more than one side.

    Raises:
        SpecError: a side matches nothing, or two sides share a video or a group.
    """
    files = find(request.archive, name=request.archive.name)
    sides = {"train": request.train, "validation": request.validation, "test": request.test}
    named = {side: select(files, globs) for side, globs in sides.items() if globs}
    for (one, left), (other, right) in itertools.combinations(named.items(), 2):
        shared = _units(left, labels) & _units(right, labels)
        if shared:
            raise SpecError(
                f"{one} and {other} share {min(shared)!r}: expected every video, with all of its "
                "group, on one side."
            )


def _units(files: Sequence[VideoFile], labels: LabelSet) -> set[str]:
    return {labels.group(file.uri) or file.uri for file in files}


def _combinations(request: SweepSpec) -> Iterator[tuple[TrialSpec, Options]]:
    """Yield every detector with every combination of its options."""
    for one in request.trials:
        names = list(one.options)
        for values in itertools.product(*one.options.values()):
            yield one, dict(zip(names, values, strict=True))


def _tried(
    root: str,
    request: SweepSpec,
    one: tuple[TrialSpec, Options],
    name: str,
    chosen_by: str,
    fan_out: FanOut,
) -> Trial:
    trial, options = one
    trained = train(
        root,
        request.archive,
        TrainRequest(
            detector=trial.detector,
            detector_parameters=options,
            backbones=trial.backbones,
            backbone_parameters=trial.backbone_options,
            seed=request.seed,
            videos=request.train,
            labels=request.labels,
            into=name,
            folds=request.folds,
            make_current=False,
        ),
        fan_out=fan_out,
    )
    if chosen_by == "folds":
        metric, figures = "video_auc", dict(trained.folds or {})
    else:
        globs = request.validation if chosen_by == "validation" else request.test
        metric, figures = "frame_auc_micro", _judged(root, request, name, globs, fan_out)
    low, high = figures[f"{metric}_interval"] or (None, None)
    return Trial(
        number=int(name.rsplit("-", 1)[1]),
        detector=trial.detector,
        backbones=trial.backbones,
        options=options,
        checkpoint=name,
        metric=metric,
        value=figures[metric],
        low=low,
        high=high,
    )


def _judged(
    root: str, request: SweepSpec, name: str, globs: Sequence[str], fan_out: FanOut
) -> dict[str, Any]:
    """Return the evaluation of one bundle on some labelled videos."""
    score(root, request.archive, checkpoint=name, videos=globs, fan_out=fan_out)
    found = evaluate(
        root,
        request.archive,
        labels=request.labels,
        checkpoint=name,
        videos=globs,
        seed=request.seed,
    )
    return found.to_json()


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
