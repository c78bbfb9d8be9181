"""`verdicts`: take in what people said of events, and make use of it: a threshold, labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from anomaly import checkpoints
from anomaly.catalog import Catalog, LedgerRow, archives_with_tables
from anomaly.checkpoints import Checkpoint, Model
from anomaly.datasets.labels import IGNORE, Interval, Truth
from anomaly.datasets.writing import write_labels
from anomaly.errors import SpecError
from anomaly.registry import unknown_name
from anomaly.scores import ScoreSpec
from anomaly.scores.judged import Judged, Proposal, propose
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import Partition, read_events, read_partition
from anomaly.scores.threshold import SECONDS_A_DAY
from anomaly.scores.verdicts import (
    Said,
    Verdict,
    add_verdicts,
    archives_with_verdicts,
    exported,
    match,
    parse_verdict,
    parse_verdicts,
    read_verdicts,
)
from anomaly.spec import from_dict
from anomaly.storage import Root
from anomaly.verbs.events import find_event
from anomaly.verbs.score import choose_checkpoint

ABNORMAL = "abnormal"
"""category of what somebody called real"""
_SLACK_SECONDS = 1e-3
"""the report's page rounds times to it"""

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What was taken in."""

    file: str
    verdicts: int
    """in the file"""
    new: int
    """that told something new"""
    archives: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {**asdict(self), "archives": list(self.archives)}


def import_verdicts(root: Root, file: Path) -> ImportSummary:
    """Take in a file that the report's page, or `export_verdicts`, has written.

    Taking it in again changes nothing.

    Raises:
        SpecError: the file cannot be read, holds something else, or is about an unknown archive.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read verdicts {str(file)!r}: {error.strerror}.") from error
    verdicts = parse_verdicts(data, str(file))
    known = archives_with_tables(root)
    archives = tuple(sorted({verdict.archive for verdict in verdicts}))
    for name in archives:
        if name not in known:
            raise unknown_name(f"archive in {root.url}", name, known)
    new = add_verdicts(root, verdicts)
    return ImportSummary(file=str(file), verdicts=len(verdicts), new=new, archives=archives)


def give_verdict(root: Root, event_id: str, said: Said, note: str = "") -> Verdict:
    """Say of one event (its id, or how it begins) what it is; return the verdict.

    Raises:
        SpecError: there is no such event, or several; or the note is too long.
    """
    event = find_event(root, event_id)
    names = ("event_id", "archive", "camera", "video", "start_seconds", "stop_seconds")
    given = {"verdict": said, "note": note, "decided_at": datetime.now(UTC)}
    verdict = parse_verdict({**{name: event[name] for name in names}, **given}, "verdict")
    add_verdicts(root, [verdict])
    return verdict


def list_verdicts(root: Root, archive: str = "") -> list[Verdict]:
    """Return the verdicts of one archive, or of all, by archive, video and time.

    Raises:
        SpecError: there is no such archive.
    """
    if archive and archive not in archives_with_tables(root):
        raise unknown_name("archive", archive, archives_with_tables(root))
    names = [archive] if archive else archives_with_verdicts(root)
    return [verdict for name in names for verdict in read_verdicts(root, name).values()]


def export_verdicts(root: Root, archive: str = "") -> dict[str, Any]:
    """Return the verdicts of an archive as the plain content of a file that `import` reads.

    Args:
        root: the root.
        archive: its name; may be left out where only one has verdicts.

    Raises:
        SpecError: it is not clear which archive.
    """
    name = the_archive(root, archive)
    verdicts = list(read_verdicts(root, name).values())
    return exported(name, checkpoints.current(root) or "", verdicts)


def the_archive(root: Root, name: str) -> str:
    """Return the named archive, or the only one that has verdicts.

    Raises:
        SpecError: there is no such archive, or none, or several have verdicts.
    """
    known, judged = archives_with_tables(root), archives_with_verdicts(root)
    if name and name not in known:
        raise unknown_name("archive", name, known)
    if not name and len(judged) != 1:
        found = (
            f"{len(judged)} archives have some: {', '.join(judged)}" if judged else "none yet"
        )
        raise SpecError(f"Verdicts of which archive? Found {found}; name one with --archive.")
    return name or judged[0]


@dataclass(frozen=True, kw_only=True)
class ThresholdSummary:
    """A threshold that verdicts propose, and what it would do."""

    archive: str
    checkpoint: str
    """that the verdicts were given for, or applied to"""
    proposal: Proposal
    thresholds: Mapping[str, tuple[float, float]]
    """by model: today's, and the proposed one"""
    into: str
    """bundle that has the proposed thresholds; empty: they were only proposed"""

    @property
    def in_words(self) -> str:
        """What is proposed, on what it rests and what it costs, for people."""
        found = self.proposal
        low, high = found.one_in_days_interval
        rests = (
            f"{found.real + found.false} verdicts ({found.real} real, {found.false} false; {found.unsure} "
            f"unsure and {found.unjudged} without a verdict count as false) in {found.camera_days:.2f} "
            "camera-days"
        )
        if found.raises:
            proposal = (
                f"Make an event of what is rarer than once in {found.one_in_days:.3g} days "
                f"(95 % interval {low:.3g} to {high:.3g})."
            )
        else:
            proposal = (
                "Keep the threshold: false alarms keep to the budget. Verdicts cannot lower it."
            )
        lines = [
            f"{proposal} It rests on {rests}.",
            "False alarms a camera and day: {:.2f} (95 % interval {:.2f} to {:.2f}), budget {:g}.".format(
                found.false_alarms_per_camera_day, *found.false_alarms_interval, found.budget
            ),
            "Real events kept: {} of {} (95 % interval of the share {:.0%} to {:.0%}).".format(
                found.real_kept, found.real, *found.real_kept_interval
            ),
            "These figures peek: the verdicts that set the threshold are those that are counted.",
            *(
                f"Model {name}: threshold {now:.3f}, proposed {then:.3f}."
                for name, (now, then) in sorted(self.thresholds.items())
            ),
        ]
        if self.into:
            lines.append(
                f"Checkpoint {self.into} has it now and is the current one: score again."
            )
        else:
            lines.append(
                "Nothing was changed; --into NAME makes a checkpoint with this threshold."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        proposal = asdict(self.proposal)
        proposal = {k: list(v) if isinstance(v, tuple) else v for k, v in proposal.items()}
        return {
            "archive": self.archive,
            "checkpoint": self.checkpoint,
            "into": self.into,
            **proposal,
            "alarms_per_camera_day": self.proposal.alarms_per_camera_day,
            "thresholds": {
                name: {"now": now, "proposed": then}
                for name, (now, then) in self.thresholds.items()
            },
            "peeks": True,  # the verdicts are about the very video that is counted
        }


def threshold(
    root: Root,
    *,
    archive: str = "",
    checkpoint: str = "",
    budget: float | None = None,
    since: str = "",
    into: str = "",
) -> ThresholdSummary:
    """Propose the threshold at which the events that people called false keep to a budget.

    Args:
        root: the root.
        archive: name of the archive; may be left out where only one has verdicts.
        checkpoint: whose events; the current one by default.
        budget: false alarms a camera and day; the bundle's own by default.
        since: first camera-local date that was reviewed, `YYYY-MM-DD`; all by default.
        into: name of a new bundle with the same models at that threshold, made the current one.

    Raises:
        SpecError: there are too few verdicts, no threshold keeps to the budget; or there is nothing to
            set, or the name is taken.
    """
    name = the_archive(root, archive)
    bundle = choose_checkpoint(root, checkpoint)
    if into in checkpoints.names(root):
        raise SpecError(f"Checkpoint {into!r} exists; name another one with --into.")
    spec = from_dict(ScoreSpec, bundle.scores)
    proposal = propose(
        _judged(root, name, bundle.name, since),
        camera_days=_camera_days(root, name, bundle.name, since),
        budget=spec.alarms_per_camera_day if budget is None else budget,
        shown_from_days=1 / spec.alarms_per_camera_day,
    )
    if into and not proposal.raises:
        raise SpecError(
            f"False alarms keep to the budget of {proposal.budget:g} a camera and day already "
            f"({proposal.false_alarms_per_camera_day:.2f} were counted): there is nothing to set."
        )
    models = {model: bundle.model_for(root, model)[1] for model in bundle.models}
    wanted = replace(spec, alarms_per_camera_day=proposal.alarms_per_camera_day)
    found = ThresholdSummary(
        archive=name,
        checkpoint=bundle.name,
        proposal=proposal,
        thresholds={
            model: (
                ScoreStages.load(known.stages, spec).threshold,
                ScoreStages.load(known.stages, wanted).threshold,
            )
            for model, known in models.items()
        },
        into=into,
    )
    if into:
        _set(root, bundle, models, wanted, found)
    return found


def _set(
    root: Root,
    bundle: Checkpoint,
    models: Mapping[str, Model],
    spec: ScoreSpec,
    found: ThresholdSummary,
) -> None:
    """Publish the bundle under its new name, with what its thresholds rest on, and make it current."""
    proposal = found.proposal
    rests_on = {
        "archive": found.archive,
        "checkpoint": found.checkpoint,
        "real": proposal.real,
        "false": proposal.false,
        "peeks": True,
    }
    renewed = {
        name: replace(
            model,
            facts={
                **model.facts,
                **ScoreStages.load(model.stages, spec).facts,
                # counted at the former threshold
                "achieved_alarms_per_camera_day": None,
                "held_out_events": None,
                "verdicts": rests_on,
            },
        )
        for name, model in models.items()
    }
    plain = {**bundle.scores, "alarms_per_camera_day": spec.alarms_per_camera_day}
    checkpoints.save(root, replace(bundle, name=found.into, scores=plain, models={}), renewed)
    checkpoints.set_current(root, found.into)


def _judged(root: Root, archive: str, checkpoint: str, since: str) -> list[Judged]:
    events = [
        row
        for row in _events(root, archive, checkpoint, since)
        if row["one_in_days"] is not None
    ]
    said = match(read_verdicts(root, archive).values(), events)
    return [
        Judged(
            row["one_in_days"],
            said[row["event_id"]].verdict if row["event_id"] in said else "none",
        )
        for row in events
    ]


def _events(root: Root, archive: str, checkpoint: str, since: str = "") -> list[dict[str, Any]]:
    """Return the rows of the events table in the days from `since` on."""
    scored = Catalog(root, archive).scored(checkpoint)
    rows: list[dict[str, Any]] = read_events(root, archive, checkpoint).to_pylist()
    return [
        row for row in rows if row["video"] in scored and scored[row["video"]].date >= since
    ]


def _camera_days(root: Root, archive: str, checkpoint: str, since: str) -> float:
    """Return the playing time that could make events, in days."""
    catalog = Catalog(root, archive)
    rows = catalog.rows()
    seconds = sum(
        max(0.0, (rows[row.uri].duration_seconds or 0.0) - row.seconds_outside)
        for row in catalog.scored(checkpoint).values()
        if row.date >= since and row.uri in rows
    )
    if not seconds:
        raise SpecError(
            f"Checkpoint {checkpoint!r} has scored no video of {archive!r}"
            + (f" since {since}." if since else ". Score it first.")
        )
    return seconds / SECONDS_A_DAY


@dataclass(frozen=True, kw_only=True)
class LabelsSummary:
    """What a label file made from verdicts says."""

    path: str
    videos: int
    stretches: Mapping[str, int]
    """how many are real, false, unsure, unjudged (`none`)"""
    left_out: tuple[str, ...]
    """videos with verdicts but without scores, whose frames are not known"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            **asdict(self),
            "stretches": dict(self.stretches),
            "left_out": list(self.left_out),
        }


def write_verdict_labels(
    root: Root, out: Path, *, archive: str = "", checkpoint: str = "", judged_only: bool = False
) -> LabelsSummary:
    """Write a label file of all videos with a verdict, for training and evaluation.

    Real is abnormal, false is normal, unsure is ignored, and so are events that nobody has judged.
    All else was never shown to anybody: it counts as normal, as video without labels does in training;
    `judged_only` has it ignored, for evaluation and for detectors that learn from labels.

    Raises:
        SpecError: there is no verdict, none of the videos has scores, or the file cannot be written.
    """
    name = the_archive(root, archive)
    verdicts = read_verdicts(root, name)
    bundle = choose_checkpoint(root, checkpoint)
    ledger = Catalog(root, name).scored(bundle.name)
    wanted = sorted({verdict.video for verdict in verdicts.values()})
    videos = [video for video in wanted if video in ledger]
    if not videos:
        raise SpecError(
            f"Archive {name!r} has {len(verdicts)} verdicts, on {len(wanted)} videos; checkpoint "
            f"{bundle.name!r} has scores of none of them, and their frames are not known. Score them first."
        )
    stretches = _stretches(verdicts.values(), _events(root, name, bundle.name))
    counts: dict[str, int] = defaultdict(int)
    truths = {}
    for video, seconds_T in _seconds(root, name, bundle.name, [ledger[v] for v in videos]):
        truths[video] = _truth(seconds_T, stretches[video], judged_only=judged_only)
        for stretch in stretches[video]:
            counts[stretch.said] += 1
    write_labels(out, {video: truths[video] for video in sorted(truths)})
    return LabelsSummary(
        path=str(out),
        videos=len(truths),
        stretches=dict(counts),
        left_out=tuple(video for video in wanted if video not in ledger),
    )


@dataclass(frozen=True)
class _Stretch:
    """A part of a video that somebody judged, or that is an event and still to be judged."""

    start_seconds: float
    stop_seconds: float
    said: str


def _stretches(verdicts: Iterable[Verdict], events: Sequence[Row]) -> dict[str, list[_Stretch]]:
    """Return by video what was looked at and what are events now, each with the verdict that counts."""
    verdicts = list(verdicts)
    rows = {one.event_id: one.to_json() for one in verdicts} | {
        row["event_id"]: row for row in events
    }
    said = match(verdicts, rows.values())
    found: dict[str, list[_Stretch]] = defaultdict(list)
    for event_id, row in rows.items():
        verdict = said[event_id].verdict if event_id in said else "none"
        found[row["video"]].append(_Stretch(row["start_seconds"], row["stop_seconds"], verdict))
    return found


def _seconds(
    root: Root, archive: str, checkpoint: str, rows: Iterable[LedgerRow]
) -> Iterable[tuple[str, np.ndarray]]:
    """Yield each video with the time of every frame; a camera-day is read once."""
    by_day: dict[Partition, list[str]] = defaultdict(list)
    for row in rows:
        day = Partition(
            archive=archive, checkpoint=checkpoint, camera=row.camera, date=row.date
        )
        by_day[day].append(row.uri)
    for day, videos in by_day.items():
        table = read_partition(root, day, columns=["video", "seconds"])
        for video in videos:
            yield video, table.filter(pc.equal(table["video"], video))["seconds"].to_numpy()


def _truth(seconds_T: np.ndarray, stretches: Iterable[_Stretch], *, judged_only: bool) -> Truth:
    n_frames = len(seconds_T)
    intervals = []
    judged_T = np.zeros(n_frames, dtype=bool)
    for stretch in sorted(stretches, key=lambda one: one.start_seconds):
        ends = np.array([stretch.start_seconds, stretch.stop_seconds]) - _SLACK_SECONDS
        start, stop = np.searchsorted(seconds_T, ends).tolist()
        stop = max(stop, start + 1)
        if start >= n_frames:
            continue
        if stretch.said in {"real", "false"}:
            judged_T[start:stop] = True
        if stretch.said != "false":
            category = ABNORMAL if stretch.said == "real" else IGNORE
            intervals.append(Interval(start, min(stop, n_frames), category))
    if judged_only:
        edges = np.flatnonzero(np.diff(~judged_T, prepend=False, append=False))
        unseen = edges.reshape(-1, 2).tolist()
        intervals += [Interval(start, stop, IGNORE) for start, stop in unseen]
    return Truth(n_frames, tuple(intervals))
