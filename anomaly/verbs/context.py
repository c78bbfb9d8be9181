"""Which earlier videos of the same camera the scores of a video take into account.

Some backbones recall what earlier videos showed (`features.Backbone.recall`): a bag that was left near the
end of one file still lies there in the next. What a bundle wants to know follows from its recipes alone.
The earlier videos come from the catalog, so scores do not depend on the order in which videos were
extracted or scored; a digest of them stands in the ledger, so that a video that arrives late makes those
after it be scored again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from anomaly.catalog import CatalogRow
from anomaly.features import FeatureSpec
from anomaly.features.backbones import backbones
from anomaly.spec import fingerprint, from_dict

Before = tuple[str, float]
"""content of an earlier video, and when it began: seconds from the start of the later one, below 0"""


def context_seconds(inputs: Mapping[str, FeatureSpec]) -> float:
    """Return how far back the recipes of a bundle want to know a camera; 0: not at all."""
    return max(_context_seconds(spec) for spec in inputs.values())


def _context_seconds(spec: FeatureSpec) -> float:
    backbone = backbones().get(spec.backbone)
    return backbone.context_seconds(from_dict(backbone.Parameters, spec.parameters))


@dataclass(frozen=True)
class Contexts:
    """The context of each video of an archive."""

    rows: Mapping[str, tuple[CatalogRow, ...]]
    """earlier videos of the same camera by uri, oldest first; a video without any is left out"""

    @classmethod
    def of(cls, catalog: Iterable[CatalogRow], seconds: float) -> Contexts:
        """Find the videos that reach into the last `seconds` before the start of each.

        When a video ends is not known before it was read, so it is taken to reach up to the next one's
        start. Videos that are no longer there count, as long as no other has their content; those in
        quarantine and those without a start time do not.
        """
        if seconds <= 0:
            return cls({})
        dated = [r for r in catalog if r.start_time_utc and r.status != "quarantined"]
        dated.sort(key=lambda row: (row.camera, _start(row), not row.present, row.uri))
        found: dict[str, tuple[CatalogRow, ...]] = {}
        for _, of_camera in groupby(dated, key=lambda row: row.camera):
            found |= _of_camera(_once(of_camera), seconds)
        return cls(found)

    def missing(self, uris: Iterable[str]) -> set[str]:
        """Return the earlier videos that must be extracted before `uris` can be scored."""
        return {
            row.uri
            for uri in uris
            for row in self.rows.get(uri, ())
            if row.content is None and row.present
        }

    def before(self, row: CatalogRow) -> tuple[Before, ...]:
        """Return what is known of the time before a video, oldest first."""
        found = (
            (earlier.content, (_start(earlier) - _start(row)).total_seconds())
            for earlier in self.rows.get(row.uri, ())
            if earlier.content is not None
        )
        return tuple(dict.fromkeys(found))  # a copy tells nothing new

    def digest(self, row: CatalogRow) -> str:
        """Return what tells this context from another; empty without one."""
        before = self.before(row)
        return fingerprint(list(before)) if before else ""


def _start(row: CatalogRow) -> datetime:
    if row.start_time_utc is None:
        raise ValueError(f"{row.uri!r} has no start time.")
    return row.start_time_utc


def _once(rows: Iterable[CatalogRow]) -> list[CatalogRow]:
    """Leave out what a renamed video was called before: the same content at the same time."""
    kept: list[CatalogRow] = []
    seen: set[tuple[datetime, str]] = set()
    for row in rows:
        key = (_start(row), row.content or row.uri)
        if row.present or key not in seen:
            kept.append(row)
        seen.add(key)
    return kept


def _of_camera(rows: list[CatalogRow], seconds: float) -> dict[str, tuple[CatalogRow, ...]]:
    """Return the earlier rows of each row; `rows` are sorted by start."""
    found = {}
    for number, row in enumerate(rows):
        earlier: list[CatalogRow] = []
        known_since = _start(row)
        for other in reversed(rows[:number]):
            if _start(other) == _start(row):
                continue
            if (_start(row) - known_since).total_seconds() >= seconds:
                break
            earlier.append(other)
            known_since = _start(other)
        if earlier:
            found[row.uri] = tuple(reversed(earlier))
    return found
