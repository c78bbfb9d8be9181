"""Pictures and short clips of events, cut when a scan finds them.

Recorders delete footage, and many archives hold what no browser plays; what the report shows is
therefore kept in the root: three small JPEG pictures and a few seconds of H.264 for each event.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.errors import VideoError
from anomaly.report import clip_span
from anomaly.scores.events import Event
from anomaly.storage import Root, quote
from anomaly.video import FrameBatch, PixelSpec, VideoFile
from anomaly.video.decode import DecodeProcess
from anomaly.video.encode import write_video
from anomaly.video.spool import local_copy

Picture = NDArray[np.uint8]

CLIP_FRAMES_PER_SECOND = 12
_CLIP_PIXELS = PixelSpec(resize="limit_height", height=240)
_SMALL_HEIGHT_PIXELS = 120
_JPEG_QUALITY = 72
_CLIP_CRF = 27
_AMBER = (255, 176, 32)
_DARK = (20, 20, 20)


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
        (event, names)
        for event, names in zip(events, keys, strict=True)
        if not all(root.exists(key) for key in names.values())
    ]
    made: dict[str, bytes] = {}
    if missing:
        with local_copy(file) as (path, found), DecodeProcess() as process:
            if found != content:
                raise VideoError("changing", f"{file.uri} changed since it was scored.")
            size = process.probe(path, file.kind).shown_size
            made = process.decode(
                path, file.kind, _CLIP_PIXELS, lambda stream: _cut_all(stream, missing, size)
            )
    for key, data in made.items():
        root.publish(key, data)
    nothing = {names["clip"] for _, names in missing} - set(made)
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


def _cut_all(
    stream: Iterable[FrameBatch],
    wanted: Sequence[tuple[Event, dict[str, str]]],
    size: tuple[int, int],
) -> dict[str, bytes]:
    """Show every frame to the cuts that wait for it; return finished files by key.

    A cut is encoded and let go as soon as it has all its frames: however many events a video has,
    only those under way are in memory.
    """
    cuts = [_Cut(event=event, keys=names, size=size) for event, names in wanted]
    cuts.sort(key=lambda cut: cut.begins_seconds)
    made: dict[str, bytes] = {}
    for batch in stream:
        for position in range(len(batch)):
            seconds = float(batch.seconds_B[position])
            under_way = itertools.takewhile(lambda cut: cut.begins_seconds <= seconds, cuts)  # noqa: B023 - used at once
            for cut in list(under_way):
                cut.look(batch, position)
                if cut.is_done:
                    made |= cut.files()
                    cuts.remove(cut)
        if not cuts:
            return made
    for cut in cuts:
        made |= cut.files()
    return made


@dataclass(kw_only=True)
class _Cut:
    """What has been seen so far of one event."""

    event: Event
    keys: dict[str, str]
    size: tuple[int, int]
    """of the video's frames: height, width"""
    pictures: dict[str, Picture] = field(default_factory=dict)
    clip: list[Picture] = field(default_factory=list)
    latest: Picture | None = None

    @property
    def _span(self) -> tuple[float, float]:
        event = self.event
        return clip_span(event.start_seconds, event.peak_seconds, event.stop_seconds)

    @property
    def begins_seconds(self) -> float:
        return min(self.event.start_seconds, self._span[0])

    @property
    def wanted_frames(self) -> dict[str, int]:
        return {
            "picture_start": self.event.start_frame,
            "picture_peak": self.event.peak_frame,
            "picture_stop": self.event.stop_frame - 1,
        }

    @property
    def is_done(self) -> bool:
        return len(self.pictures) == 3 and self._tick_seconds >= self._span[1]

    @property
    def _tick_seconds(self) -> float:
        """Time in the video of the next picture of the clip."""
        return self._span[0] + len(self.clip) / CLIP_FRAMES_PER_SECOND

    def look(self, batch: FrameBatch, position: int) -> None:
        """Take what is needed of a frame; a frame that is missing is replaced by the next one.

        The clip runs at a steady rate whatever the video does: each of its pictures is the latest
        frame at its moment, so time in the clip is the video's.
        """
        picture, seconds = batch.pixels_BHWC[position], float(batch.seconds_B[position])
        for name, frame in self.wanted_frames.items():
            if name not in self.pictures and batch.index_B[position] >= frame:
                self.pictures[name] = picture.copy()
        stop = self._span[1]
        while self._tick_seconds < min(seconds, stop):
            self.clip.append(picture.copy() if self.latest is None else self.latest)
        self.latest = picture.copy()

    def files(self) -> dict[str, bytes]:
        """Return the encoded pictures and clip by key; nothing where no frame was seen."""
        if self.latest is None:
            return {}
        made = {}
        for name in self.wanted_frames:
            picture = self.pictures.get(name, self.latest)
            is_peak = name == "picture_peak"
            made[self.keys[name]] = _jpeg(
                _with_places(picture, self.event, self.size) if is_peak else _small(picture)
            )
        made[self.keys["clip"]] = _mp4(self.clip or [self.latest])
        return made


def _with_places(picture: Picture, event: Event, size: tuple[int, int]) -> Picture:
    """Return the picture with a box around each strange place, or the strangest cell, if any is known."""
    if event.boxes:
        corners = [(box.left, box.top, box.right, box.bottom) for box in event.boxes]
        return with_boxes(picture, corners, size)
    if event.place is None or event.grid is None:
        return picture
    row, column = event.place
    # Cells reach half a cell into their neighbours, and so does the box.
    cell = (column - 0.5, row - 0.5, column + 1.5, row + 1.5)
    return with_boxes(picture, [cell], event.grid)


def with_boxes(
    picture: Picture,
    corners: Sequence[tuple[float, float, float, float]],
    size: tuple[int, int],
) -> Picture:
    """Return the picture with boxes drawn: left, top, right, bottom where it is `size` high and wide."""
    marked = picture.copy()
    high, wide = picture.shape[:2]
    scale = np.array([wide / size[1], high / size[0]] * 2)
    for box in corners:
        left, top, right, bottom = np.rint(np.array(box) * scale).astype(int).tolist()
        first = max(left, 1), max(top, 1)
        last = min(right, wide - 1) - 1, min(bottom, high - 1) - 1
        for color, thickness in ((_DARK, 3), (_AMBER, 1)):
            cv2.rectangle(marked, first, last, color, thickness, cv2.LINE_AA)
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


def _mp4(pictures: Sequence[Picture]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, pictures, CLIP_FRAMES_PER_SECOND, crf=_CLIP_CRF)
        return path.read_bytes()
