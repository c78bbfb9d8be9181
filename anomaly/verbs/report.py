"""`report`: one HTML file that shows what was found, in which video, when and how rare it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anomaly.report.render import render
from anomaly.storage import open_root
from anomaly.verbs.look import look
from anomaly.verbs.score import choose_checkpoint
from anomaly.video import ArchiveSpec


@dataclass(frozen=True, kw_only=True)
class ReportSummary:
    """Where the report lies."""

    archive: str
    checkpoint: str
    report: str

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {"archive": self.archive, "checkpoint": self.checkpoint, "report": self.report}


def report(root: str, archive: ArchiveSpec, *, checkpoint: str = "") -> ReportSummary:
    """Write the report of an archive's current scores; no video is read."""
    bundle = choose_checkpoint(open_root(root), checkpoint)
    seen = look(root, archive)
    key = render(seen.root, seen.archive, bundle.name, time_zone=archive.time_zone)
    return ReportSummary(
        archive=seen.archive, checkpoint=bundle.name, report=seen.root.address(key)
    )
