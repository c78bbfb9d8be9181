"""What is wrong with the picture of a camera, whatever its model knows, stretch by stretch of a video.

    blind          without form: covered, in fog, without light
    over-exposed   white in the most part
    frozen         always the same
    moved, ...     unlike the training video of the camera's own model (`scores.domain`)

Measured on what extraction keeps of each picture (`features.picture`), ten seconds at a time. Limits are in
grey levels of the pictures that the decoder hands over; docs/how-to/machine-room.md says what they were
set on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.catalog import Condition
from anomaly.features.picture import Picture
from anomaly.scores.domain import VIEW_CHANGED, Outside, block_of, blocks

BLIND, FROZEN, OVER_EXPOSED, MOVED = "blind", "frozen", "over-exposed", "moved"
LIGHT_SECONDS = 300.0
"""how often the light of a video is noted"""
_FORM_LEVELS = 4.0
"""a view whose standard deviation is less has no form: what normal cameras show has 11 and more"""
_WHITE = 250
_WHITE_SHARE = 0.5
_CHANGE_LEVELS = 0.01
"""a picture that changes less from frame to frame is the same one: normal video changes by 0.04 at least,
an encoded standstill by 0.008 at most once the encoder has settled, in some ten seconds"""
_STILL_SHARE = 0.75
"""of the frames; a key frame now and then differs from what it repeats"""
_FROZEN_SECONDS = 60.0
_SHORTEST_SECONDS = 10.0


def conditions(
    picture: Picture, seconds_T: NDArray[np.float64], outside: Sequence[Outside] = ()
) -> tuple[Condition, ...]:
    """Return the stretches in which a video's picture was not as it should be.

    Args:
        picture: what it is like.
        seconds_T: when each of its rows was.
        outside: stretches that are unlike the camera's training video; what is blind, white or frozen
            anyway needs no second name.
    """
    if not len(seconds_T):
        return ()
    numbers, rows = zip(*blocks(seconds_T, np.arange(len(seconds_T))), strict=True)
    end_seconds = float(seconds_T[-1]) + _frame_seconds(seconds_T)
    starts_B = np.array([seconds_T[some[0]] for some in rows])
    stops_B = np.append(starts_B[1:], end_seconds)
    blind_B, white_B = _formless(picture, seconds_T, np.array(numbers))
    frozen_B = np.array([_is_frozen(picture, some) for some in rows])
    length = end_seconds - float(seconds_T[0])
    least = max(_SHORTEST_SECONDS, min(_FROZEN_SECONDS, length / 2)) - _frame_seconds(seconds_T)
    found = [
        *_stretches(BLIND, blind_B & ~white_B, starts_B, stops_B),
        *_stretches(OVER_EXPOSED, white_B, starts_B, stops_B),
        *(
            one
            for one in _stretches(FROZEN, frozen_B & ~blind_B & ~white_B, starts_B, stops_B)
            if one.stop_seconds - one.start_seconds >= least
        ),
    ]
    for one in outside:
        stop = min(one.stop_seconds, end_seconds)
        if not _is_told(one.start_seconds, stop, found):
            what = (MOVED if reason == VIEW_CHANGED else reason for reason in one.reasons)
            found += [Condition(name, float(one.start_seconds), float(stop)) for name in what]
    return tuple(found)


def light(picture: Picture, seconds_T: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the median brightness of each `LIGHT_SECONDS` of a video, 0 to 255."""
    if not len(seconds_T):
        return ()
    period_T = ((seconds_T - seconds_T[0]) // LIGHT_SECONDS).astype(np.int64)
    cuts = np.flatnonzero(np.diff(period_T)) + 1
    return tuple(
        round(float(np.median(part))) for part in np.split(picture["brightness"], cuts)
    )


def _formless(
    picture: Picture, seconds_T: NDArray[np.float64], number_B: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say for each block whether its views have no form, and whether they are white."""
    block_V = block_of(picture.view_seconds_V, seconds_T)
    flat_VP = picture.views_VHW.reshape(len(picture.views_VHW), -1)
    blind_V = flat_VP.std(axis=1, dtype=np.float32) < _FORM_LEVELS
    white_V = (flat_VP >= _WHITE).mean(axis=1) >= _WHITE_SHARE
    seen_B = np.isin(number_B, block_V)
    blind_B = seen_B & ~np.isin(number_B, block_V[~(blind_V | white_V)])
    white_B = seen_B & ~np.isin(number_B, block_V[~white_V])
    return blind_B, white_B


def _is_frozen(picture: Picture, rows: NDArray[np.int64]) -> bool:
    later = rows[rows > 0]  # before the first row of a video there is none to compare with
    if len(later) < 2:
        return False
    return bool(np.quantile(picture["change"][later], _STILL_SHARE) < _CHANGE_LEVELS)


def _stretches(
    what: str,
    marked_B: NDArray[np.bool_],
    starts_B: NDArray[np.float64],
    stops_B: NDArray[np.float64],
) -> Iterator[Condition]:
    edges = np.flatnonzero(np.diff(marked_B, prepend=False, append=False)).reshape(-1, 2)
    for first, last in edges:
        yield Condition(what, float(starts_B[first]), float(stops_B[last - 1]))


def _is_told(start: float, stop: float, known: Iterable[Condition]) -> bool:
    inside = sum(
        max(0.0, min(stop, one.stop_seconds) - max(start, one.start_seconds)) for one in known
    )
    return inside >= (stop - start) / 2


def _frame_seconds(seconds_T: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(seconds_T))) if len(seconds_T) > 1 else 0.0
