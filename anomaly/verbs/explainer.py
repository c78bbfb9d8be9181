"""Explains events of one checkpoint, several at a time."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.explain import Explanation, PartShare, publish_explanation
from anomaly.explain.heat import Asked, method_of
from anomaly.explain.neighbours import Space, nearest_moments
from anomaly.explain.strip import strip_of
from anomaly.scores.merge import merge
from anomaly.verbs.drawing import Clock, Draft, Drawing
from anomaly.verbs.judge import Event, Judges, Peak, Shown, moment_of

NORMALS = 3
"""nearest normal moments of each event"""
SIMILAR = 5
"""most similar other events"""
_PARTS_OF_ROWS = 1500
"""rows around the peak that tell which part spoke"""
_SEARCH_SHARE = 0.6
"""of the time left that may go into a search; pictures need the rest"""

logger = logging.getLogger(__name__)


class Explainer:
    """Explains events of one archive and checkpoint, several at a time: each video is opened once."""

    def __init__(
        self, judges: Judges, clock: Clock, *, frames: int = 1, near_by: bool = False
    ) -> None:
        self.judges, self.clock = judges, clock
        self.drawing = Drawing(judges, clock, frames=frames, near_by=near_by)

    def explain(self, events: Sequence[Event]) -> list[Explanation]:
        """Explain events of one camera, store what is said of each, and return it.

        Events whose features are no longer stored are passed over.
        """
        drafts = [self._begun(peak) for peak in self._peaks(events)]
        by_part: dict[str, list[Draft]] = defaultdict(list)
        for draft in drafts:
            by_part[draft.peak.part].append(draft)
        for part, own in by_part.items():
            self._compare(part, own)
        self.drawing.draw(drafts)
        done = [replace(draft.said, note=" ".join(draft.notes)) for draft in drafts]
        for explanation in done:
            publish_explanation(self.judges.root, explanation)
        return done

    def _begun(self, peak: Peak) -> Draft:
        """Return what follows from the event's own features."""
        event, judges = peak.event, self.judges
        said = Explanation(
            event_id=event["event_id"],
            archive=judges.archive,
            checkpoint=judges.bundle.name,
            camera=event["camera"],
            video=event["video"],
            content=event["content"],
            scores_digest=event["scores_digest"],
            strip=strip_of(peak.detector, peak.bag, peak.seconds_T, peak.row, judges.sigma),
            parts=self._parts(peak),
        )
        backbone = judges.backbone(peak.part)
        method, why_not = method_of(Asked(peak.detector, peak.bag, peak.row), backbone)
        return Draft(peak, said, method, backbone, [why_not] if why_not else [])

    def _parts(self, peak: Peak) -> tuple[PartShare, ...]:
        """Return in how many rows of the event each part had the last word."""
        names = list(self.judges.bundle.inputs)
        event, part_R = peak.event, None
        if len(names) > 1:
            most = _PARTS_OF_ROWS // 2
            first = max(peak.row_of(event["start_frame"]), peak.row - most)
            last = min(peak.row_of(event["stop_frame"] - 1), peak.row + most) + 1
            part_R = self._part_R(event, first, last)
        if part_R is None:
            return (PartShare(name=peak.part, share=1.0),)
        count_P = np.bincount(part_R, minlength=len(names))
        ranked = sorted(zip(count_P.tolist(), names, strict=True), reverse=True)
        return tuple(PartShare(name=n, share=round(c / len(part_R), 4)) for c, n in ranked)

    def _part_R(self, event: Event, first: int, last: int) -> NDArray[np.int8] | None:
        """Return the part that each row of an event's video has its score from."""
        detector, whole = self.judges.detector(event["camera"]), self.judges.bag(event)
        reach = 2 * detector.support_rows
        begin, end = max(0, first - reach), min(whole.n_rows, last + reach)
        part_R = merge(detector.score(whole.stretch(begin, end)), end - begin).part_R
        return None if part_R is None else part_R[first - begin : last - begin]

    def _peaks(self, events: Iterable[Event]) -> list[Peak]:
        """Return those events at their highest whose features are still stored, while there is time."""
        found: list[Peak] = []
        for event in events:
            if found and self.clock.is_out():
                break
            try:
                found.append(self.judges.peak(event))
            except StoreError as error:
                logger.debug("Event %s cannot be looked at: %s", event["event_id"], error)
        return found

    def _compare(self, part: str, drafts: list[Draft]) -> None:
        """Find normal moments and other events that are like the peaks of one part."""
        camera = drafts[0].peak.event["camera"]
        videos = list(self.judges.training(camera, part))
        if not videos:
            for draft in drafts:
                draft.notes.append(
                    "Features of training videos are no longer stored: no comparison."
                )
            return
        detector, bags = drafts[0].peak.detector, [video.bag for video in videos]
        self._find_normals(Space.of(detector, bags, placed=True), drafts, videos)
        self._find_similar(Space.of(detector, bags, placed=False), drafts)

    def _find_normals(self, space: Space, drafts: list[Draft], videos: Sequence[Shown]) -> None:
        shown, query_QE = _queries(space, drafts)
        if not shown:
            return
        peak = drafts[0].peak
        found = nearest_moments(
            query_QE,
            [video.bag for video in videos],
            peak.part,
            space.embed,
            k=NORMALS,
            enough=self.clock.part(_SEARCH_SHARE).is_out,
        )
        in_all = len(self.judges.taught(peak.event["camera"]))
        for draft, near in zip(shown, found.near, strict=True):
            moments = [moment_of(self.judges.archive, one, videos[one.number]) for one in near]
            draft.said = replace(
                draft.said,
                normals=tuple(moments),
                searched=round(found.searched / in_all, 4),
                unit=space.unit,
            )

    def _find_similar(self, space: Space, drafts: list[Draft]) -> None:
        """Find the peaks of other events that are most like each, wherever in the picture they are."""
        shown, query_QE = _queries(space, drafts)
        if not shown:
            return
        part = drafts[0].peak.part
        peaks = self._peaks(
            event for event in self.judges.recent if (event["part"] or part) == part
        )
        found = nearest_moments(
            query_QE,
            [peak.shown.bag for peak in peaks],
            part,
            space.embed,
            k=SIMILAR + 1,
            enough=self.clock.part(_SEARCH_SHARE).is_out,
        )
        for draft, near in zip(shown, found.near, strict=True):
            alike = [
                (one, peaks[one.number])
                for one in near
                if peaks[one.number].event["event_id"] != draft.said.event_id
            ]
            draft.said = replace(
                draft.said,
                similar=tuple(
                    replace(
                        moment_of(self.judges.archive, one, peak.shown),
                        event_id=peak.event["event_id"],
                        picture=peak.event["picture_peak"],
                    )
                    for one, peak in alike[:SIMILAR]
                ),
            )


def _queries(space: Space, drafts: Sequence[Draft]) -> tuple[list[Draft], NDArray[np.floating]]:
    """Return those drafts whose peaks show anything at all, and their vectors (Q, E)."""
    pairs = [(draft, space.peak_E(draft.peak.bag, draft.peak.row)) for draft in drafts]
    known = [(draft, vector_E) for draft, vector_E in pairs if vector_E is not None]
    if not known:
        return [], np.zeros((0, 1))
    return [draft for draft, _ in known], np.stack([vector_E for _, vector_E in known])
