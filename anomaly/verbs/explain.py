"""`explain`: why an event was found, and what it is like; `nightly` explains the top of what is new."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.catalog import LedgerRow
from anomaly.checkpoints import Checkpoint, load
from anomaly.explain import Explanation, Moment, Strip, read_explanation
from anomaly.storage import Root
from anomaly.verbs.drawing import Clock
from anomaly.verbs.events import find_event
from anomaly.verbs.explainer import Explainer
from anomaly.verbs.judge import Event, Judges

NIGHTLY_EVENTS = 20
NIGHTLY_SECONDS = 60.0

logger = logging.getLogger(__name__)


def explain(root: Root, event_id: str, *, out: str = "", frames: int = 1) -> Explanation:
    """Explain one event, store the explanation and return it.

    Args:
        root: the root.
        event_id: its id, or how it begins (four hex digits at least).
        out: folder that its pictures are copied to; none by default.
        frames: how many frames of it get a map, the peak among them.

    Raises:
        SpecError: there is no such event, or several.
        StoreError: its features are no longer stored.
    """
    event = find_event(root, event_id)
    judges = Judges(root, event["archive"], load(root, event["checkpoint"]))
    judges.bag(event)  # says what is missing before anything is done
    (explanation,) = Explainer(judges, Clock(), frames=frames).explain([event])
    if out:
        _copy_pictures(root, explanation, Path(out))
    return explanation


def explain_new(
    root: Root,
    archive: str,
    bundle: Checkpoint,
    scored: Sequence[LedgerRow],
    *,
    events: int = NIGHTLY_EVENTS,
    seconds: float = NIGHTLY_SECONDS,
) -> int:
    """Explain the highest events of videos that have just been scored; return how many are explained now.

    Videos on other machines are not fetched for it. What goes wrong is logged and ends it: a night never
    fails by its explanations.
    """
    done, clock = 0, Clock.of(seconds)
    try:
        judges = Judges(root, archive, bundle)
        wanted = [event for event in judges.events(scored) if _is_due(judges, event)]
        by_camera: dict[str, list[Event]] = defaultdict(list)
        for event in wanted[:events]:
            by_camera[event["camera"]].append(event)
        for of_camera in by_camera.values():
            if clock.is_out():
                break
            done += len(Explainer(judges, clock, near_by=True).explain(of_camera))
    except Exception:  # whatever it is, scores and report are worth more
        logger.warning("Explaining events went wrong; the night goes on.", exc_info=True)
    return done


def _is_due(judges: Judges, event: Event) -> bool:
    """Say whether an event has no explanation yet, or that of other scores."""
    found = read_explanation(judges.root, judges.archive, judges.bundle.name, event["event_id"])
    return found is None or found.scores_digest != event["scores_digest"]


def in_words(explanation: Explanation) -> dict[str, Any]:
    """Return what people read of an explanation."""
    said = explanation
    heat = said.heat
    return {
        "event": said.event_id,
        "video": said.video,
        "camera": said.camera,
        "where": f"{heat.method}, peak at {heat.seconds:.1f} s" if heat else "not known",
        "pictures": [one.picture for one in said.heats if one.picture],
        "when": _main_span(said.strip) if said.strip else "not known",
        "parts": {part.name: f"{part.share:.0%} of its rows" for part in said.parts},
        "nearest normal moments": [told(one) for one in said.normals],
        "training videos searched": f"{said.searched:.0%}",
        "similar events": [told(one) for one in said.similar],
        "distances": said.unit,
        **({"note": said.note} if said.note else {}),
    }


def _main_span(strip: Strip) -> str:
    """Return the shortest stretch of time that half of the score comes from, and how that is known."""
    sums = np.concatenate([[0.0], np.cumsum(strip.contribution)])
    half = sums[-1] / 2
    stops = np.searchsorted(sums, sums[:-1] + half)
    spans = [
        (strip.seconds[stop - 1] - strip.seconds[start], start, stop)
        for start, stop in enumerate(stops.tolist())
        if start < stop < len(sums)
    ]
    if not half or not spans:
        return "no moment matters more than others"
    _, start, stop = min(spans)
    first, last = strip.seconds[start], strip.seconds[stop - 1]
    return f"half of the score comes from {first:.1f} to {last:.1f} s ({strip.method})"


def told(moment: Moment) -> str:
    """Return a moment in words: where, how far, and which event it is in."""
    event = f", event {moment.event_id}" if moment.event_id else ""
    return f"{moment.video} at {moment.seconds:.1f} s, distance {moment.distance:.3g}{event}"


def _copy_pictures(root: Root, explanation: Explanation, folder: Path) -> None:
    """Write the pictures of an explanation into a folder, by what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {f"frame-{heat.frame}": heat.picture for heat in explanation.heats}
    for name in ("normal", "similar"):
        moments = explanation.normals if name == "normal" else explanation.similar
        shown |= {f"{name}-{rank}": one.picture for rank, one in enumerate(moments, 1)}
    for name, key in shown.items():
        data = root.read(key) if key else None
        if data is not None:
            (folder / f"{explanation.event_id}-{name}.jpg").write_bytes(data)
