"""Events instead of frames: what an operator sees are alarms, and what matters is whether they are true.

Two ways to count them. `alarm_points` raises an alarm wherever the score reaches a threshold and
counts the false ones at every threshold at once; the figures at the threshold in use take the
alarms that were reported.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from anomaly.evaluation.curves import Clip, Floats, Points, Stretch

MERGE_GAP_SECONDS = 2.0
"""alarms closer than this are one, as in `ScoreSpec`"""


def alarm_points(clip: Clip) -> Points:
    """Return the true events and false alarms of a clip by the threshold that raises them.

    An event is found where one of its frames reaches the threshold. Alarms are frames at or above
    it, those at most `MERGE_GAP_SECONDS` apart taken together; one is false when it touches
    neither an event nor frames that do not count. Each value says how many false alarms there
    are more, or fewer, once the threshold has sunk to it.

    Empty where the times of the frames are not known.
    """
    parts = [_nothing()]
    if np.isfinite(clip.frame_seconds):
        parts += [
            _false_alarms(
                clip.score_T[start:stop].astype(np.float64),
                round(MERGE_GAP_SECONDS / clip.frame_seconds),
                follows=follows,
                precedes=precedes,
            )
            for start, stop, follows, precedes in _normal_stretches(clip)
        ]
        found = [clip.score_T[event.start : event.stop].max() for event in clip.events]
        one_each = np.ones(len(found))
        parts.append(Points(np.array(found, dtype=np.float64), 0 * one_each, one_each))
    return Points(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def normal_hours(clip: Clip) -> float:
    """Return the playing time of the clip's normal frames; NaN where times are not known."""
    normal = int((~clip.abnormal_T).sum())
    return normal * clip.frame_seconds / 3600 if normal else 0.0


def overlapping(clip: Clip) -> tuple[list[Stretch], list[Stretch]]:
    """Return the reported alarms that overlap an event, and the events that an alarm overlaps."""
    alarms = clip.alarms or ()
    true = [alarm for alarm in alarms if any(_overlap(alarm, event) for event in clip.events)]
    found = [event for event in clip.events if any(_overlap(alarm, event) for alarm in alarms)]
    return true, found


def delays_seconds(clip: Clip) -> list[float]:
    """Return how long after its start each found event was reported, 0 when before; by event."""
    if clip.seconds_T is None:
        return []
    _, found = overlapping(clip)
    first = [
        min(alarm.start for alarm in clip.alarms or () if _overlap(alarm, event))
        for event in found
    ]
    return [
        max(0.0, float(clip.seconds_T[alarm] - clip.seconds_T[event.start]))
        for alarm, event in zip(first, found, strict=True)
    ]


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.start < other.stop and other.start < one.stop


def _nothing() -> Points:
    return Points(np.zeros(0), np.zeros(0), np.zeros(0))


def _normal_stretches(clip: Clip) -> list[tuple[int, int, bool, bool]]:
    """Return the runs of normal frames, and whether each follows and precedes something else.

    That is an event, or frames that do not count: what an alarm there is about is not known.
    """
    if clip.seconds_T is None or not len(clip.score_T):
        return []
    hole_T = np.diff(clip.seconds_T) > MERGE_GAP_SECONDS
    cuts = np.flatnonzero((clip.abnormal_T[1:] != clip.abnormal_T[:-1]) | hole_T) + 1
    edges = [0, *cuts.tolist(), len(clip.score_T)]
    return [
        (start, stop, start > 0, stop < len(clip.score_T))
        for start, stop in pairwise(edges)
        if not clip.abnormal_T[start]
    ]


def _false_alarms(score_T: Floats, gap: int, *, follows: bool, precedes: bool) -> Points:
    """Return the alarms inside one normal stretch by threshold, less those that touch its outside.

    The highest score of the last `gap` frames lies at or above a threshold in as many runs as
    there are alarms; runs are counted by their steps upwards.
    """
    from scipy.ndimage import maximum_filter1d

    held_T = maximum_filter1d(score_T, gap + 1, origin=gap // 2, mode="constant", cval=-np.inf)
    rises = np.flatnonzero(held_T[1:] > held_T[:-1])
    more, fewer = [held_T[:1], held_T[rises + 1]], [held_T[rises]]
    first = min(gap, len(held_T) - 1)
    if follows:
        fewer.append(held_T[first : first + 1])
    if precedes:
        fewer.append(held_T[-1:])
    if follows and precedes:
        more.append(held_T[first:].min(keepdims=True))  # one alarm may fill the stretch
    values_N = np.concatenate(more + fewer)
    sign_N = np.ones(len(values_N))
    sign_N[sum(map(len, more)) :] = -1
    return Points(values_N, sign_N, np.zeros(len(values_N)))
