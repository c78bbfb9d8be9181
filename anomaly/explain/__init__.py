"""Beside the rooms: why and where. What is said of an event, and where that is kept.

`slopes` (what a score owes to stored features), `gradcam` (and to places of the picture), `places` (a
detector's own cells, boxes), `strip` (which moments), `neighbours` (what is most like it), `overlay`.

    explanations/<archive>/<checkpoint>/<event_id>.json       an `Explanation`
    explanations/<archive>/<checkpoint>/<event_id>-<frame>.jpg        its frames with heat over them
    explanations/<archive>/<checkpoint>/moments/<content>-<frame>.jpg normal and similar moments
"""

from __future__ import annotations

from typing import Literal

from anomaly.errors import SpecError
from anomaly.spec import from_dict, spec, to_dict
from anomaly.storage import Root, quote

VERSION = 1
"""grows when explanations are made in another way; older ones are made again"""
HeatMethod = Literal["grad-cam++", "cells", "errors"]
StripMethod = Literal["gradient x input", "occlusion"]


@spec
class Heat:
    """Where in one frame the score comes from."""

    method: HeatMethod
    """grad-cam++: how the score depends on the network's last maps; cells: what the detector says of
    places; errors: where a pixel model errs more than usual"""
    frame: int
    seconds: float
    raw: tuple[tuple[float | None, ...], ...]
    """the map in units of its method, row after row; null where nothing is known"""
    low: float
    """raw value that is drawn as nothing, the same for all frames of one explanation"""
    high: float
    """raw value that is drawn at full strength, the same for all frames of one explanation"""
    area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """top, left, bottom and right of what the map covers, as shares of the picture's sides"""
    picture: str | None = None
    """key of a JPEG, the frame with the map over it; None where the video was out of reach"""


@spec
class Strip:
    """Which moments the peak's score comes from."""

    method: StripMethod
    """gradient x input: by the slope of the score; occlusion: by what it loses without the moment"""
    seconds: tuple[float, ...]
    """from the first frame of the video, growing"""
    contribution: tuple[float, ...]
    """share of each, 0 to 1; they sum up to 1, or are all 0 where no moment matters"""


@spec
class PartShare:
    """One of the detector's inputs."""

    name: str
    share: float
    """of the event's rows in which it had the last word, 0 to 1"""


@spec
class Moment:
    """A few seconds of some video, at the row that is most like the event's peak."""

    archive: str
    camera: str
    video: str
    content: str
    frame: int
    seconds: float
    distance: float
    """from the event's peak; see `Explanation.unit`"""
    event_id: str = ""
    """of the event that the moment lies in, if any"""
    picture: str | None = None
    """key of a JPEG; None where the video was out of reach"""


@spec
class Explanation:
    """Why one event was found: where, when, by which part, and what it is like."""

    version: int = VERSION
    event_id: str
    archive: str
    checkpoint: str
    camera: str
    video: str
    content: str
    scores_digest: str
    """of the score rows that the event was found in; another digest makes the explanation stale"""
    note: str = ""
    """what could not be told, and why; empty: everything was"""
    heats: tuple[Heat, ...] = ()
    """the peak's frame first"""
    strip: Strip | None = None
    parts: tuple[PartShare, ...] = ()
    """the loudest first"""
    normals: tuple[Moment, ...] = ()
    """the nearest training moments, the nearest first"""
    searched: float = 0.0
    """share of the training videos that was searched for them; below 1 where time ran out or features are
    no longer stored"""
    similar: tuple[Moment, ...] = ()
    """peaks of other events of the archive that are most like this one, the nearest first"""
    unit: str = ""
    """what distances are measured in, in words"""

    @property
    def heat(self) -> Heat | None:
        """The map of the peak's frame."""
        return self.heats[0] if self.heats else None


def folder_of(archive: str, checkpoint: str) -> str:
    """Return the key below which the explanations of a checkpoint's events lie."""
    return f"explanations/{quote(archive)}/{quote(checkpoint)}"


def read_explanation(
    root: Root, archive: str, checkpoint: str, event_id: str
) -> Explanation | None:
    """Return what is stored; None where nothing is, or another version of this package wrote it."""
    found = root.read_json(_key(archive, checkpoint, event_id))
    try:
        explanation = None if found is None else from_dict(Explanation, found)
    except SpecError:
        return None
    return explanation if explanation and explanation.version == VERSION else None


def publish_explanation(root: Root, explanation: Explanation) -> str:
    """Store an explanation; return its key."""
    key = _key(explanation.archive, explanation.checkpoint, explanation.event_id)
    root.publish_json(key, to_dict(explanation))
    return key


def _key(archive: str, checkpoint: str, event_id: str) -> str:
    return f"{folder_of(archive, checkpoint)}/{quote(event_id)}.json"
