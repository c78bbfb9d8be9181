"""Small pictures, kept as they are: what pixel detectors learn from and score.

A row is one frame of `height` x `width`, its pixels line after line as one vector of whole numbers from
0 to 254 (255 marks lost data in the store), kept as bytes. So pictures are decoded once and then
trained on, scored and resumed as any features are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from anomaly.features import Backbone, FeatureBlock, vector_block
from anomaly.spec import spec
from anomaly.video import FrameBatch, PixelSpec

BRIGHTEST = 254
"""of a stored pixel"""


@spec
class FramesParameters:
    """Size and colour of the pictures that are kept."""

    height: Annotated[int, Field(ge=8)] = 96
    """lines; most networks want a multiple of 16"""
    width: Annotated[int, Field(ge=8)] = 144
    """pixels in a line; most networks want a multiple of 16"""
    color: Literal["gray", "rgb"] = "gray"
    """one channel or three"""
    stride: Annotated[int, Field(ge=1)] = 1
    """keep every n-th frame"""


class Frames(Backbone):
    """Yields each frame as one vector of height x width x channels."""

    Parameters = FramesParameters
    parameters: FramesParameters
    rows_stand_alone = True
    dtype = "uint8"

    def __init__(self, parameters: FramesParameters) -> None:
        super().__init__(parameters)
        self.version = 2 if parameters.color == "rgb" else 1  # colours are scaled otherwise

    @property
    @override
    def pixels(self) -> PixelSpec:
        own = self.parameters
        return PixelSpec(
            color=own.color,
            resize="exact",
            height=own.height,
            width=own.width,
            stride=own.stride,
        )

    @property
    @override
    def dimension(self) -> int:
        own = self.parameters
        return own.height * own.width * (3 if own.color == "rgb" else 1)

    @override
    def restart_row(self, row: int) -> int:
        return row

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        for batch in batches:
            bytes_BD = np.minimum(batch.pixels_BHWC, BRIGHTEST).reshape(len(batch), -1)
            yield vector_block(batch.index_B, batch.seconds_B, bytes_BD.astype(np.float32))
