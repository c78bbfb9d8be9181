"""Any image network of timm, one frame at a time: its pooled vector, or a coarse grid of vectors.

Frames are prepared as the network's own configuration says, with one departure: the decoder's scaler
resizes them, not Pillow. How networks are loaded is told in `features.networks`, what runs them in
`features.runtimes`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features import Backbone, FeatureBlock, vector_block, weights
from anomaly.features.runtimes import Precision, Program, Runtime, runtimes
from anomaly.spec import fingerprint, spec
from anomaly.video import FrameBatch, PixelSpec

if TYPE_CHECKING:
    from anomaly.features.networks import Describer, Feed, Network

_starting = threading.Lock()
"""videos that are extracted beside each other share one runtime"""
_CROPS_HW = (2, 5)
"""ten crops as cells: in the second row the mirrored ones; corners, then the middle"""


@spec
class TimmFramesParameters:
    """Parameters of the `timm_frames` backbone."""

    model: str = "mobilenetv2_100"
    """name of a timm network, with the tag of its weights if it has several"""
    weights: str = "hub"
    """`hub` (timm downloads them), `random:<seed>`, or path of a .safetensors file; a recipe keeps the
    digest of the file, and `sha256:<digest>` names a file that was used before"""
    layer: Literal["pooled", "logits"] = "pooled"
    """the vector before the classifier, or the classifier's output"""
    grid: Annotated[int, Field(ge=0)] = 0
    """0: one vector a frame; g: the last feature map, averaged to g x g cells"""
    crops: Literal["center", "ten"] = "center"
    """the middle of the frame; or its corners, its middle and their mirror images, a cell each"""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """frames that run through the network together; always that many, so that bits never differ"""
    stride: Annotated[int, Field(ge=1)] = 1
    """look at every n-th frame"""
    runtime: str = "torch"
    """what runs the network: a file in features/runtimes"""
    precision: Precision = "float32"
    """of the arithmetic; the narrow ones change features by a percent or so"""
    model_args: dict[str, Any] = Field(default_factory=dict)
    """more arguments of timm.create_model, such as {"pad_type": "same"}; what the network wants to be fed
    is changed with {"pretrained_cfg_overlay": {"mean": [0.5, 0.5, 0.5], ...}}"""


@dataclass(frozen=True)
class Square:
    """A part of a frame, in pixels."""

    top: int
    left: int
    side: int
    mirrored: bool = False

    def cut(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of frames."""
        lines = slice(self.top, self.top + self.side)
        part_BHWC = pixels_BHWC[:, lines, self.left : self.left + self.side]
        return part_BHWC[:, :, ::-1] if self.mirrored else part_BHWC


class TimmFrames(Backbone):
    """Yields one vector for each frame, or g x g or ten of them, from a timm network in evaluation mode."""

    Parameters = TimmFramesParameters
    version = 3
    rows_stand_alone = True
    parameters: TimmFramesParameters

    def __init__(self, parameters: TimmFramesParameters) -> None:
        super().__init__(replace(parameters, weights=weights.portable(parameters.weights)))
        if parameters.grid and parameters.layer != "pooled":
            raise SpecError("timm_frames: a grid has no logits; use layer='pooled', or grid=0.")
        if parameters.grid and parameters.crops != "center":
            raise SpecError(
                "timm_frames: ten crops have no grid; use grid=0, or crops='center'."
            )

    @property
    @override
    def pixels(self) -> PixelSpec:
        wants = self._feed
        return PixelSpec(
            color="rgb",
            resize="exact" if wants.squash else "short_side",
            height=wants.scaled,
            width=wants.scaled if wants.squash else 0,
            filter=wants.filter,
            stride=self.parameters.stride,
        )

    @property
    @override
    def weights(self) -> str:
        return self._network.weights

    @cached_property
    @override
    def dimension(self) -> int:
        """Length D of each vector, found by running black pictures through the network."""
        return int(self._runtime.run(np.zeros(self._program.shape_BHWC, np.uint8)).shape[-1])

    @cached_property
    def describer(self) -> Describer:
        """The network in PyTorch, in float32 on the CPU, to explain features with."""
        from anomaly.features.networks import Describer

        return Describer(self._network, self.parameters.layer, self.parameters.grid)

    def crops(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the squares that the network looks at, frame after frame, one or ten of each."""
        squares = self.squares(*pixels_BHWC.shape[1:3])
        crops_BKHWC = np.stack([one.cut(pixels_BHWC) for one in squares], axis=1)
        return crops_BKHWC.reshape(-1, *crops_BKHWC.shape[2:])

    def squares(self, height: int, width: int) -> list[Square]:
        """Return where in a frame of the decoder's size the network looks, in the order of `crops`."""
        side = self._feed.side
        spare = height - side, width - side
        middle = Square(round(spare[0] / 2), round(spare[1] / 2), side)
        if self.parameters.crops == "center":
            return [middle]
        corners = [Square(top, left, side) for top in (0, spare[0]) for left in (0, spare[1])]
        plain = [*corners, middle]
        return [*plain, *(replace(one, mirrored=True) for one in plain)]

    @override
    def restart_row(self, row: int) -> int:
        return row // self.parameters.batch_size * self.parameters.batch_size

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        with _starting:
            runtime = self._runtime
        recut = _recut(batches, self.parameters.batch_size)
        for batch, vectors in runtime.describe(self._pictures, recut):
            yield self._block(batch, vectors.reshape(len(batch), -1, vectors.shape[-1]))

    def _pictures(self, batch: FrameBatch) -> NDArray[np.uint8]:
        return self.crops(batch.pixels_BHWC)

    def _block(self, batch: FrameBatch, vectors_BGD: NDArray[np.float32]) -> FeatureBlock:
        grid = self._cells_hw
        if grid is None:
            return vector_block(batch.index_B, batch.seconds_B, vectors_BGD[:, 0])
        n_cells = grid[0] * grid[1]
        place_G2 = np.stack(np.divmod(np.arange(n_cells), grid[1]), axis=1).astype(np.int16)
        return FeatureBlock(
            batch.index_B,
            batch.seconds_B,
            vectors_BGD.reshape(-1, vectors_BGD.shape[-1]),
            np.arange(len(batch) + 1, dtype=np.int64) * n_cells,
            np.tile(place_G2, (len(batch), 1)),
            grid,
        )

    @property
    def _cells_hw(self) -> tuple[int, int] | None:
        if self.parameters.crops == "ten":
            return _CROPS_HW
        side = self.parameters.grid
        return (side, side) if side else None

    @cached_property
    def _runtime(self) -> Runtime:
        return runtimes().get(self.parameters.runtime)(self._program)

    @property
    def _program(self) -> Program:
        own, side = self.parameters, self._feed.side
        n_crops = 10 if own.crops == "ten" else 1
        decides = [own.model, own.model_args, self.weights, own.layer, own.grid, self.version]
        return Program(
            name=own.model,
            describer=lambda: self.describer,
            key=fingerprint(decides),
            shape_BHWC=(own.batch_size * n_crops, side, side, 3),
            precision=own.precision,
        )

    @cached_property
    def _network(self) -> Network:
        from anomaly.features.networks import load_network

        own = self.parameters
        runtimes().get(
            own.runtime
        )  # a name that nobody knows is told before weights are loaded
        return load_network(own.model, own.weights, own.model_args)

    @property
    def _feed(self) -> Feed:
        return self._network.feed


def _recut(batches: Iterable[FrameBatch], size: int) -> Iterator[FrameBatch]:
    """Cut a stream into batches of `size` frames, whatever its own are; the last may be shorter."""
    waiting: list[FrameBatch] = []
    for batch in batches:
        start = 0
        while start < len(batch):
            stop = min(start + size - sum(map(len, waiting)), len(batch))
            waiting.append(_part(batch, start, stop))
            start = stop
            if sum(map(len, waiting)) == size:
                yield _joined(waiting)
                waiting = []
    if waiting:
        yield _joined(waiting)


def _part(batch: FrameBatch, start: int, stop: int) -> FrameBatch:
    part = slice(start, stop)
    return FrameBatch(batch.pixels_BHWC[part], batch.index_B[part], batch.seconds_B[part])


def _joined(parts: list[FrameBatch]) -> FrameBatch:
    if len(parts) == 1:
        return parts[0]
    return FrameBatch(
        np.concatenate([part.pixels_BHWC for part in parts]),
        np.concatenate([part.index_B for part in parts]),
        np.concatenate([part.seconds_B for part in parts]),
    )
