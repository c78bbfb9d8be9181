"""Does a detector say where: metrics of score maps and boxes against masks, boxes and tracks.

All of them are areas under one kind of curve: as the threshold falls, what is found of the truth grows,
and so does what is reported in vain. Ties count together, areas are exact (trapezes between thresholds),
a curve that ends early keeps its last height, and one that goes on is cut where the limit lies. Every
function sorts once, so time is that of sorting what was detected.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.evaluation.curves import LEVELS
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
Amounts = NDArray[np.floating[Any]] | NDArray[np.integer[Any]] | NDArray[np.bool_]


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


class Sweep:
    """What a falling threshold comes upon, sorted and summed up once; a video may count many times.

    Each item adds to what is found, or is reported in vain, or both, once the threshold falls to its
    score; equal scores count together.
    """

    def __init__(
        self,
        score_M: FloatArray,
        found_M: Amounts,
        false_M: Amounts,
        video_M: IntArray,
        found_V: Amounts,
        false_V: Amounts,
    ) -> None:
        """Take items, the video that each is of, and for each video what there is in all."""
        self._found_V = np.asarray(found_V, dtype=np.float64)
        self._false_V = np.asarray(false_V, dtype=np.float64)
        _, level_M = np.unique(-score_M, return_inverse=True)
        self._sum_up(level_M, video_M, found_M, false_M)

    def _sum_up(
        self, level_M: IntArray, video_M: IntArray, found_M: Amounts, false_M: Amounts
    ) -> None:
        key_K, item_M = np.unique(level_M * len(self._found_V) + video_M, return_inverse=True)
        self._found_K, self._false_K = (
            np.bincount(item_M, added_M, minlength=len(key_K)) for added_M in (found_M, false_M)
        )
        self._level_K, self._video_K = np.divmod(key_K, len(self._found_V))
        self._last_K = np.append(np.diff(self._level_K) != 0, True)[: len(key_K)]

    def rounded(self) -> Sweep:
        """Return the same with at most `LEVELS` scores, each for as many of them: for many resamples."""
        n_levels = int(self._level_K.max(initial=-1)) + 1
        if n_levels <= LEVELS:
            return self
        coarse = copy(self)
        level_K = self._level_K * LEVELS // n_levels
        coarse._sum_up(level_K, self._video_K, self._found_K, self._false_K)  # noqa: SLF001 - its own kind
        return coarse

    def read(self, value: Callable[[Curve], float], weight_V: IntArray | None = None) -> float:
        """Return a value of the curve, video v counted `weight_V[v]` times; NaN where one side is empty."""
        weight = (
            np.ones(len(self._found_V)) if weight_V is None else weight_V.astype(np.float64)
        )
        found, false = float(weight @ self._found_V), float(weight @ self._false_V)
        if not found or not false:
            return float("nan")
        weight_K = weight[self._video_K]
        false_P, found_P = (
            np.append(0.0, np.cumsum(weight_K * added_K)[self._last_K]) / whole
            for added_K, whole in ((self._false_K, false), (self._found_K, found))
        )
        return value(Curve(false_P, found_P))


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
    video_F = np.zeros(n_frames, dtype=np.int64)
    regions, tracks = region_sweeps(detected, score_D, true, track_K, video_F)
    return Regions(regions.read(Curve.area), tracks.read(Curve.area))


def region_sweeps(
    detected: Boxes, score_D: FloatArray, true: Boxes, track_K: IntArray, video_F: IntArray
) -> tuple[Sweep, Sweep]:
    """Return what RBDC and TBDC are areas of; `video_F` says which video each frame is of.

    Raises:
        StoreError: there is no true box, or counts do not fit.
    """
    expect("scores", np.asarray(score_D), "D", D=len(detected))
    expect("tracks", np.asarray(track_K), "K", K=len(true))
    if not len(true):
        raise StoreError("Found no true box: regions of normal video alone cannot be judged.")
    found_K, useful_D = _matched(detected, np.asarray(score_D, dtype=np.float64), true)
    vain_D = ~useful_D
    _, first_S = np.unique(track_K, return_index=True)
    video_K = video_F[true.frame_K]
    in_vain = np.asarray(score_D, dtype=np.float64)[vain_D], video_F[detected.frame_K[vain_D]]
    frames_V = np.bincount(video_F)
    return (
        _sweep_of_regions(found_K, video_K, *in_vain, frames_V),
        _sweep_of_regions(
            _found_tracks(found_K, track_K), video_K[first_S], *in_vain, frames_V
        ),
    )


def _sweep_of_regions(
    found_S: Numbers, video_S: IntArray, false_F: Numbers, video_F: IntArray, frames_V: IntArray
) -> Sweep:
    """Return the sweep of true things, found at a score or never (-inf), and of false regions a frame."""
    seen_S = np.isfinite(found_S)
    is_true_M = np.arange(seen_S.sum() + len(false_F)) < seen_S.sum()
    return Sweep(
        np.concatenate([found_S[seen_S], false_F]),
        is_true_M,
        ~is_true_M,
        np.concatenate([video_S[seen_S], video_F]),
        np.bincount(video_S, minlength=len(frames_V)),
        frames_V,
    )


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
        self._regions_F: list[int] = []
        self._video_F: list[int] = []
        self._told_F: list[float] = []

    def add(
        self,
        score_P: FloatArray,
        mask_HW: BoolArray,
        place_HW: IntArray | None = None,
        video: int = 0,
    ) -> None:
        """Add one frame.

        Args:
            score_P: scores of its places; -inf (nothing is said of it) or NaN is below all others.
            mask_HW: what is abnormal.
            place_HW: the place that each pixel lies in; every pixel is one, line after line, without.
            video: number of the video that the frame is of, from 0.
        """
        from scipy import ndimage

        told_P: Numbers = np.asarray(score_P, dtype=np.float64).ravel()
        told_P = np.where(np.isnan(told_P), -np.inf, told_P)
        place_N = np.arange(mask_HW.size) if place_HW is None else place_HW.ravel()
        true_N = mask_HW.ravel()
        region_HW, count = ndimage.label(mask_HW, structure=np.ones((3, 3)))
        region_N = region_HW.ravel()[true_N]
        weight_N = 1 / np.bincount(region_N)[region_N] if count else np.zeros(0)
        inside_N = place_N[true_N]
        all_P, true_P, found_P = (
            np.bincount(place, weight, minlength=len(told_P)).astype(np.float64)
            for place, weight in ((place_N, None), (inside_N, None), (inside_N, weight_N))
        )
        self._score_M.append(told_P)
        self._true_M.append(true_P)
        self._false_M.append(all_P - true_P)
        self._region_M.append(found_P)
        self._regions_F.append(count)
        self._video_F.append(video)
        self._told_F.append(_told(told_P, inside_N if count else np.unique(place_N), count))

    @property
    def frames(self) -> int:
        """How many frames were added."""
        return len(self._video_F)

    @property
    def frames_abnormal(self) -> int:
        """In how many of them something is."""
        return sum(count > 0 for count in self._regions_F)

    def pixel_level(self) -> Sweep:
        """Return what tells how well frames are found by maps that must cover 40 % of their true pixels.

        A normal frame is reported in vain as soon as one pixel is. Painting whole frames is not punished:
        see `pixels` and `regions` beside it.
        """
        found_F = np.array(self._regions_F) > 0
        video_F = np.array(self._video_F)
        totals = (
            np.bincount(video_F, weight_F, minlength=self._videos)
            for weight_F in (found_F, ~found_F)
        )
        return Sweep(_finite(np.array(self._told_F)), found_F, ~found_F, video_F, *totals)

    def pixels(self) -> Sweep:
        """Return what tells true pixels from all others."""
        return self._sweep(self._true_M, self._totals(self._true_M))

    def regions(self) -> Sweep:
        """Return what tells which share of each true region is found; small ones count as much as large.

        A region is a connected part of a frame's mask.
        """
        counts_V = np.bincount(self._video_F, self._regions_F, minlength=self._videos)
        return self._sweep(self._region_M, counts_V)

    @property
    def _videos(self) -> int:
        return max(self._video_F) + 1

    def _totals(self, parts: list[Numbers]) -> Numbers:
        sums_F = np.array([part.sum() for part in parts])
        return np.bincount(self._video_F, sums_F, minlength=self._videos).astype(np.float64)

    def _sweep(self, found: list[Numbers], found_V: Amounts) -> Sweep:
        video_M = np.repeat(self._video_F, [len(part) for part in self._score_M])
        score_M, found_M, false_M = map(np.concatenate, (self._score_M, found, self._false_M))
        false_V = self._totals(self._false_M)
        return Sweep(_finite(score_M), found_M, false_M, video_M, found_V, false_V)


def _told(told_P: Numbers, place_N: IntArray, regions: int) -> float:
    """Return the score at which a frame is reported: 40 % of its true pixels, or any of a normal one."""
    if not regions:
        return float(told_P[place_N].max())
    rank = len(place_N) - max(1, int(np.ceil(COVER * len(place_N) - 1e-9)))
    return float(np.partition(told_P[place_N], rank)[rank])


def _finite(score_M: Numbers) -> Numbers:
    """Return the scores with -inf as one value below all others, so that it ties with itself."""
    told_M = np.isfinite(score_M)
    return np.where(told_M, score_M, score_M[told_M].min(initial=0.0) - 1)


def region_overlap_of(found: Curve) -> float:
    """Return PRO: the mean share of true regions found, up to 30 % of normal pixels reported."""
    return found.area(MOST_FALSE)


def pixel_level(maps_THW: FloatArray, masks_THW: BoolArray) -> PixelLevel:
    """Return UCSD's figures of these frames (`PixelTally.pixel_level`); NaN without both kinds of them."""
    sweep = _tally(maps_THW, masks_THW).pixel_level()
    wrong = sweep.read(Curve.equal_error)
    return PixelLevel(sweep.read(Curve.area), wrong, 1 - wrong)


def pixel_auc(maps_THW: FloatArray, masks_THW: BoolArray) -> float:
    """Return the area under the ROC curve of all pixels together; NaN without pixels of both kinds."""
    return _tally(maps_THW, masks_THW).pixels().read(Curve.area)


def region_overlap(maps_THW: FloatArray, masks_THW: BoolArray) -> float:
    """Return PRO (`region_overlap_of`) of these frames; NaN without pixels of both kinds."""
    return _tally(maps_THW, masks_THW).regions().read(region_overlap_of)


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
