"""What was measured of a camera's drift, stored for the report: one small JSON object a camera.

drift/archive=<name>/checkpoint=<id>/<camera>.json
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anomaly.scores.drift import Drift
from anomaly.spec import from_dict, to_dict
from anomaly.storage import Root, quote


@dataclass(frozen=True, kw_only=True)
class CameraDrift:
    """One camera against the video that its model was fitted and judged on."""

    camera: str
    model: str
    """the camera's own, or `pooled`"""
    first_date: str = ""
    """camera-local, of the recent video that was looked at"""
    last_date: str = ""
    scores: Drift | None = None
    """None where `reason` says why"""
    features: Mapping[str, Drift] = field(default_factory=dict)
    """by input of the detector"""
    reason: str = ""
    """why something could not be measured"""


def publish_drift(root: Root, archive: str, checkpoint: str, drift: CameraDrift) -> None:
    """Store what was measured, in place of what was before."""
    root.publish_json(
        f"{_folder(archive, checkpoint)}/{quote(drift.camera)}.json", to_dict(drift)
    )


def read_drift(root: Root, archive: str, checkpoint: str) -> dict[str, CameraDrift]:
    """Return what was measured last, by camera."""
    found = [root.read_json(key) for key in root.keys(_folder(archive, checkpoint))]
    drifts = [from_dict(CameraDrift, values) for values in found if values is not None]
    return {drift.camera: drift for drift in drifts}


def _folder(archive: str, checkpoint: str) -> str:
    return f"drift/archive={quote(archive)}/checkpoint={quote(checkpoint)}"
