"""Does a detector say where: metrics of score maps and boxes against masks, boxes and tracks.

All of them are areas under one kind of curve: as the threshold falls, what is found of the truth grows,
and so does what is reported in vain. Ties count together, areas are exact (trapezes between thresholds),
a curve that ends early keeps its last height, and one that goes on is cut where the limit lies. Every
function sorts once, so time is that of sorting what was detected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.shapes import BoolArray, FloatArray, IntArray, expect

COVER = 0.4
"""share of a frame's true pixels that must be reported (UCSD)"""
OVERLAP = 0.1
"""intersection over union from which a box is found (Ramachandra and Jones)"""
TRACK = 0.1
"""share of a track's boxes that must be found"""
MOST_FALSE = 0.3
"""share of normal pixels up to which region overlap is averaged"""

_PAIRS = 4_000_000  # pairs of boxes compared at once
Numbers = NDArray[np.float64]


class Curve(NamedTuple):
    """What is found against what is reported in vain, from nothing on, as the threshold falls."""

    false_P: Numbers
    found_P: Numbers

    def area(self, limit: float = 1.0) -> float:
        """Return the mean of `found` over `false` from 0 to `limit`."""
        found = float(np.interp(limit, self.false_P, self.found_P))
        inside = self.false_P <= limit
        false_P = np.append(self.false_P[inside], limit)
        return float(np.trapezoid(np.append(self.found_P[inside], found), false_P)) / limit

    def equal_error(self) -> float:
        """Return the share of errors where as much is missed as is reported in vain."""
        gap_P = self.false_P + self.found_P - 1
        after = int(np.searchsorted(gap_P, 0.0))
        if after == len(gap_P):
            return float(1 - self.found_P[-1])
        if after == 0 or gap_P[after] == 0:
            return float(self.false_P[after])
        share = -gap_P[after - 1] / (gap_P[after] - gap_P[after - 1])
        step = self.false_P[after] - self.false_P[after - 1]
        return float(self.false_P[after - 1] + share * step)


def curve(score_M: FloatArray, found_M: FloatArray, false_M: FloatArray) -> Curve:
    """Return the curve of items: each adds to one side, or both, once the threshold falls to its score."""
    order = np.argsort(-score_M, kind="stable")
    last = np.append(np.diff(score_M[order]) != 0, True)[: len(order)]
    false_P, found_P = (
        np.append(0.0, np.cumsum(added_M[order], dtype=np.float64)[last])
        for added_M in (false_M, found_M)
    )
    return Curve(false_P, found_P)


@dataclass(frozen=True)
class Boxes:
    """Rectangles in frames; corners belong to them: a box of one pixel has equal ones."""

    frame_K: IntArray
    corners_K4: FloatArray
    """left, top, right, bottom"""

    def __post_init__(self) -> None:
        expect("corners", self.corners_K4, "K C", K=len(self.frame_K), C=4)

    def __len__(self) -> int:
        return len(self.frame_K)


class Regions(NamedTuple):
    """How much of the true regions and tracks is found, over 0 to 1 false regions a frame."""

    rbdc: float
    tbdc: float


def region_detection(
    detected: Boxes, score_D: FloatArray, true: Boxes, track_K: IntArray, n_frames: int
) -> Regions:
    """Return RBDC and TBDC of Ramachandra and Jones (WACV 2020), from their definition.

    A true box is found by a box of its frame with an intersection over union of at least 0.1 (pixels of
    the border counted), a track by a tenth of its boxes. What finds no box is a false region. The curve
    is cut at exactly one false region a frame, where the published script takes one point more.

    Args:
        detected: boxes in any order.
        score_D: their scores.
        true: boxes of what is abnormal.
        track_K: which track each of them belongs to.
        n_frames: frames in all, those without boxes counted.

    Raises:
        StoreError: there is no true box, or counts do not fit.
    """
    expect("scores", np.asarray(score_D), "D", D=len(detected))
    expect("tracks", np.asarray(track_K), "K", K=len(true))
    if not len(true):
        raise StoreError("Found no true box: regions of normal video alone cannot be judged.")
    found_K, useful_D = _matched(detected, np.asarray(score_D, dtype=np.float64), true)
    false_F = np.asarray(score_D, dtype=np.float64)[~useful_D]
    tracks_found = _found_tracks(found_K, track_K)
    areas = []
    for found in (found_K, tracks_found):
        seen = found[np.isfinite(found)]
        score_M = np.concatenate([seen, false_F])
        is_true_M = np.arange(len(score_M)) < len(seen)
        areas.append(curve(score_M, is_true_M / len(found), ~is_true_M / n_frames).area())
    return Regions(*areas)


def _matched(detected: Boxes, score_D: Numbers, true: Boxes) -> tuple[Numbers, BoolArray]:
    """Return the score at which each true box is found (-inf: never), and which detections find one."""
    by_frame = np.argsort(true.frame_K, kind="stable")
    frame_K, corners_K4 = true.frame_K[by_frame], true.corners_K4[by_frame]
    first_D = np.searchsorted(frame_K, detected.frame_K, "left")
    count_D = np.searchsorted(frame_K, detected.frame_K, "right") - first_D
    found_K, useful_D = np.full(len(true), -np.inf), np.zeros(len(detected), dtype=bool)
    pairs_D = np.cumsum(count_D)
    start = 0
    while start < len(detected):
        before = pairs_D[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(pairs_D, before + _PAIRS, "right")))
        counts = count_D[start:stop]
        one_M = np.repeat(np.arange(start, stop), counts)
        within_M = np.arange(len(one_M)) - np.repeat(np.cumsum(counts) - counts, counts)
        other_M = first_D[one_M] + within_M
        hit_M = _overlaps(detected.corners_K4[one_M], corners_K4[other_M]) >= OVERLAP
        useful_D[one_M[hit_M]] = True
        np.maximum.at(found_K, by_frame[other_M[hit_M]], score_D[one_M[hit_M]])
        start = stop
    return found_K, useful_D


def _overlaps(one_M4: FloatArray, other_M4: FloatArray) -> Numbers:
    """Return intersections over unions."""
    low = np.maximum(one_M4[:, :2], other_M4[:, :2])
    high = np.minimum(one_M4[:, 2:], other_M4[:, 2:])
    common_M = np.clip(high - low + 1, 0, None).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2] + 1).prod(axis=1) for box in (one_M4, other_M4)]
    return np.asarray(common_M / (areas[0] + areas[1] - common_M), dtype=np.float64)


def _found_tracks(found_K: Numbers, track_K: IntArray) -> Numbers:
    """Return the score at which a tenth of the boxes of each track are found."""
    order = np.lexsort((-found_K, track_K))
    first_S = np.flatnonzero(np.append(True, np.diff(track_K[order]) != 0))
    size_S = np.diff(np.append(first_S, len(order)))
    needed_S = np.maximum(1, np.ceil(TRACK * size_S - 1e-9).astype(np.int64))
    return found_K[order][first_S + needed_S - 1]


class PixelLevel(NamedTuple):
    """The pixel-level criterion of UCSD."""

    auc: float
    equal_error: float
    detection_rate: float
    """share of frames found where as many are missed as normal ones are reported"""


class PixelTally:
    """Gathers, frame by frame, what metrics of score maps need: memory grows with places, not pixels."""

    def __init__(self) -> None:
        self._score_M: list[Numbers] = []
        self._true_M: list[Numbers] = []
        self._false_M: list[Numbers] = []
        self._region_M: list[Numbers] = []
        self._regions = 0
        self._found: list[float] = []
        self._vain: list[float] = []

    def add(
        self, score_P: FloatArray, mask_HW: BoolArray, place_HW: IntArray | None = None
    ) -> None:
        """Add one frame.

        Args:
            score_P: scores of its places; -inf (nothing is said of it) or NaN is below all others.
            mask_HW: what is abnormal.
            place_HW: the place that each pixel lies in; every pixel is one, line after line, without.
        """
        from scipy import ndimage

        told_P: Numbers = np.asarray(score_P, dtype=np.float64).ravel()
        told_P = np.where(np.isnan(told_P), -np.inf, told_P)
        place_N = np.arange(mask_HW.size) if place_HW is None else place_HW.ravel()
        true_N = mask_HW.ravel()
        region_HW, count = ndimage.label(mask_HW, structure=np.ones((3, 3)))
        region_N = region_HW.ravel()[true_N]
        weight_N = 1 / np.bincount(region_N)[region_N] if count else np.zeros(0)
        n_places = len(told_P)
        inside_N = place_N[true_N]
        true_P = np.bincount(inside_N, minlength=n_places)
        self._score_M.append(told_P)
        self._true_M.append(true_P.astype(np.float64))
        self._false_M.append(
            np.bincount(place_N, minlength=n_places).astype(np.float64) - true_P
        )
        found_P = np.bincount(inside_N, weight_N, minlength=n_places)
        self._region_M.append(found_P.astype(np.float64))
        self._regions += count
        if count:
            needed = max(1, int(np.ceil(COVER * len(inside_N) - 1e-9)))
            rank = len(inside_N) - needed
            self._found.append(float(np.partition(told_P[inside_N], rank)[rank]))
        else:
            self._vain.append(float(told_P[np.unique(place_N)].max()))

    @property
    def frames(self) -> int:
        """How many frames were added."""
        return len(self._score_M)

    @property
    def frames_abnormal(self) -> int:
        """In how many of them something is."""
        return len(self._found)

    def pixel_level(self) -> PixelLevel:
        """Return how well frames are found by maps that must cover 40 % of their true pixels.

        A normal frame is reported in vain as soon as one pixel is. Painting whole frames is not punished:
        see `pixel_auc` and `region_overlap` beside it. NaN where there are no frames of both kinds.
        """
        found, false = len(self._found), len(self._vain)
        if not found or not false:
            return PixelLevel(np.nan, np.nan, np.nan)
        score_M = _finite(np.array([*self._found, *self._vain]))
        is_true_M = np.arange(found + false) < found
        drawn = curve(score_M, is_true_M / found, ~is_true_M / false)
        wrong = drawn.equal_error()
        return PixelLevel(drawn.area(), wrong, 1 - wrong)

    def pixel_auc(self) -> float:
        """Return the area under the ROC curve of all pixels together; NaN without pixels of both kinds."""
        score_M, true_M, false_M = self._gathered(self._true_M)
        if not true_M.any() or not false_M.any():
            return float("nan")
        return curve(score_M, true_M / true_M.sum(), false_M / false_M.sum()).area()

    def region_overlap(self) -> float:
        """Return PRO: the mean share of a true region that is found, up to 30 % of normal pixels reported.

        A region is a connected part of a frame's mask; small ones count as much as large ones.
        """
        score_M, found_M, false_M = self._gathered(self._region_M)
        if not self._regions or not false_M.any():
            return float("nan")
        return curve(score_M, found_M / self._regions, false_M / false_M.sum()).area(MOST_FALSE)

    def _gathered(self, found_M: list[Numbers]) -> tuple[Numbers, Numbers, Numbers]:
        none = np.zeros(0)
        scores, found, false = (
            np.concatenate([none, *parts]) for parts in (self._score_M, found_M, self._false_M)
        )
        return _finite(scores), found, false


def _finite(score_M: Numbers) -> Numbers:
    """Return the scores with -inf as one value below all others, so that it ties with itself."""
    told_M = np.isfinite(score_M)
    return np.where(told_M, score_M, score_M[told_M].min(initial=0.0) - 1)


def pixel_level(maps_THW: FloatArray, masks_THW: BoolArray) -> PixelLevel:
    """Return what `PixelTally.pixel_level` gives of these frames."""
    return _tally(maps_THW, masks_THW).pixel_level()


def pixel_auc(maps_THW: FloatArray, masks_THW: BoolArray) -> float:
    """Return what `PixelTally.pixel_auc` gives of these frames."""
    return _tally(maps_THW, masks_THW).pixel_auc()


def region_overlap(maps_THW: FloatArray, masks_THW: BoolArray) -> float:
    """Return what `PixelTally.region_overlap` gives of these frames."""
    return _tally(maps_THW, masks_THW).region_overlap()


def _tally(maps_THW: FloatArray, masks_THW: BoolArray) -> PixelTally:
    expect("masks", masks_THW, "T H W", **dict(zip("THW", maps_THW.shape, strict=True)))
    tally = PixelTally()
    for map_HW, mask_HW in zip(maps_THW, masks_THW, strict=True):
        tally.add(map_HW, mask_HW)
    return tally


def true_regions(masks_THW: BoolArray) -> tuple[Boxes, NDArray[np.int64]]:
    """Return the boxes of a video's mask and the track of each.

    A box is what hangs together in one frame, a track what hangs together over frames.
    """
    from scipy import ndimage

    together_THW, _ = ndimage.label(masks_THW, structure=np.ones((3, 3, 3)))
    frames, corners, tracks = [], [], []
    for frame, mask_HW in enumerate(masks_THW):
        region_HW, _ = ndimage.label(mask_HW, structure=np.ones((3, 3)))
        for number, (lines, columns) in enumerate(ndimage.find_objects(region_HW), start=1):
            frames.append(frame)
            corners.append([columns.start, lines.start, columns.stop - 1, lines.stop - 1])
            inside = region_HW[lines, columns] == number
            tracks.append(int(together_THW[frame][lines, columns][inside][0]))
    boxes = Boxes(
        np.array(frames, dtype=np.int64), np.array(corners, dtype=np.float64).reshape(-1, 4)
    )
    return boxes, np.array(tracks, dtype=np.int64)
