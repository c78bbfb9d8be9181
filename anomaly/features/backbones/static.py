"""What has come to rest: things left behind or taken away, people who lie still.

For each pixel of a quarter-size picture a slow background and a value that has just settled are kept, as
in Porikli, Ivanov, Haga, "Robust Abandoned Object Detection Using Dual Foregrounds" (EURASIP JASP 2008).
Where the two differ something rests, and its age is counted. Where we depart: the background is the value
that was seen longest, not a mixture, so what stood in the first frames and leaves is forgotten after as
many seconds (times `absorb_ratio`) as it was seen; light is divided out by the median ratio to the
background; somebody who walks past stops the clock of what rests behind him, and does not reset it.

Two lights are told apart, such as day and night, or a lamp that is on or off: a picture most of which is
unlike the background begins a second one, and the first waits for its light to come back.

Everything looks back in time only, from the first frame of the file. What was put down in an earlier file
is found by the same rules in the small views that are stored of both (`recall`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.features import Earlier, FeatureBlock
from anomaly.features.backbones._cells import (
    CellBackbone,
    CellParameters,
    CellRow,
    Gray,
    Plane,
    block_of,
    blocks_in,
    blocks_of,
    cell_means,
    gray_frames,
)
from anomaly.features.picture import VIEW_SECONDS, VIEW_SHRINK, Picture
from anomaly.spec import spec
from anomaly.video import FrameBatch

_BLOCK = 4
"""side of a block in pixels of the quarter-size picture; a cell is 2 x 2 blocks, cells lie a block apart"""
_STEP_SECONDS = 1 / 8 - 1e-3
"""what rests is looked at again after this much time; in between it rests on"""
_SETTLING_SECONDS = 0.2
"""a pixel that keeps its value for this long has settled"""
_LEAST_CONTRAST = 10.0
"""levels of brightness (0 to 255) below which nothing differs"""
_NOISES = 6.0
"""nor below this many standard deviations of the noise"""
_LONGEST_STEP_SECONDS = 1.0
"""a longer gap between frames counts as this much, so that a hole in a file ages nothing"""
_OTHER_LIGHT = 0.5
"""share of the picture that must be unlike the background for it to be another light"""
_LIGHTS = 2


@spec
class StaticParameters(CellParameters):
    """Parameters of the `static` backbone."""

    rest_seconds: Annotated[float, Field(gt=0)] = 1.0
    """what has rested for this long counts"""
    memory_seconds: Annotated[float, Field(gt=0)] = 600.0
    """a background that was seen this long is as well established as it gets"""
    absorb_ratio: Annotated[float, Field(gt=0)] = 3.0
    """what rests becomes background after this many times the seconds the old one was seen"""
    active_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """a cell is kept when something rests in more than this share of it"""


class Static(CellBackbone):
    """Yields (age, share, contrast) of each cell in which something rests.

    Age is the natural logarithm of 1 + its seconds, share the part of the cell that rests, contrast its
    mean difference from the background over 64 levels. A row in which nothing rests has one cell of
    zeros in the middle of the grid, so that resting nowhere is something that can be learnt. A cell's
    place is its (row, column) in a grid of 16 pixels.
    """

    Parameters = StaticParameters
    version = 3
    parameters: StaticParameters

    @property
    @override
    def dimension(self) -> int:
        return 3

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        return blocks_of(self._rows(batches))

    def _rows(self, batches: Iterable[FrameBatch]) -> Iterator[CellRow]:
        scene = _Lights(self.parameters, _LONGEST_STEP_SECONDS)
        looked = -np.inf
        cells = np.zeros((0, 3), np.float32), np.zeros((0, 2), np.int16)
        for index, seconds, gray in gray_frames(batches):
            if seconds - looked > _STEP_SECONDS:
                looked, cells = seconds, scene.look(_quarter(gray), seconds)
            yield CellRow(index, seconds, *cells, scene.grid)

    @classmethod
    @override
    def context_seconds(cls, parameters: StaticParameters) -> float:
        # The background must have been seen before what rests, which counts for as long again.
        return 2 * parameters.memory_seconds

    @classmethod
    @override
    def recall(
        cls, parameters: StaticParameters, own: Picture, earlier: Sequence[Earlier]
    ) -> FeatureBlock | None:
        scene = _Lights(parameters, 2 * VIEW_SECONDS)
        for video in earlier:
            for view, begin in zip(
                video.picture.views_VHW, video.picture.view_seconds_V, strict=True
            ):
                seconds = video.seconds + float(begin)
                if -cls.context_seconds(parameters) <= seconds < 0:
                    scene.look(view.astype(np.float32), seconds)
        if scene.is_blind:
            return None
        scene.leave_out_what_comes()
        rows: list[CellRow] = []
        for view, begin in zip(own.views_VHW, own.view_seconds_V, strict=True):
            values_ND, place_N2 = scene.look(view.astype(np.float32), float(begin))
            rests_N = values_ND[:, 0] > 0
            known_from = float(begin) + VIEW_SECONDS
            cells = values_ND[rests_N], place_N2[rests_N]
            rows.append(CellRow(len(rows), known_from, *cells, scene.grid))
        return block_of(rows)


def _quarter(gray: Gray) -> Plane:
    import cv2

    cv2.setNumThreads(1)
    size_wh = max(1, gray.shape[1] // VIEW_SHRINK), max(1, gray.shape[0] // VIEW_SHRINK)
    shrunk: Any = cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.float32)


class _Lights:
    """The scene in each light that the camera has seen of late; one of them is looked at."""

    def __init__(self, parameters: StaticParameters, longest_step_seconds: float) -> None:
        self._own = parameters
        self._longest_step_seconds = longest_step_seconds
        self._scenes: list[_Scene] = []  # the one that was last looked at is the last

    @property
    def is_blind(self) -> bool:
        """Whether no picture has been seen yet."""
        return not self._scenes

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the grid of cells."""
        return self._scenes[-1].grid

    def leave_out_what_comes(self) -> None:
        """Tell from now on only of what the next picture shows already."""
        for scene in self._scenes:
            scene.told = None

    def look(self, picture: Plane, seconds: float) -> tuple[Plane, NDArray[np.int16]]:
        """Take the next picture; return the vectors and places of the cells that rest."""
        for number, scene in reversed(list(enumerate(self._scenes))):
            compared = scene.compare(picture)
            if compared.unlike <= _OTHER_LIGHT:
                self._scenes.append(self._scenes.pop(number))
                return scene.take(compared, seconds)
        scene = _Scene(picture, seconds, self._own, self._longest_step_seconds)
        self._scenes = [*self._scenes[1 - _LIGHTS :], scene]
        return scene.take(scene.compare(picture), seconds)


class _Compared(NamedTuple):
    """A picture beside what is known."""

    lit: Plane
    """as it would look in the light of the background"""
    least: float
    """difference that matters"""
    still: NDArray[np.bool_]
    """like the settled value"""
    usual: NDArray[np.bool_]
    """like the background"""
    unlike: float
    """share of the picture that is unlike the background, however noisy or sudden"""


class _Scene:
    """What is known of every pixel: background, settled value, and for how many seconds each."""

    def __init__(
        self,
        picture: Plane,
        seconds: float,
        parameters: StaticParameters,
        longest_step_seconds: float,
    ) -> None:
        self._own = parameters
        self._longest_step_seconds = longest_step_seconds
        self._seconds = seconds
        self._background = picture.copy()
        self._seen = np.zeros_like(picture)
        self._settled = picture.copy()
        self._age = np.zeros_like(picture)
        self.told: NDArray[np.bool_] | None = np.ones(picture.shape, dtype=bool)
        """pixels of which is told when something rests there; None: those unusual in the next picture"""
        rows, columns = blocks_in(picture.shape, _BLOCK)
        self.grid = rows + 1, columns + 1

    def compare(self, picture: Plane) -> _Compared:
        """Return what of a picture is known already; changes nothing."""
        lit = picture * np.median((self._background + 1) / (picture + 1))
        change = np.abs(lit - self._settled)
        least = max(_LEAST_CONTRAST, _NOISES * float(np.median(change)) / 0.6745)
        apart = np.abs(lit - self._background)
        unlike = float((apart > _LEAST_CONTRAST).mean())
        return _Compared(lit, least, change < least, apart < least, unlike)

    def take(self, compared: _Compared, seconds: float) -> tuple[Plane, NDArray[np.int16]]:
        """Take the picture that was compared; return the vectors and places of the cells that rest."""
        step = min(max(float(seconds) - self._seconds, 0.0), self._longest_step_seconds)
        self._seconds = float(seconds)
        if self.told is None:
            self.told = ~compared.usual
        self._count(compared, step)
        self._absorb()
        return self._cells(compared.least)

    def _count(self, compared: _Compared, step: float) -> None:
        lit, still, usual = compared.lit, compared.still, compared.usual
        pace = np.float32(1 - np.exp(-step / _SETTLING_SECONDS))
        self._settled += pace * (lit - self._settled)
        self._seen[usual] += np.float32(step)
        np.minimum(self._seen, self._own.memory_seconds, out=self._seen)
        slow = np.float32(step) / np.maximum(self._seen, np.float32(1.0))
        self._background += np.where(usual, slow * (lit - self._background), 0)
        rests = still & ~usual
        self._age[rests] += np.float32(step)
        # Whoever passes by is neither still nor usual, and stops the clock; the old view resets it.
        self._age[usual & still] = 0

    def _absorb(self) -> None:
        known = self._age > self._own.absorb_ratio * np.maximum(self._seen, np.float32(0.5))
        known |= self._age >= self._own.memory_seconds
        self._background[known] = self._settled[known]
        self._seen[known] = self._age[known]
        self._age[known] = 0

    def _cells(self, least: float) -> tuple[Plane, NDArray[np.int16]]:
        contrast = np.abs(self._settled - self._background)
        resting = (self._age >= self._own.rest_seconds) & (contrast > least)
        if self.told is not None:
            resting &= self.told
        share, age, strength = (
            cell_means(resting * plane, _BLOCK)
            for plane in (np.float32(1), np.log1p(self._age), contrast)
        )
        active = share > self._own.active_fraction
        if not active.any():
            middle = np.array([[self.grid[0] // 2, self.grid[1] // 2]], dtype=np.int16)
            return np.zeros((1, 3), dtype=np.float32), middle
        part = share[active]
        values_ND = np.stack([age[active] / part, part, strength[active] / (64 * part)], axis=1)
        return values_ND, np.argwhere(active).astype(np.int16) + np.int16(1)
