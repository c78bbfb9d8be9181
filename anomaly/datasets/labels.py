"""The generic label file: CSV with `video,n_frames,start_frame,stop_frame,category`.

Frames count from 0 and intervals are half-open. A row without start and stop says: labelled,
nothing abnormal. Category `ignore` marks frames that count neither way; where it meets another
interval, it wins. A file with only `video,category` labels whole videos; an empty category
means normal. Either kind may have a column `group`: videos of one group come from one source, so
they stay on one side of every split.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError

IGNORE = "ignore"
ABNORMAL, NORMAL, IGNORED = 1, 0, -1
_FRAME_COLUMNS = ("n_frames", "start_frame", "stop_frame")


@dataclass(frozen=True)
class Interval:
    """Frames `start` to `stop`, half-open, and what happens there."""

    start: int
    stop: int
    category: str


@dataclass(frozen=True)
class Truth:
    """What is known of one video: where it is abnormal, or only whether."""

    n_frames: int | None
    """None: labelled as a whole"""
    intervals: tuple[Interval, ...] = ()
    category: str = ""
    """of a video that is labelled as a whole; empty when it is normal"""
    group: str = ""
    """the source that it comes from, if the file says"""

    @property
    def categories(self) -> tuple[str, ...]:
        """What happens in the video, in order of time; `ignore` left out."""
        found = [interval.category for interval in sorted(self.intervals, key=_start)]
        return tuple(name for name in [self.category, *found] if name and name != IGNORE)

    @property
    def labels_T(self) -> NDArray[np.int8]:
        """One label per frame: 1 abnormal, 0 normal, -1 ignored.

        Raises:
            SpecError: the video is labelled as a whole.
        """
        if self.n_frames is None:
            raise SpecError(
                "Labels of whole videos do not say which frames are abnormal. "
                "Give n_frames, start_frame and stop_frame."
            )
        labels_T = np.full(self.n_frames, NORMAL, dtype=np.int8)
        for interval in sorted(self.intervals, key=_ignored_last):
            ignored = interval.category == IGNORE
            labels_T[interval.start : interval.stop] = IGNORED if ignored else ABNORMAL
        return labels_T


@dataclass(frozen=True)
class LabelSet:
    """The labels of some videos."""

    id: str
    """12 hex digits of the file's bytes, told with every figure"""
    videos: Mapping[str, Truth]

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """All names of abnormal things, sorted; the class of a name is its place, counted from 1."""
        return tuple(sorted({name for t in self.videos.values() for name in t.categories}))

    @property
    def of_whole_videos(self) -> bool:
        """Whether nothing is said of frames, only of videos as a whole."""
        return all(truth.n_frames is None for truth in self.videos.values())

    def group(self, video: str) -> str:
        """Return the source that a video comes from; empty: the file does not say."""
        truth = self.videos.get(video)
        return truth.group if truth else ""

    def has_normal_frames(self, video: str) -> bool:
        """Say whether some frame of the video is known to be normal."""
        truth = self.videos.get(video)
        if truth is None or truth.n_frames is None:
            return truth is not None and not truth.category
        return bool((truth.labels_T == NORMAL).any())

    def video_class(self, video: str) -> int | None:
        """Return 0 for a normal video, the class of what happens first in others; None: not known."""
        truth = self.videos.get(video)
        if truth is None or (truth.category == IGNORE and not truth.categories):
            return None
        return self._class(truth.categories[0]) if truth.categories else NORMAL

    def row_classes(
        self,
        video: str,
        index_T: NDArray[np.int64],
        seconds_T: NDArray[np.float64],
        margin_seconds: float,
    ) -> NDArray[np.int16] | None:
        """Return the class of each row, -1 for ignored rows and for normal ones that `normal_rows` drops.

        None: only the video as a whole is labelled, and it is abnormal.
        """
        truth = self.videos[video]
        if truth.category:
            return None
        normal = self.normal_rows(video, index_T, seconds_T, margin_seconds)
        classes_T = np.full(len(index_T), NORMAL if normal is None else IGNORED, dtype=np.int16)
        for start, stop in normal or ():
            classes_T[start:stop] = NORMAL
        for interval in sorted(truth.intervals, key=_ignored_last):
            inside_T = (index_T >= interval.start) & (index_T < interval.stop)
            ignored = interval.category == IGNORE
            classes_T[inside_T] = IGNORED if ignored else self._class(interval.category)
        return classes_T

    def _class(self, category: str) -> int:
        return 1 + self.categories.index(category)

    def is_abnormal_without_frames(self, video: str) -> bool:
        """Say whether the video is labelled abnormal as a whole, so that none of it can be trusted."""
        truth = self.videos.get(video)
        return truth is not None and truth.n_frames is None and bool(truth.category)

    def normal_rows(
        self,
        video: str,
        index_T: NDArray[np.int64],
        seconds_T: NDArray[np.float64],
        margin_seconds: float,
    ) -> tuple[tuple[int, int], ...] | None:
        """Return the half-open ranges of rows that are normal and far enough from what is not.

        Row t stands for frame `index_T[t]` at `seconds_T[t]`. Rows within `margin_seconds` of
        an abnormal or ignored frame are left out. None: the labels leave nothing of this video
        out.
        """
        truth = self.videos.get(video)
        if truth is None or not truth.intervals or not len(index_T):
            return None
        usable_T = np.ones(len(index_T), dtype=bool)
        for interval in truth.intervals:
            ends = np.array([interval.start, interval.stop - 1])
            first, last = np.interp(ends, index_T, seconds_T)
            usable_T &= (seconds_T < first - margin_seconds) | (
                seconds_T > last + margin_seconds
            )
        edges = np.flatnonzero(np.diff(usable_T, prepend=False, append=False))
        return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _start(interval: Interval) -> int:
    return interval.start


def _ignored_last(interval: Interval) -> bool:
    return interval.category == IGNORE


def read_labels(path: Path) -> LabelSet:
    """Read a label file.

    Raises:
        SpecError: there is no such file, or a line of it is wrong; the message names line and
        column.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"Cannot read labels {str(path)!r}: {error}.") from error
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = set(reader.fieldnames or ())
    whole_videos = not columns & set(_FRAME_COLUMNS)
    needed = {"video", "category", *(() if whole_videos else _FRAME_COLUMNS)}
    if needed - columns:
        raise SpecError(
            f"Labels {str(path)!r} lack the columns {', '.join(sorted(needed - columns))}; found "
            f"{', '.join(reader.fieldnames or ()) or 'none'}. Expected video,n_frames,start_frame,"
            "stop_frame,category, or video,category for whole videos."
        )
    videos: dict[str, Truth] = {}
    for row in reader:
        line = _Line(path, reader.line_num, row)
        video = line.text("video")
        if not video:
            raise line.error("names no video")
        parse = _whole_video if whole_videos else _frames
        before = videos.get(video)
        group = line.text("group") or (before.group if before else "")
        videos[video] = replace(parse(line, before), group=group)
    if not videos:
        raise SpecError(f"Labels {str(path)!r} hold no row.")
    return LabelSet(hashlib.sha256(data).hexdigest()[:12], videos)


def check_known(labels: LabelSet, uris: Iterable[str]) -> None:
    """Refuse labels that name a video which is not there.

    Raises:
        SpecError: names the first such video, how many there are, and the nearest known one.
    """
    known = set(uris)
    unknown = sorted(set(labels.videos) - known)
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    raise SpecError(
        f"Labels name the video {unknown[0]!r}{others}, which is not among the {len(known)} of the "
        f"archive.{hint} Paths are relative to the archive's root."
    )


@dataclass(frozen=True)
class _Line:
    """One line of a label file, for reading it and complaining about it."""

    path: Path
    number: int
    row: Mapping[str, str | None]

    def text(self, column: str) -> str:
        return (self.row.get(column) or "").strip()

    def count(self, column: str) -> int | None:
        found = self.text(column)
        if not found:
            return None
        if not found.isdecimal():
            raise self.error(f"has {column} {found!r}, expected a whole number from 0")
        return int(found)

    def error(self, what: str) -> SpecError:
        return SpecError(f"Labels {str(self.path)!r}, line {self.number}: {what}.")


def _whole_video(line: _Line, before: Truth | None) -> Truth:
    earlier = before.category if before else ""
    return Truth(None, category=earlier or line.text("category"))


def _frames(line: _Line, before: Truth | None) -> Truth:
    n_frames, start, stop = (line.count(column) for column in _FRAME_COLUMNS)
    if not n_frames:
        raise line.error("has no n_frames, expected the length of the video in frames")
    if before is not None and before.n_frames != n_frames:
        raise line.error(f"says {n_frames} frames, an earlier line {before.n_frames}")
    intervals = before.intervals if before else ()
    if start is None and stop is None:
        return Truth(n_frames, intervals)
    if start is None or stop is None:
        raise line.error("has only one of start_frame and stop_frame")
    if not start < stop <= n_frames:
        raise line.error(
            f"has frames {start} to {stop} of {n_frames}, expected start < stop <= n_frames"
        )
    return Truth(
        n_frames, (*intervals, Interval(start, stop, line.text("category") or "abnormal"))
    )
