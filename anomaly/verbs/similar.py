"""`similar`: where in the archive something like an event was seen, before or since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anomaly.checkpoints import load
from anomaly.errors import AnomalyError, SpecError, StoreError
from anomaly.explain import Moment
from anomaly.explain.frames import frames_of
from anomaly.explain.neighbours import MOMENT_SECONDS, Space, nearest_moments
from anomaly.explain.overlay import plain
from anomaly.spec import to_dict
from anomaly.storage import Root
from anomaly.verbs.drawing import PICTURE
from anomaly.verbs.events import find_event
from anomaly.verbs.explain import told
from anomaly.verbs.judge import Event, Judges, Peak, Shown, moment_of
from anomaly.video.decode import DecodeProcess


@dataclass(frozen=True, kw_only=True)
class SimilarSummary:
    """What is most like an event."""

    event_id: str
    part: str
    """whose features were compared"""
    searched: int
    """videos"""
    passed_over: int
    """videos whose features are not stored"""
    unit: str
    """what distances are measured in"""
    moments: tuple[Moment, ...]
    """the nearest first"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return to_dict(self)

    def in_words(self) -> dict[str, Any]:
        """Return what people read of it."""
        return {
            "event": self.event_id,
            "compared": f"features {self.part} of {self.searched} videos; {self.passed_over} have none",
            "most like it": [told(one) for one in self.moments],
            "distances": self.unit,
        }


def similar(root: Root, event_id: str, *, k: int = 10, out: str = "") -> SimilarSummary:
    """Search the stored features of an event's whole archive for what is most like its peak.

    Exact: every row of every video that features are stored of is compared, wherever in the picture it is.
    The event itself is left out.

    Args:
        root: the root.
        event_id: its id, or how it begins (four hex digits at least).
        k: how many moments.
        out: folder that a picture of each is written to; none by default.

    Raises:
        SpecError: there is no such event, or several, or nothing is active at its peak.
        StoreError: features of the event, or of all training videos, are no longer stored.
    """
    event = find_event(root, event_id)
    judges = Judges(root, event["archive"], load(root, event["checkpoint"]))
    peak = judges.peak(event)
    space = _space(judges, peak)
    query_E = space.peak_E(peak.bag, peak.row)
    if query_E is None:
        raise SpecError(
            f"Event {event['event_id']} has nothing active at its peak that could be looked for."
        )
    videos, passed_over = _stored(judges, peak)
    found = nearest_moments(
        query_E[None], [video.bag for video in videos], peak.part, space.embed, k=k
    )
    moments = [moment_of(judges.archive, one, videos[one.number]) for one in found.near[0]]
    known = _with_events(judges, moments)
    if out:
        _write_pictures(judges, known, Path(out))
    return SimilarSummary(
        event_id=event["event_id"],
        part=peak.part,
        searched=found.searched,
        passed_over=passed_over,
        unit=space.unit,
        moments=tuple(known),
    )


def _space(judges: Judges, peak: Peak) -> Space:
    training = [one.bag for one in judges.training(peak.event["camera"], peak.part)]
    if not training:
        raise StoreError(
            f"Features of the training videos of {judges.bundle.name!r} are no longer stored, so nothing "
            "tells what is near and what is far. Extract them again."
        )
    return Space.of(peak.detector, training, placed=False)


def _stored(judges: Judges, peak: Peak) -> tuple[list[Shown], int]:
    """Return the archive's videos with features of the peak's part, and how many have none."""
    found: list[Shown] = []
    missing = 0
    for content, row in sorted(judges.contents.items(), key=lambda pair: pair[1].uri):
        try:
            bag = judges.bag_of(row, peak.part)
        except StoreError:
            missing += 1
            continue
        if content == peak.event["content"]:
            bag = replace(bag, ranges=_outside(peak))
        found.append(Shown(content, bag))
    return found, missing


def _outside(peak: Peak) -> tuple[tuple[int, int], ...]:
    """Return the rows of an event's video that are a moment away from it."""
    start = peak.event["start_seconds"] - MOMENT_SECONDS
    stop = peak.event["stop_seconds"] + MOMENT_SECONDS
    first, last = peak.seconds_T.searchsorted([start, stop]).tolist()
    ranges = ((0, first), (last, peak.bag.n_rows))
    return tuple((a, b) for a, b in ranges if a < b)


def _with_events(judges: Judges, moments: Sequence[Moment]) -> list[Moment]:
    """Return the moments with the events that they lie in."""
    scored = [judges.scored.get(video) for video in {moment.video for moment in moments}]
    by_video: dict[str, list[Event]] = defaultdict(list)
    for event in judges.events(row for row in scored if row is not None):
        by_video[event["video"]].append(event)
    return [
        replace(
            moment,
            event_id=next(
                (
                    event["event_id"]
                    for event in by_video[moment.video]
                    if event["start_seconds"] <= moment.seconds <= event["stop_seconds"]
                ),
                "",
            ),
        )
        for moment in moments
    ]


def _write_pictures(judges: Judges, moments: Sequence[Moment], folder: Path) -> None:
    """Write the frame of each moment, `<rank>.jpg`; a video that is out of reach gives none."""
    folder.mkdir(parents=True, exist_ok=True)
    by_content: dict[str, list[tuple[int, Moment]]] = defaultdict(list)
    for rank, moment in enumerate(moments, 1):
        by_content[moment.content].append((rank, moment))
    with DecodeProcess() as process:
        for content, ranked in by_content.items():
            row = judges.contents[content]
            try:
                with frames_of(process, row.file, content) as frames:
                    for rank, moment in ranked:
                        found = frames.read([moment.frame], PICTURE)
                        for picture in found.values():
                            (folder / f"{rank:02d}.jpg").write_bytes(plain(picture))
            except AnomalyError:
                continue
