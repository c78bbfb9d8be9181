"""Are the cameras all right? What their pictures, their files and the times of their files tell.

A camera is `missing` when nothing new came from it while others recorded, `degraded` when something is
wrong with it now, else ok. Wrong may be its picture (marks of `scores.conditions`, kept in the ledger) and
what of it could not be decoded; gaps between recordings are told, and always over. Videos that were scored
before marks were kept tell nothing of pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from anomaly.catalog import CatalogRow, LedgerRow
from anomaly.scores.conditions import LIGHT_SECONDS
from anomaly.scores.domain import BLOCK_SECONDS

_TOGETHER_SECONDS = 60.0
"""a trouble that pauses for less goes on; one that lasts less, and not most of the time, is none"""
_GAP_SECONDS = 60.0
_TIMES_USUAL_GAP = 4.0
_USUAL_SHARE = 0.9
_SCHEDULED = 3
"""a camera that records now and then, and not all the time, has usual pauses; so many must be known"""
_LOST_SHARE = 0.01
_DAY = timedelta(days=1)
_NIGHT_RATIO = 2.0
"""day is at least so many times as bright as night"""

State = Literal["ok", "degraded", "missing"]


class Trouble(NamedTuple):
    """Something that was wrong with a camera for a time."""

    what: str
    since: datetime | None
    """UTC; None when names do not tell the time"""
    until: datetime | None
    """None when it goes on, or is not known"""
    is_over: bool
    first_video: str
    detail: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        begun = self.since.isoformat(" ", "minutes") if self.since else self.first_video
        ended = f" until {self.until.isoformat(' ', 'minutes')}" if self.until else ""
        return f"{self.what} since {begun}{ended}{f': {self.detail}' if self.detail else ''}"


class Switch(NamedTuple):
    """Day became night, or night day."""

    at: datetime
    """UTC, within five minutes or a file"""
    to_night: bool


@dataclass(frozen=True, kw_only=True)
class CameraHealth:
    """What is known of one camera."""

    camera: str
    state: State
    troubles: tuple[Trouble, ...]
    """those that go on first, then the latest"""
    switches: tuple[Switch, ...]
    """between day and night"""
    videos: int
    seconds: float
    """playing time that is known"""
    last: datetime | None
    """UTC end of the latest recording"""

    @property
    def reasons(self) -> tuple[str, ...]:
        """What makes it degraded or missing, each once."""
        return tuple(dict.fromkeys(one.what for one in self.troubles if not one.is_over))


def health(rows: Mapping[str, CatalogRow], scored: Iterable[LedgerRow]) -> list[CameraHealth]:
    """Return how the cameras of an archive are, by name.

    Args:
        rows: the catalog.
        scored: the ledger of a checkpoint.
    """
    ledger = {row.uri: row for row in scored}
    of_camera: dict[str, list[CatalogRow]] = defaultdict(list)
    for row in rows.values():
        if row.present or row.uri in ledger:
            of_camera[row.camera].append(row)
    ends = {camera: _last(own) for camera, own in of_camera.items()}
    newest = max((end for end in ends.values() if end), default=None)
    return [
        _camera(camera, sorted(own, key=_order), ledger, newest)
        for camera, own in sorted(of_camera.items())
    ]


def _camera(
    camera: str,
    rows: Sequence[CatalogRow],
    ledger: Mapping[str, LedgerRow],
    newest: datetime | None,
) -> CameraHealth:
    last = _last(rows)
    pauses = [] if last is None else list(_pauses(rows))
    usual = _usual_pause(pauses)
    missing = last and newest and newest - last > max(_DAY, 2 * _TIMES_USUAL_GAP * usual)
    troubles = [
        *_picture_troubles(rows, ledger),
        *_losses(rows),
        *_gaps(pauses, usual),
    ]
    if missing:
        detail = "nothing new, while other cameras recorded"
        troubles.append(
            Trouble("missing", last, None, is_over=False, first_video="", detail=detail)
        )
    degraded = any(not one.is_over for one in troubles)
    oldest = datetime.min.replace(tzinfo=UTC)
    troubles.sort(key=lambda one: one.since or oldest, reverse=True)
    troubles.sort(key=lambda one: one.is_over)
    return CameraHealth(
        camera=camera,
        state="missing" if missing else "degraded" if degraded else "ok",
        troubles=tuple(troubles),
        switches=tuple(_switches(rows, ledger)),
        videos=len(rows),
        seconds=sum(row.duration_seconds or 0.0 for row in rows),
        last=last,
    )


@dataclass
class _Spell:
    """A trouble that may go on from file to file."""

    what: str
    first: CatalogRow
    since_seconds: float
    last: CatalogRow
    until_seconds: float
    seconds: float = 0.0
    footage: float = 0.0
    """playing time of the files that it touches"""

    def goes_on(self, row: CatalogRow, before: CatalogRow, start_seconds: float) -> bool:
        """Say whether a stretch that begins there continues this one; `before` is the file before."""
        if row.uri == self.last.uri:
            return start_seconds - self.until_seconds < _TOGETHER_SECONDS
        rest = (self.last.duration_seconds or 0.0) - self.until_seconds
        return self.last.uri == before.uri and start_seconds + rest < _TOGETHER_SECONDS

    @property
    def is_long(self) -> bool:
        return self.seconds >= min(_TOGETHER_SECONDS, self.footage / 2)

    def trouble(self, *, is_over: bool) -> Trouble:
        until = _moment(self.last, self.until_seconds) if is_over else None
        since = _moment(self.first, self.since_seconds)
        return Trouble(self.what, since, until, is_over, self.first.uri)


def _picture_troubles(
    rows: Sequence[CatalogRow], ledger: Mapping[str, LedgerRow]
) -> Iterator[Trouble]:
    """Yield what was wrong with the pictures, stretches of neighbouring files joined."""
    seen = [row for row in rows if row.uri in ledger]
    running: dict[str, _Spell] = {}
    done: list[_Spell] = []
    for number, row in enumerate(seen):
        before = seen[max(0, number - 1)]
        for what, start, stop in ledger[row.uri].conditions:
            spell = running.get(what)
            if spell is None or not spell.goes_on(row, before, start):
                spell = running[what] = _Spell(what, row, start, row, stop)
                done.append(spell)
            if spell.last.uri != row.uri or not spell.footage:
                spell.footage += row.duration_seconds or 0.0
            spell.last, spell.until_seconds = row, stop
            spell.seconds += stop - start
    for spell in done:
        if spell.is_long:
            rest = (spell.last.duration_seconds or 0.0) - spell.until_seconds
            yield spell.trouble(is_over=spell.last.uri != seen[-1].uri or rest >= BLOCK_SECONDS)


def _losses(rows: Sequence[CatalogRow]) -> Iterator[Trouble]:
    """Yield what could not be decoded; it goes on where it concerns the last day of recording."""
    of_day: dict[str, list[CatalogRow]] = defaultdict(list)
    for row in rows:
        of_day[row.date or ""].append(row)
    latest = max(of_day)
    for day, own in of_day.items():
        bad = [row for row in own if row.status == "quarantined"]
        lost = sum(row.frames_lost or 0 for row in own)
        frames = sum(row.n_frames or 0 for row in own)
        told = []
        if bad:
            told.append(f"{len(bad)} of {len(own)} files unreadable")
        if lost > _LOST_SHARE * frames:
            told.append(f"{lost} of {frames} frames lost")
        if told:
            first = bad[0] if bad else next(row for row in own if row.frames_lost)
            since = first.start_time_utc
            over = day != latest
            until = _moment(own[-1], own[-1].duration_seconds or 0.0) if over else None
            yield Trouble("decode losses", since, until, over, first.uri, ", ".join(told))


class _Pause(NamedTuple):
    after: CatalogRow
    begins: datetime
    ends: datetime

    @property
    def length(self) -> timedelta:
        return self.ends - self.begins


def _pauses(rows: Sequence[CatalogRow]) -> Iterator[_Pause]:
    """Yield the times between one recording and the next, where both ends are known."""
    dated = [row for row in rows if row.start_time_utc]
    for row, after in pairwise(dated):
        stop = _moment(row, row.duration_seconds or 0.0)
        if row.duration_seconds is not None and stop and after.start_time_utc:
            yield _Pause(row, stop, max(stop, after.start_time_utc))


def _usual_pause(pauses: Sequence[_Pause]) -> timedelta:
    lengths = sorted(pause.length for pause in pauses)
    return lengths[int(_USUAL_SHARE * (len(lengths) - 1))] if lengths else timedelta(0)


def _gaps(pauses: Sequence[_Pause], usual: timedelta) -> Iterator[Trouble]:
    """Yield pauses that are unusual for the camera, all of them over.

    A pause that comes again at the same hour of other days is the camera's schedule, and so is one
    between two days of a camera that records now and then.
    """
    least = max(timedelta(seconds=_GAP_SECONDS), _TIMES_USUAL_GAP * usual)
    now_and_then = usual > timedelta(seconds=_GAP_SECONDS) or len(pauses) < _SCHEDULED
    long = [pause for pause in pauses if pause.length > least]
    for pause in long:
        overnight = now_and_then and pause.begins.date() != pause.ends.date()
        if not (overnight and pause.length < _DAY) and not _comes_again(pause, long):
            detail = f"nothing recorded for {_words(pause.length)}"
            yield Trouble(
                "gap",
                pause.begins,
                pause.ends,
                is_over=True,
                first_video=pause.after.uri,
                detail=detail,
            )


def _comes_again(pause: _Pause, others: Sequence[_Pause]) -> bool:
    for other in others:
        apart = abs(other.begins - pause.begins)
        off = apart % _DAY
        off = min(off, _DAY - off)
        if apart > _DAY / 2 and off < timedelta(hours=1):
            return True
    return False


def _words(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _switches(rows: Sequence[CatalogRow], ledger: Mapping[str, LedgerRow]) -> Iterator[Switch]:
    """Yield when day became night and night day; a camera that knows one of them has none."""
    course = [
        (row.start_time_utc + timedelta(seconds=number * LIGHT_SECONDS), level)
        for row in rows
        if row.start_time_utc and row.uri in ledger
        for number, level in enumerate(ledger[row.uri].light or ())
    ]
    levels = np.array([level + 1.0 for _, level in course])
    if len(levels) < 2 or levels.max() < _NIGHT_RATIO * levels.min():
        return
    night_K = levels < np.sqrt(levels.max() * levels.min())
    day, night = np.median(levels[~night_K]), np.median(levels[night_K])
    if day < _NIGHT_RATIO * night:
        return
    for place in np.flatnonzero(np.diff(night_K)) + 1:
        yield Switch(course[place][0], bool(night_K[place]))


def _order(row: CatalogRow) -> tuple[datetime, str]:
    return row.start_time_utc or datetime.min.replace(tzinfo=UTC), row.uri


def _last(rows: Iterable[CatalogRow]) -> datetime | None:
    ends = (_moment(row, row.duration_seconds or 0.0) for row in rows)
    return max((end for end in ends if end is not None), default=None)


def _moment(row: CatalogRow, seconds: float) -> datetime | None:
    start = row.start_time_utc
    return None if start is None else start + timedelta(seconds=seconds)
