"""Does a checkpoint say where: maps of its cells and boxes of strange places against masks of pixels.

Each pixel has the score of the cell that it lies in; frames between two that were looked at have the map
of the nearer one. Of a detector of several inputs the first one's cells are judged, which leads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.catalog import CatalogRow
from anomaly.checkpoints import Checkpoint
from anomaly.datasets.masks import Masks, masks_of
from anomaly.errors import SpecError
from anomaly.evaluation.bootstrap import Interval, draw, percentiles
from anomaly.evaluation.spatial import (
    Boxes,
    Curve,
    PixelTally,
    Sweep,
    region_overlap_of,
    region_sweeps,
    true_regions,
)
from anomaly.evaluation.table import PLACES
from anomaly.explain.heat import seen_area
from anomaly.explain.places import boxes, cell_scores, nearest_rows
from anomaly.verbs.bags import open_group
from anomaly.verbs.judge import Judges
from anomaly.verbs.look import Look

_ROWS = 512
"""rows whose cells are asked for at once"""


@dataclass(frozen=True, kw_only=True)
class SpatialSummary:
    """How well places are found."""

    figures: Mapping[str, float | None]
    """by the names of `anomaly.evaluation.table.PLACES`"""
    intervals: Mapping[str, Interval | None]
    """95 %, of the same, over videos"""
    judged: str
    """the input whose cells were judged"""
    videos: int
    frames: int
    frames_abnormal: int
    without_masks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        around = {
            f"{name}_interval": found and list(found) for name, found in self.intervals.items()
        }
        return {
            **self.figures,
            **around,
            "judged": self.judged,
            "videos": self.videos,
            "frames": self.frames,
            "frames_abnormal": self.frames_abnormal,
            "videos_without_masks": list(self.without_masks),
        }


def evaluate_places(
    seen: Look, bundle: Checkpoint, uris: Sequence[str], folder: Path, *, seed: int = 0
) -> SpatialSummary:
    """Return how well the checkpoint's cells agree with the masks of these videos.

    Raises:
        SpecError: the detector tells of no places, no video has masks, or they do not fit its frames.
        StoreError: features of a video are no longer stored.
    """
    found = {uri: masks_of(folder, uri) for uri in uris}
    known = {uri: masks for uri, masks in found.items() if masks is not None}
    if not known:
        raise SpecError(
            f"No masks in {str(folder)!r} for any of {len(uris)} videos, the first is {uris[0]!r}. "
            "Expected NAME.npy, or a folder NAME or NAME_gt of numbered pictures."
        )
    tally, regions = PixelTally(), _Regions()
    judges = Judges(seen.root, seen.archive, bundle)
    name = ""
    for number, (uri, masks) in enumerate(known.items()):
        video = _Video(judges, seen.rows[uri])
        name = video.input_name
        n_frames = seen.rows[uri].n_frames
        if len(masks) != n_frames:
            raise SpecError(
                f"{masks.path} holds {len(masks)} masks, the video {uri!r} {n_frames} frames."
            )
        _add(number, video, masks, tally, regions)
    figures, intervals = _figures(tally, regions, len(known), seed)
    return SpatialSummary(
        figures=figures,
        intervals=intervals,
        judged=name,
        videos=len(known),
        frames=tally.frames,
        frames_abnormal=tally.frames_abnormal,
        without_masks=tuple(uri for uri in uris if uri not in known),
    )


class _Video:
    """What a checkpoint says of the places of one video."""

    def __init__(self, judges: Judges, row: CatalogRow) -> None:
        self.input_name, recipe = next(iter(judges.bundle.inputs.items()))
        self.detector = judges.detector(row.camera).judge_of(self.input_name)
        self.bag = judges.bag_of(row).only(self.input_name)
        self.index_T = open_group(judges.store, recipe, row.uri, row.content or "").index_T()
        size = int(row.height or 1), int(row.width or 1)
        self.area = seen_area(judges.backbone(self.input_name), recipe, size)
        self.detector_name = judges.bundle.detector

    def maps(self) -> Iterator[NDArray[np.float64]]:
        """Yield the scores of the cells of each row, NaN where nothing is said."""
        for first in range(0, self.bag.n_rows, _ROWS):
            last = min(first + _ROWS, self.bag.n_rows)
            found_TGG = cell_scores(self.detector, self.bag, first, last)
            if found_TGG is None:
                raise SpecError(
                    f"Detector {self.detector_name!r} tells of no places from {self.input_name!r}: "
                    "there is nothing to compare with masks. Leave out --masks."
                )
            yield from found_TGG

    def frames(self, n_frames: int) -> Iterator[NDArray[np.float64]]:
        """Yield the map of every frame of the video."""
        maps = self.maps()
        map_GG, row = next(maps), 0
        for wanted in nearest_rows(self.index_T, np.arange(n_frames)).tolist():
            while row < wanted:
                map_GG, row = next(maps), row + 1
            yield map_GG

    def places(self, grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.int64]:
        """Return the cell of each pixel of a mask; those outside what is seen lie in one more."""
        lines, columns = grid
        top, left, bottom, right = self.area
        line_H = _cells(size[0], top, bottom, lines)
        column_W = _cells(size[1], left, right, columns)
        place_HW = line_H[:, None] * columns + column_W
        outside_HW = (line_H[:, None] < 0) | (column_W < 0)
        return np.where(outside_HW, lines * columns, place_HW)


def _cells(pixels: int, begin: float, end: float, cells: int) -> NDArray[np.int64]:
    """Return the cell of each line of pixels between the shares `begin` and `end`, -1 outside."""
    share_N = ((np.arange(pixels) + 0.5) / pixels - begin) / (end - begin)
    inside_N = (share_N >= 0) & (share_N < 1)
    return np.where(inside_N, np.floor(share_N * cells), -1).astype(np.int64)


class _Regions:
    """Boxes of all videos one after the other: found ones, and true ones with their tracks."""

    def __init__(self) -> None:
        self.frames = 0
        self._tracks = 0
        self._parts: dict[str, list[NDArray[Any]]] = {
            "frame_D": [], "corners_D4": [], "score_D": [], "frame_K": [], "corners_K4": [], "track_K": [],
            "video_F": [],
        }  # fmt: skip

    def add(
        self, frame: int, detector: Any, map_GG: NDArray[np.float64], size: tuple[int, int]
    ) -> None:
        """Add what is strange in a frame of the video that comes next."""
        found = boxes(map_GG, detector.strange_cell, *size)
        corners = [[box.left, box.top, box.right - 1, box.bottom - 1] for box in found]
        self._put("frame_D", np.full(len(found), self.frames + frame, dtype=np.int64))
        self._put("corners_D4", np.array(corners, dtype=np.float64).reshape(-1, 4))
        self._put("score_D", np.array([box.score for box in found], dtype=np.float64))

    def finish(self, masks_THW: NDArray[np.bool_]) -> None:
        """Add what is true of that video."""
        true, track_K = true_regions(masks_THW)
        self._put("frame_K", true.frame_K + self.frames)
        self._put("corners_K4", true.corners_K4)
        self._put("track_K", track_K + self._tracks)
        number = len(self._parts["video_F"])
        self._put("video_F", np.full(len(masks_THW), number, dtype=np.int64))
        self.frames += len(masks_THW)
        self._tracks += int(track_K.max(initial=0)) + 1

    def sweeps(self) -> tuple[Sweep, Sweep] | None:
        """Return what RBDC and TBDC are read off; None without a true region."""
        whole = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        if not len(whole["frame_K"]):
            return None
        detected = Boxes(whole["frame_D"], whole["corners_D4"])
        true = Boxes(whole["frame_K"], whole["corners_K4"])
        return region_sweeps(
            detected, whole["score_D"], true, whole["track_K"], whole["video_F"]
        )

    def _put(self, name: str, part: NDArray[Any]) -> None:
        self._parts[name].append(part)


def _add(
    number: int, video: _Video, masks: Masks, tally: PixelTally, regions: _Regions
) -> None:
    """Add a video's frames to what is counted."""
    place_HW = None
    kept = []
    for frame, (map_GG, mask_HW) in enumerate(
        zip(video.frames(len(masks)), masks, strict=True)
    ):
        if place_HW is None:
            place_HW = video.places(map_GG.shape, mask_HW.shape)
        tally.add(np.append(map_GG, np.nan), mask_HW, place_HW, number)
        regions.add(frame, video.detector, map_GG, mask_HW.shape)
        kept.append(mask_HW)
    regions.finish(np.stack(kept))


def _figures(
    tally: PixelTally, regions: _Regions, n_videos: int, seed: int
) -> tuple[dict[str, float | None], dict[str, Interval | None]]:
    """Return each figure and its interval over videos, by name."""
    level, sweeps = tally.pixel_level(), regions.sweeps()
    readings: dict[str, tuple[Sweep, Callable[[Curve], float]]] = {
        "pixel_level_auc": (level, Curve.area),
        "pixel_level_eer": (level, Curve.equal_error),
        "pixel_level_detection_rate": (level, lambda found: 1 - found.equal_error()),
        "pixel_auc": (tally.pixels(), Curve.area),
        "region_overlap": (tally.regions(), region_overlap_of),
    }
    if sweeps is not None:
        readings |= {"rbdc": (sweeps[0], Curve.area), "tbdc": (sweeps[1], Curve.area)}
    weights_RV = draw(n_videos, np.random.default_rng(seed))
    figures: dict[str, float | None] = dict.fromkeys(PLACES)
    intervals: dict[str, Interval | None] = dict.fromkeys(PLACES)
    for name, (sweep, value) in readings.items():
        found = sweep.read(value)
        figures[name] = found if np.isfinite(found) else None
        if n_videos > 1 and np.isfinite(found):
            coarse = sweep.rounded()
            drawn = [coarse.read(value, weight_V) for weight_V in weights_RV]
            intervals[name] = percentiles(np.array(drawn))
    return figures, intervals
