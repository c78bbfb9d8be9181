"""ROOM 2: from frames to stored features.

`backbones/` holds one file per backbone, `extract` runs one over a video, `store` keeps what came out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from anomaly.errors import SpecError, StoreError
from anomaly.features.picture import Picture
from anomaly.registry import unknown_name
from anomaly.shapes import expect
from anomaly.spec import from_dict, spec, to_dict
from anomaly.video import FrameBatch, PixelSpec

StoredType = Literal["float16", "float32", "uint8"]


@spec
class GateSpec:
    """Reuse of the last vector in still scenes."""

    tolerance: Annotated[float, Field(gt=0)] = 0.02
    """how far, relative to its length, a reused vector may be from the true one"""
    audit_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    """share of the frames that could reuse a vector and are computed anyway, to measure the error"""
    seed: int = 0
    """decides which ones"""


@spec
class FeatureSpec:
    """The recipe of stored features: everything that changes their numbers."""

    backbone: str
    """name of a file in features/backbones"""
    parameters: dict[str, Any]
    """the backbone's own parameters, defaults written out"""
    version: int
    """grows when a backbone's arithmetic changes"""
    weights: str
    """digest of the weights, `random:<seed>`, or empty for a backbone without weights"""
    pixels: PixelSpec
    """what the decoder hands over"""
    decoder: str = "pyav"
    """name of a file in video/decoders"""
    dtype: StoredType = "float16"
    """type of stored values"""
    gate: GateSpec | None = None
    """None: every frame is computed"""


@dataclass(frozen=True)
class FeatureBlock:
    """Features of some consecutive rows of one video; a row is a frame that was looked at.

    Each row has any number of *cells*: places of the picture with a vector each. A row of a plain
    vector backbone has exactly one and `place_N2` is None; a grid backbone names the (grid row, grid
    column) of each cell, and may leave out inactive ones.
    """

    index_T: NDArray[np.int64]
    """source frame of each row"""
    seconds_T: NDArray[np.float64]
    values_ND: NDArray[np.floating[Any]]
    """vectors of all cells, row after row"""
    offsets_S: NDArray[np.int64]
    """T + 1 numbers: cells of row t are `values_ND[offsets_S[t]:offsets_S[t + 1]]`"""
    place_N2: NDArray[np.int16] | None = None
    grid: tuple[int, int] | None = None
    """rows and columns of the grid"""
    gate_T2: NDArray[np.float32] | None = None
    """what the gate did (`features.gate`): decision, and error where it was measured"""

    def __post_init__(self) -> None:
        expect("seconds", self.seconds_T, "T", T=len(self.index_T))
        expect("offsets", self.offsets_S, "S", S=len(self.index_T) + 1)
        expect("values", self.values_ND, "N D", N=int(self.offsets_S[-1]))
        if (self.place_N2 is None) != (self.grid is None):
            raise StoreError("a block has either both a grid and places, or neither.")

    def __len__(self) -> int:
        return len(self.index_T)

    @property
    def row_N(self) -> NDArray[np.int64]:
        """Row (0 to T - 1) of each cell."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets_S))

    @property
    def nbytes(self) -> int:
        """Memory that its arrays take."""
        arrays = (self.index_T, self.seconds_T, self.values_ND, self.offsets_S, self.place_N2)
        return sum(array.nbytes for array in arrays if array is not None)

    def rows(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop` (half-open) of this block, as views."""
        first, last = int(self.offsets_S[start]), int(self.offsets_S[stop])
        return FeatureBlock(
            self.index_T[start:stop],
            self.seconds_T[start:stop],
            self.values_ND[first:last],
            self.offsets_S[start : stop + 1] - first,
            None if self.place_N2 is None else self.place_N2[first:last],
            self.grid,
            None if self.gate_T2 is None else self.gate_T2[start:stop],
        )

    def max_over_cells(
        self, scores_N: NDArray[np.floating[Any]], floor: float = 0.0
    ) -> NDArray[np.float64]:
        """Return the highest score of each row's cells, shape (T,); `floor` for a row without cells."""
        best_T = np.full(len(self), floor, dtype=np.float64)
        np.maximum.at(best_T, self.row_N, scores_N)
        return best_T

    def pooled_TD(self) -> NDArray[np.float32]:
        """Return one vector a row: the mean over its cells, zeros for a row without cells."""
        counts_T = np.diff(self.offsets_S)
        sums_TD = np.zeros((len(self), self.values_ND.shape[1]), dtype=np.float32)
        np.add.at(sums_TD, self.row_N, self.values_ND.astype(np.float32))
        return sums_TD / np.maximum(counts_T, 1).astype(np.float32)[:, None]


def vector_block(
    index_T: NDArray[np.int64],
    seconds_T: NDArray[np.float64],
    vectors_TD: NDArray[np.floating[Any]],
) -> FeatureBlock:
    """Return the block of a backbone that gives one vector a row."""
    return FeatureBlock(
        index_T, seconds_T, vectors_TD, np.arange(len(index_T) + 1, dtype=np.int64)
    )


def concatenate(blocks: list[FeatureBlock]) -> FeatureBlock:
    """Return consecutive blocks of one video as one block."""
    counts = np.concatenate([np.diff(block.offsets_S) for block in blocks])
    places = [block.place_N2 for block in blocks if block.place_N2 is not None]
    gates = [block.gate_T2 for block in blocks if block.gate_T2 is not None]
    return FeatureBlock(
        np.concatenate([block.index_T for block in blocks]),
        np.concatenate([block.seconds_T for block in blocks]),
        np.concatenate([block.values_ND for block in blocks]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]),
        np.concatenate(places) if places else None,
        blocks[0].grid,
        np.concatenate(gates) if len(gates) == len(blocks) else None,
    )


class Earlier(NamedTuple):
    """What is remembered of an earlier video of the same camera."""

    seconds: float
    """when it began, from the first frame of the later video: below 0"""
    picture: Picture


class Backbone(ABC):
    """Turns frames into features, one video at a time, in a stream of constant memory.

    A subclass is one file in `features/backbones/`. It names its `Parameters` (a `@spec` class), says
    in `pixels` what the decoder shall hand over, and promises that what it yields does not depend on
    how the frames are cut into batches.
    """

    Parameters: ClassVar[type[Any]]
    version: int = 1
    """grows when the numbers change"""
    rows_stand_alone: ClassVar[bool] = False
    """whether the features of a frame depend on that frame alone, whatever is given before and after"""
    dtype: ClassVar[StoredType] = "float16"
    """type that its values are stored in; uint8: whole numbers from 0 to 254"""

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters

    @property
    @abstractmethod
    def pixels(self) -> PixelSpec:
        """What the decoder hands over."""

    @property
    def weights(self) -> str:
        """`sha256:<hex>` of the weights, `random:<seed>`, or empty when there are none."""
        return ""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length D of each vector."""

    @abstractmethod
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        """Yield the features of all frames of one video, in order, one row for each frame given."""

    @classmethod
    def support_seconds(cls, parameters: Any) -> float:
        """Return how far in time the features of a row may depend on other frames."""
        del parameters
        return 0.0

    def restart_row(self, row: int) -> int:
        """Return a row to start from so that rows from `row` on come out bit for bit the same.

        A row 0, the start of the video, is always right.
        """
        del row
        return 0

    @classmethod
    def context_seconds(cls, parameters: Any) -> float:
        """Return how far back `recall` wants to know the same camera's earlier videos; 0: not at all."""
        del parameters
        return 0.0

    @classmethod
    def recall(
        cls, parameters: Any, own: Picture, earlier: Sequence[Earlier]
    ) -> FeatureBlock | None:
        """Return what a video's features lack without the videos before it.

        Called when features are read, so that what is stored of a video depends on no other.

        Args:
            parameters: of the recipe.
            own: what the video's pictures are like.
            earlier: the same of earlier videos, oldest first.

        Returns:
            Cells that come in addition: those of row k from `seconds_T[k]` on, until the next row's
            time; None when there are none.
        """
        del parameters, own, earlier
        return None

    @classmethod
    def build(cls, parameters: dict[str, Any]) -> Backbone:
        """Build the backbone from plain values; unknown or unfit ones raise `SpecError`."""
        return cls(from_dict(cls.Parameters, parameters))


BadFrames = Literal["skip", "repeat", "fail"]


def recipe(
    backbone: str,
    parameters: dict[str, Any] | None = None,
    *,
    decoder: str = "pyav",
    keyframes: bool = False,
    bad_frames: BadFrames = "skip",
    gate: float | None = None,
) -> FeatureSpec:
    """Return the complete recipe for a backbone by name, with defaults and digests written out.

    Args:
        backbone: name of a file in features/backbones.
        parameters: its own parameters; one called `NAME.KEY` is for the backbone NAME alone.
        decoder: name of a file in video/decoders.
        keyframes: look at key frames alone.
        bad_frames: what becomes of frames that cannot be decoded; see `PixelSpec`.
        gate: tolerance of a gate that reuses vectors in still scenes; None for no gate.

    Raises:
        SpecError: there is no such backbone or decoder, a parameter is wrong, or key frames alone do not
            go with the rest.
    """
    from anomaly.features.backbones import backbones
    from anomaly.video.decoders import decoders

    if decoder not in decoders().names():
        raise unknown_name("decoder", decoder, decoders().names())
    built = (
        backbones().get(backbone).build(_own(backbone, parameters or {}, backbones().names()))
    )
    found = recipe_of(backbone, built, decoder=decoder)
    frames: Literal["all", "key"] = "key" if keyframes else "all"
    if keyframes:
        _check_key_frames(found, built, bad_frames)
    if gate is not None and not built.rows_stand_alone:
        raise SpecError(
            f"A gate is not to be had: backbone {found.backbone!r} compares each frame with others near it."
        )
    pixels = replace(found.pixels, frames=frames, bad_frames=bad_frames)
    behind = None if gate is None else GateSpec(tolerance=gate)
    return replace(found, pixels=pixels, gate=behind)


def _check_key_frames(found: FeatureSpec, built: Backbone, bad_frames: BadFrames) -> None:
    from anomaly.video.decoders import decoders

    trouble = None
    if not built.rows_stand_alone:
        trouble = f"backbone {found.backbone!r} compares each frame with others near it"
    elif found.pixels.stride != 1:
        trouble = f"of a stride of {found.pixels.stride} frames hardly any are key frames"
    elif bad_frames == "repeat":
        trouble = "nobody knows where a key frame is missing that could be repeated"
    elif not decoders().get(found.decoder).reads_key_frames:
        trouble = f"decoder {found.decoder!r} cannot leave out the others"
    if trouble is not None:
        raise SpecError(f"Key frames alone are not to be had: {trouble}.")


def _own(backbone: str, parameters: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that are for all backbones or for this one.

    Raises:
        SpecError: a parameter is for a backbone that there is not.
    """
    found = {}
    for key, value in parameters.items():
        name, dot, own = key.rpartition(".")
        if dot and name not in known:
            raise unknown_name("backbone", name, list(known))
        if name in {"", backbone}:
            found[own] = value
    return found


def recipe_of(
    name: str,
    backbone: Backbone,
    *,
    decoder: str = "pyav",
    dtype: StoredType | None = None,
) -> FeatureSpec:
    """Return the complete recipe of a built backbone; values are stored in its own type by default."""
    return FeatureSpec(
        backbone=name,
        parameters=to_dict(backbone.parameters),
        version=backbone.version,
        weights=backbone.weights,
        pixels=backbone.pixels,
        decoder=decoder,
        dtype=dtype or backbone.dtype,
    )
