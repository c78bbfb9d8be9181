"""Pictures and short clips of events, cut when a scan finds them.

Recorders delete footage, and many archives hold what no browser plays; what the report shows is
therefore kept in the root: three small JPEG pictures and a few seconds of H.264 for each event.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from anomaly.video.spool import local_copy
from numpy.typing import NDArray

from anomaly.errors import VideoError
from anomaly.scores.events import Event
from anomaly.storage import Root, quote
from anomaly.video import FrameBatch, PixelSpec, VideoFile
from anomaly.video.decode import DecodeProcess
from anomaly.video.encode import write_video

Picture = NDArray[np.uint8]

CLIP_SECONDS = 8.0
"""longest clip; it holds the peak"""
LEAD_SECONDS = 1.5
"""how much of what came before an event, and after it, a clip shows"""
CLIP_FRAMES_PER_SECOND = 12
_CLIP_PIXELS = PixelSpec(resize="limit_height", height=240)
_SMALL_HEIGHT_PIXELS = 120
_JPEG_QUALITY = 72
_AMBER = (255, 176, 32)


def clip_span(event: Event) -> tuple[float, float]:
    """Return the stretch of the video that the clip of an event shows, in seconds."""
    start = max(0.0, event.start_seconds - LEAD_SECONDS)
    stop = event.stop_seconds + LEAD_SECONDS
    if stop - start > CLIP_SECONDS:
        start = max(start, min(event.peak_seconds - CLIP_SECONDS / 2, stop - CLIP_SECONDS))
        stop = start + CLIP_SECONDS
    return start, stop


def cut_events(
    root: Root, file: VideoFile, content: str, events: Sequence[Event]
) -> list[Event]:
    """Cut pictures and a clip of each event of one video; return the events with their keys.

    The video is decoded once, up to the end of the last event. What was cut before stays.
    An event of which no picture could be decoded keeps its keys None.

    Raises:
        VideoError: the video cannot be decoded any more, or its content is another by now.
    """
    keys = [_keys(file, content, event) for event in events]
    missing = [
        _Cut(event=event, keys=names)
        for event, names in zip(events, keys, strict=True)
        if not all(root.exists(key) for key in names.values())
    ]
    if missing:
        with local_copy(file) as (path, found), DecodeProcess() as process:
            if found != content:
                raise VideoError(
                    "changing", f"{file.uri} changed since it was scored; no media cut."
                )
            _decode(process, path, file, missing)
    for cut in missing:
        if cut.pictures:
            cut.publish(root)
    nothing = {cut.keys["clip"] for cut in missing if not cut.pictures}
    return [
        event if names["clip"] in nothing else _with_keys(event, names)
        for event, names in zip(events, keys, strict=True)
    ]


def _with_keys(event: Event, keys: dict[str, str]) -> Event:
    return replace(
        event,
        clip=keys["clip"],
        picture_start=keys["picture_start"],
        picture_peak=keys["picture_peak"],
        picture_stop=keys["picture_stop"],
    )


def _keys(file: VideoFile, content: str, event: Event) -> dict[str, str]:
    stem = f"media/{quote(file.archive)}/{content}/{event.identity(content)}"
    return {
        "clip": f"{stem}-clip.mp4",
        "picture_start": f"{stem}-start.jpg",
        "picture_peak": f"{stem}-peak.jpg",
        "picture_stop": f"{stem}-stop.jpg",
    }


def _decode(process: DecodeProcess, path: Path, file: VideoFile, cuts: Sequence[_Cut]) -> None:
    """Show every frame to the cuts that wait for it, until none waits any more."""
    waiting = sorted(cuts, key=lambda cut: cut.begins_seconds)
    for batch in process.frames(path, file.kind, _CLIP_PIXELS):
        for position in range(len(batch)):
            seconds = float(batch.seconds_B[position])
            for cut in waiting:
                if cut.begins_seconds > seconds:
                    break
                cut.look(batch, position)
            waiting = [cut for cut in waiting if not cut.is_done]
        if not waiting:
            return


@dataclass(kw_only=True)
class _Cut:
    """What has been seen so far of one event."""

    event: Event
    keys: dict[str, str]
    pictures: dict[str, Picture] = field(default_factory=dict)
    clip: list[Picture] = field(default_factory=list)
    latest: Picture | None = None

    @property
    def begins_seconds(self) -> float:
        return min(self.event.start_seconds, clip_span(self.event)[0])

    @property
    def wanted_frames(self) -> dict[str, int]:
        return {
            "picture_start": self.event.start_frame,
            "picture_peak": self.event.peak_frame,
            "picture_stop": self.event.stop_frame - 1,
        }

    @property
    def is_done(self) -> bool:
        return len(self.pictures) == 3 and self._tick_seconds >= clip_span(self.event)[1]

    @property
    def _tick_seconds(self) -> float:
        """Time in the video of the next picture of the clip."""
        return clip_span(self.event)[0] + len(self.clip) / CLIP_FRAMES_PER_SECOND

    def look(self, batch: FrameBatch, position: int) -> None:
        """Take what is needed of a frame; a frame that is missing is replaced by the next one.

        The clip runs at a steady rate whatever the video does: each of its pictures is the latest
        frame at its moment, so time in the clip is the video's.
        """
        picture, seconds = batch.pixels_BHWC[position], float(batch.seconds_B[position])
        for name, frame in self.wanted_frames.items():
            if name not in self.pictures and batch.index_B[position] >= frame:
                self.pictures[name] = picture.copy()
        stop = clip_span(self.event)[1]
        while self._tick_seconds < min(seconds, stop):
            self.clip.append(picture.copy() if self.latest is None else self.latest)
        self.latest = picture.copy()

    def publish(self, root: Root) -> None:
        """Write the pictures and the clip under the root."""
        if self.latest is None:
            return
        for name in self.wanted_frames:
            picture = self.pictures.get(name, self.latest)
            large = name == "picture_peak"
            shown = _with_place(picture, self.event) if large else _small(picture)
            root.publish(self.keys[name], _jpeg(shown))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, self.clip or [self.latest], CLIP_FRAMES_PER_SECOND)
            root.publish(self.keys["clip"], path.read_bytes())


def _with_place(picture: Picture, event: Event) -> Picture:
    """Return the picture with a box around the most anomalous cell, if the event knows one.

    Cells of motion features reach half a cell into their neighbours: so does the box.
    """
    if event.place is None or event.grid is None:
        return picture
    size = np.array(picture.shape[:2]) / event.grid
    low = np.maximum((np.array(event.place) - 0.5) * size, 1)
    high = np.minimum((np.array(event.place) + 1.5) * size, np.array(picture.shape[:2]) - 2)
    corners = [tuple(int(value) for value in corner[::-1]) for corner in (low, high)]
    marked = picture.copy()
    for color, thickness in (((20, 20, 20), 3), (_AMBER, 1)):
        cv2.rectangle(marked, corners[0], corners[1], color, thickness, cv2.LINE_AA)
    return marked


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    scale = min(1.0, _SMALL_HEIGHT_PIXELS / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smaller: Picture = np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8
    )
    return smaller


def _jpeg(picture: Picture) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()
