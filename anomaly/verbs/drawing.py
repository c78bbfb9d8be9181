"""Pictures of explanations: maps over frames of events, and normal moments as they were."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from anomaly.catalog import CatalogRow
from anomaly.errors import AnomalyError
from anomaly.explain import Explanation, Heat, HeatMethod, folder_of
from anomaly.explain.frames import Frames, Picture, frames_of
from anomaly.explain.heat import (
    Asked,
    HeatMap,
    network_map,
    seen_area,
    shown_GG,
    shown_range,
    stored_map,
)
from anomaly.explain.overlay import HEIGHT_PIXELS, decoded, overlaid, plain
from anomaly.features import Backbone
from anomaly.features.backbones.timm_frames import TimmFrames
from anomaly.verbs.judge import Event, Judges, Peak
from anomaly.video import PixelSpec
from anomaly.video.decode import DecodeProcess
from anomaly.video.remote import is_remote
from anomaly.video.tar import member_at

PICTURE = PixelSpec(resize="limit_height", height=HEIGHT_PIXELS)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """How much time there is."""

    end: float = float("inf")

    @classmethod
    def of(cls, seconds: float) -> Clock:
        """Return a clock that runs out after so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def part(self, share: float) -> Clock:
        """Return a clock that runs out after a share of what is left."""
        now = time.monotonic()
        return Clock(now + share * (self.end - now))

    def is_out(self) -> bool:
        """Say whether time is up."""
        return time.monotonic() >= self.end


@dataclass
class Draft:
    """What is known of one event so far."""

    peak: Peak
    said: Explanation
    method: HeatMethod | None
    backbone: Backbone
    notes: list[str]
    maps: dict[int, HeatMap] = field(default_factory=dict)
    """by frame, the peak's first"""
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    """frames as they were decoded"""
    trouble: str = "the video is out of reach, so its network cannot be asked"
    """why there is no map of a network, if there is none"""

    @property
    def peak_frame(self) -> int:
        """The frame of the peak's row."""
        return int(self.peak.index_T[self.peak.row])


class Drawing:
    """Makes the pictures of some drafts; each video is opened once."""

    def __init__(self, judges: Judges, clock: Clock, *, frames: int, near_by: bool) -> None:
        self.judges, self.clock, self.frames = judges, clock, frames
        self.near_by = near_by
        """whether videos on other machines are left alone"""
        self.root = judges.root
        self.folder = folder_of(judges.archive, judges.bundle.name)

    def draw(self, drafts: Sequence[Draft]) -> None:
        """Decode what is to be shown: frames of the events, and their normal moments."""
        drawn: dict[str, list[Draft]] = defaultdict(list)
        moments: dict[str, set[int]] = defaultdict(set)
        for draft in drafts:
            drawn[draft.said.content].append(draft)
            for moment in draft.said.normals:
                moments[moment.content].add(moment.frame)
        made: dict[tuple[str, int], str] = {}
        with DecodeProcess() as process:
            for content in dict.fromkeys([*drawn, *moments]):
                row = self.judges.contents.get(content)
                if self.clock.is_out() or row is None or not self._is_in_reach(row):
                    continue
                try:
                    with frames_of(process, row.file, content) as frames:
                        for draft in drawn[content]:
                            self._take_frames(frames, draft)
                        for frame in sorted(moments[content]):
                            key = self._keep_moment(frames, content, frame)
                            made[content, frame] = key or ""
                except AnomalyError as error:
                    logger.debug("No pictures of %s: %s", row.uri, error)
                    for draft in drawn[content]:
                        draft.trouble = str(error)
        for draft in drafts:
            draft.said = replace(
                draft.said,
                heats=self._heats(draft),
                normals=tuple(
                    replace(one, picture=made.get((one.content, one.frame)) or None)
                    for one in draft.said.normals
                ),
            )

    def _is_in_reach(self, row: CatalogRow) -> bool:
        is_far = is_remote(row.location) or member_at(row.location) is not None
        return row.present and not (self.near_by and is_far)

    def _shown_rows(self, peak: Peak) -> list[int]:
        """Return the rows whose frames get a map, the peak first."""
        first = peak.row_of(peak.event["start_frame"])
        last = peak.row_of(peak.event["stop_frame"] - 1)
        others = np.linspace(first, last, self.frames - 1).astype(int).tolist()
        return list(dict.fromkeys([peak.row, *others]))

    def _take_frames(self, frames: Frames, draft: Draft) -> None:
        """Decode the frames of an event that are shown, and ask its network about them if it is to tell."""
        peak, rows = draft.peak, self._shown_rows(draft.peak)
        wanted = peak.index_T[rows].tolist()
        if draft.method != "grad-cam++" or not isinstance(draft.backbone, TimmFrames):
            draft.pictures = frames.read(wanted, PICTURE)
            return
        pixels = replace(peak.recipe.pixels, stride=1, frames="all", bad_frames="skip")
        draft.pictures = frames.read(wanted, pixels, decoder=peak.recipe.decoder)
        for row, frame in zip(rows, wanted, strict=True):
            if frame in draft.pictures and not self.clock.is_out():
                asked = Asked(peak.detector, peak.bag, row)
                heat = network_map(asked, draft.backbone, draft.pictures[frame])
                if heat is not None:
                    draft.maps[frame] = heat

    def _keep_moment(self, frames: Frames, content: str, frame: int) -> str | None:
        key = f"{self.folder}/moments/{content}-{frame}.jpg"
        if not self.root.exists(key):
            found = {} if self.clock.is_out() else frames.read([frame], PICTURE)
            if frame not in found:
                return None
            self.root.publish(key, plain(found[frame]))
        return key

    def _heats(self, draft: Draft) -> tuple[Heat, ...]:
        """Return the maps of an event with pictures of them, on one scale."""
        self._map_stored(draft)
        if draft.peak_frame not in draft.maps:
            return ()
        low, high = shown_range(list(draft.maps.values()))
        heats: list[Heat] = []
        for frame, heat in draft.maps.items():
            picture = draft.pictures.get(frame)
            if picture is None and not heats:
                picture = self._stored_picture(draft.peak.event)
            key = None
            if picture is not None:
                key = f"{self.folder}/{draft.said.event_id}-{frame}.jpg"
                shown = shown_GG(heat, low, high)
                self.root.publish(key, overlaid(picture, shown, heat.area, draft.peak.size))
            row = draft.peak.row_of(frame)
            heats.append(
                Heat(
                    method=heat.method,
                    frame=frame,
                    seconds=round(float(draft.peak.seconds_T[row]), 3),
                    raw=heat.to_rows(),
                    low=low,
                    high=high,
                    area=heat.area,
                    picture=key,
                )
            )
        return tuple(heats)

    def _map_stored(self, draft: Draft) -> None:
        """Make the maps that need no picture."""
        peak = draft.peak
        if draft.method is None:
            return
        if draft.method == "grad-cam++":
            if draft.peak_frame not in draft.maps:
                draft.notes.append(f"No map: {draft.trouble}.".replace("..", "."))
            elif not any(heat.raw_GG.any() for heat in draft.maps.values()):
                draft.notes.append(
                    "No place of the frame speaks for the score: the map is empty."
                )
            return
        for row in self._shown_rows(peak):
            asked = Asked(peak.detector, peak.bag, row)
            heat = stored_map(
                asked, draft.method, seen_area(draft.backbone, peak.recipe, peak.size)
            )
            if heat is not None:
                draft.maps[int(peak.index_T[row])] = heat

    def _stored_picture(self, event: Event) -> Picture | None:
        """Return the picture of the peak that was kept when the event was found."""
        data = event["picture_peak"] and self.root.read(event["picture_peak"])
        return decoded(data) if data else None
