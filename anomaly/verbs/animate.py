"""`clip` and `animate`: moving pictures of one event, or of a whole video, with what the detector said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly.catalog import CatalogRow, archives_with_tables
from anomaly.errors import SpecError, StoreError, VideoError
from anomaly.explain.places import SHARE, boxes, cell_scores, nearest_rows
from anomaly.report.animation import Course, composed, write_animation
from anomaly.scores.events import Box
from anomaly.scores.regularity import regularity
from anomaly.scores.tables import Partition, read_partition
from anomaly.storage import Root
from anomaly.verbs.bags import open_group
from anomaly.verbs.events import find_event
from anomaly.verbs.judge import Judges
from anomaly.verbs.score import choose_checkpoint
from anomaly.video import FrameBatch, PixelSpec
from anomaly.video.decode import DecodeProcess
from anomaly.video.spool import local_copy

Shown = Literal["score", "regularity", "regularity_max"]

_USUAL_RATE = 25.0
_GIF_RATE = 10.0
_SLACK_SECONDS = 1e-6  # time stamps are sums of rounded numbers


@dataclass(frozen=True, kw_only=True)
class AnimationSummary:
    """What was written."""

    path: str
    video: str
    frames: int
    boxes: int
    """drawn, over all frames"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "path": self.path,
            "video": self.video,
            "frames": self.frames,
            "boxes": self.boxes,
        }


def clip(
    root: Root, event_id: str, *, out: str = "", margin_seconds: float = 2.0
) -> AnimationSummary:
    """Write one event as a clip: every frame with its strange places, the course of the score beside it.

    Args:
        root: the root.
        event_id: of the event, or how it begins (four hex digits at least).
        out: file to write, .mp4 or .gif; by default the event's id and .mp4, here.
        margin_seconds: how much is shown before and after.

    Raises:
        SpecError: there is no such event, or several.
        VideoError: the video is gone, or is another by now.
    """
    event = find_event(root, event_id)
    judges = Judges(root, event["archive"], choose_checkpoint(root, event["checkpoint"]))
    said = _Said.of(judges, event["camera"], event["date"], event["video"])
    span = event["start_seconds"] - margin_seconds, event["stop_seconds"] + margin_seconds
    path = Path(out or f"{event['event_id']}.mp4")
    return said.write(path, span, said.course("score", event["threshold"], span))


def animate(
    root: Root, video: str, *, out: str = "", checkpoint: str = "", shown: Shown = "score"
) -> AnimationSummary:
    """Write a whole video with its strange places and the course of its score or regularity.

    Args:
        root: the root.
        video: path relative to its archive.
        out: file to write, .mp4 or .gif (10 pictures a second); by default the video's name and .mp4, here.
        checkpoint: whose scores; the current one by default.
        shown: the calibrated score, or the regularity of papers in one of its variants.

    Raises:
        SpecError: there is no such video, or the checkpoint has not scored it.
        VideoError: the video is gone, or is another by now.
    """
    bundle = choose_checkpoint(root, checkpoint)
    for archive in archives_with_tables(root):
        judges = Judges(root, archive, bundle)
        scored = judges.scored.get(video)
        if scored is not None:
            said = _Said.of(judges, scored.camera, scored.date, video)
            path = Path(out or f"{Path(video).stem}-animated.mp4")
            whole = (-np.inf, np.inf)
            return said.write(path, whole, said.course(shown, None, whole))
    raise SpecError(
        f"Checkpoint {bundle.name!r} has no scores of a video {video!r}: score it first."
    )


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a checkpoint says of one video."""

    row: CatalogRow
    seconds_T: NDArray[np.float64]
    raw_T: NDArray[np.float64]
    score_T: NDArray[np.float64]
    boxes_at: Callable[[int, int], dict[int, tuple[Box, ...]]]
    """boxes by frame, of frames from the first to the second, half-open"""

    @classmethod
    def of(cls, judges: Judges, camera: str, date: str, video: str) -> _Said:
        name = judges.bundle.name
        partition = Partition(archive=judges.archive, checkpoint=name, camera=camera, date=date)
        table = read_partition(judges.root, partition)
        table = table.filter(pc.equal(table["video"], video))
        numbers = (
            table[name].to_numpy().astype(np.float64) for name in ("seconds", "raw", "score")
        )
        seconds_T, raw_T, score_T = numbers
        row = replace(judges.rows[video], camera=camera)
        content = table["content"][0].as_py()
        if row.content != content:
            raise VideoError(
                "changing", f"{video} changed since it was scored: score it again."
            )
        return cls(
            row=row, seconds_T=seconds_T, raw_T=raw_T, score_T=score_T,
            boxes_at=_boxes_of(judges, row),
        )  # fmt: skip

    def course(self, shown: Shown, limit: float | None, span: tuple[float, float]) -> Course:
        """Return what is drawn beside the pictures."""
        value_T = self.score_T
        if shown != "score":
            value_T = regularity(self.raw_T, "range" if shown == "regularity" else "max")
        inside_T = (self.seconds_T >= span[0]) & (self.seconds_T <= span[1])
        return Course(self.seconds_T[inside_T], value_T[inside_T], limit)

    def write(self, path: Path, span: tuple[float, float], course: Course) -> AnimationSummary:
        """Decode the span and write it with boxes and course."""
        inside = np.flatnonzero((self.seconds_T >= span[0]) & (self.seconds_T <= span[1]))
        drawn = self.boxes_at(int(inside[0]), int(inside[-1]) + 1)
        rate = self.row.rate or _USUAL_RATE
        least_gap = 1 / _GIF_RATE if path.suffix == ".gif" else 0.0
        pixels = PixelSpec(resize="limit_height", height=240 if least_gap else 480)
        size = int(self.row.height or 1), int(self.row.width or 1)

        def pictures(stream: Iterable[FrameBatch]) -> Iterator[NDArray[np.uint8]]:
            for picture, frame, seconds in _within(stream, span, least_gap):
                yield composed(picture, drawn.get(frame, ()), size, course, seconds)

        def read(stream: Iterable[FrameBatch]) -> int:
            return write_animation(path, pictures(stream), _GIF_RATE if least_gap else rate)

        with local_copy(self.row.file) as (source, content), DecodeProcess() as process:
            if content != self.row.content:
                raise VideoError("changing", f"{self.row.uri} changed since it was scored.")
            n_frames = process.decode(source, self.row.file.kind, pixels, read)
        return AnimationSummary(
            path=str(path),
            video=self.row.uri,
            frames=n_frames,
            boxes=sum(map(len, drawn.values())),
        )


def _within(
    stream: Iterable[FrameBatch], span: tuple[float, float], least_gap: float
) -> Iterator[tuple[NDArray[np.uint8], int, float]]:
    """Yield picture, frame and time of the frames within the span, no closer than the least gap."""
    due = -np.inf
    for batch in stream:
        for picture, frame, seconds in zip(
            batch.pixels_BHWC, batch.index_B.tolist(), batch.seconds_B.tolist(), strict=True
        ):
            if seconds > span[1]:
                return
            if seconds >= max(span[0], due - _SLACK_SECONDS):
                due = max(due, seconds) + least_gap if np.isfinite(due) else seconds + least_gap
                yield picture, frame, seconds


def _boxes_of(
    judges: Judges, row: CatalogRow
) -> Callable[[int, int], dict[int, tuple[Box, ...]]]:
    """Return what finds the strange places of frames, each told by the row nearest to it.

    None of parts whose features are no longer stored.
    """

    def find(first: int, last: int) -> dict[int, tuple[Box, ...]]:
        found: dict[int, tuple[Box, ...]] = {}
        for part, limit in _limits(judges, row).items():
            try:
                bag = judges.bag_of(row, part)
                group = open_group(
                    judges.store, judges.bundle.inputs[part], row.uri, row.content or ""
                )
            except StoreError:
                continue
            index_T = group.index_T()
            begin, end = np.searchsorted(index_T, [first, last]).tolist()
            judge = judges.detector(row.camera).judge_of(part)
            maps = cell_scores(judge, bag, begin, end) if begin < end else None
            if maps is None:
                continue
            size = int(row.height or 1), int(row.width or 1)
            strange = [_strange(boxes(cells_GG, limit, *size), limit) for cells_GG in maps]
            rows_F = nearest_rows(index_T[begin:end], np.arange(first, last))
            for frame, number in enumerate(rows_F.tolist(), start=first):
                found[frame] = found.get(frame, ()) + strange[number]
        return found

    return find


def _limits(judges: Judges, row: CatalogRow) -> dict[str, float]:
    """Return from where on cells are strange, by part of the detector.

    Parts without a limit of their own are shown where they spoke in an event of the video: from a share
    of the best cell of its lowest event on.
    """
    parts, scored = list(judges.bundle.inputs), judges.scored.get(row.uri)
    limits: dict[str, float] = {}
    for event in judges.events([scored] if scored else []):
        part = event["part"] or parts[0]
        best = max((box["score"] for box in event["boxes"] or ()), default=np.inf)
        limits[part] = min(limits.get(part, np.inf), SHARE * best)
    judge = judges.detector(row.camera).judge_of
    own = {part: judge(part).strange_cell for part in parts}
    return limits | {part: limit for part, limit in own.items() if limit is not None}


def _strange(places: Sequence[Box], limit: float) -> tuple[Box, ...]:
    return tuple(box for box in places if box.score >= limit)
