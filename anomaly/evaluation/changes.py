"""What another checkpoint changes for those who look at events: gained, lost, moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from anomaly.datasets.labels import IGNORE, LabelSet

Row = Mapping[str, Any]
"""one row of the events table, with `camera` and `date`"""

MOVED_BELOW = 0.5
"""events that overlap by less than this share of what both cover have moved"""

Kind = Literal["gained", "lost", "moved"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One event that only one of two checkpoints reports, or that both report at other times."""

    kind: Kind
    before: Row | None
    """the first checkpoint's event; None: gained"""
    after: Row | None
    """the second checkpoint's event; None: lost"""
    truth: str
    """what the labels call it: its category, `normal`, `ignore`, or `unlabelled`"""

    @property
    def score(self) -> float:
        """The higher score of the two."""
        return max(row["score"] for row in (self.before, self.after) if row is not None)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The events of two checkpoints side by side."""

    changes: Sequence[Change]
    """by score, highest first"""
    kept: int
    """events that both report at about the same time"""

    def count(self, kind: Kind) -> int:
        """Return how many changes are of one kind."""
        return sum(change.kind == kind for change in self.changes)


def changes_between(
    before: Sequence[Row], after: Sequence[Row], truth: LabelSet | None = None
) -> Changes:
    """Match the events of two checkpoints on the same videos, each with the one it overlaps most."""
    videos: dict[str, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((before, after)):
        for row in rows:
            videos[row["video"]][side].append(row)
    changes, kept = [], 0
    for first, second in videos.values():
        matched = _matched(first, second)
        for old, new in matched:
            if old is not None and new is not None and _overlap(old, new) >= MOVED_BELOW:
                kept += 1
                continue
            kind: Kind = "gained" if old is None else "lost" if new is None else "moved"
            called = _called(new or old or {}, truth)
            changes.append(Change(kind=kind, before=old, after=new, truth=called))
    changes.sort(key=lambda change: -change.score)
    return Changes(changes=changes, kept=kept)


def _matched(
    first: Sequence[Row], second: Sequence[Row]
) -> list[tuple[Row | None, Row | None]]:
    """Pair events that overlap, the best pairs first; what is left stands alone."""
    overlaps = sorted(
        (
            (-share, i, j)
            for i, old in enumerate(first)
            for j, new in enumerate(second)
            if (share := _overlap(old, new)) > 0
        )
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in overlaps:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    pairs: list[tuple[Row | None, Row | None]] = [
        (old, second[partner[i]] if i in partner else None) for i, old in enumerate(first)
    ]
    return pairs + [(None, new) for j, new in enumerate(second) if j not in taken]


def _overlap(one: Row, other: Row) -> float:
    """Return the frames that both cover as a share of those that either covers."""
    common = min(one["stop_frame"], other["stop_frame"]) - max(
        one["start_frame"], other["start_frame"]
    )
    either = max(one["stop_frame"], other["stop_frame"]) - min(
        one["start_frame"], other["start_frame"]
    )
    return max(0, common) / either


def _called(row: Row, truth: LabelSet | None) -> str:
    known = truth.videos.get(row["video"]) if truth else None
    if known is None or known.n_frames is None:
        return "unlabelled"
    names = [
        interval.category
        for interval in known.intervals
        if interval.start < row["stop_frame"] and row["start_frame"] < interval.stop
    ]
    named = [name for name in names if name != IGNORE]
    return ", ".join(dict.fromkeys(named)) or (IGNORE if names else "normal")
