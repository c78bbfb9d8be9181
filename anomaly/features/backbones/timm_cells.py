"""What moving things look like to an image network of timm: its own features of each cell that changes.

The same slot as `appearance`, for who has weights: the map of features at a sixteenth of the picture, as
the middle layers of Defard et al., "PaDiM" (ICPR 2020 workshops), of the whole picture, not of crops, so
that a frame runs through the network once. A cell takes the mean of the four places around its middle. How
networks are loaded is told in `features.networks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, weights
from anomaly.features.backbones._cells import CellBackbone, CellParameters, Gray, Plane
from anomaly.features.backbones._changes import Changed, described
from anomaly.features.networks import Network, load_network
from anomaly.spec import spec
from anomaly.video import FrameBatch

_REDUCTION = 16
"""pixels from one place of the map to the next, as from one cell to the next"""


@spec
class TimmCellsParameters(CellParameters):
    """Parameters of the `timm_cells` backbone."""

    model: str = "mobilenetv2_100"
    """name of a convolutional network of timm with a map of features at a sixteenth of the picture"""
    weights: str = "hub"
    """`hub` (timm downloads them), `random:<seed>`, or path of a .safetensors file; a recipe keeps the
    digest of the file, and `sha256:<digest>` names a file that was used before"""
    active_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """a cell is kept when more than this share of it changes"""
    model_args: dict[str, Any] = Field(default_factory=dict)
    """more arguments of timm.create_model, such as {"pad_type": "same"}"""


class TimmCells(CellBackbone):
    """Yields for each cell that changes the features of a timm network there.

    The picture is grey, in the light that it has. A cell's place is its (row, column) in a grid of 16
    pixels.
    """

    Parameters = TimmCellsParameters
    version = 2
    parameters: TimmCellsParameters

    def __init__(self, parameters: TimmCellsParameters) -> None:
        super().__init__(replace(parameters, weights=weights.portable(parameters.weights)))

    @property
    @override
    def weights(self) -> str:
        return self._network.weights

    @cached_property
    @override
    def dimension(self) -> int:
        """Length D of each vector, found by running a black picture through the network."""
        black = np.zeros((4 * _REDUCTION, 4 * _REDUCTION), dtype=np.uint8)
        return len(self._map(black))

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        share = self.parameters.active_fraction
        yield from described(batches, share, self._look, self.dimension)

    def _look(self, changed: Changed) -> Plane:
        # Cell (r, c) lies around the corner that places r - 1 and r, c - 1 and c share.
        row_N, column_N = changed.place_N2.T
        map_DRC = self._map(changed.gray)
        four = [map_DRC[:, row_N - up, column_N - left] for up in (0, 1) for left in (0, 1)]
        vectors: Plane = np.mean(four, axis=0).T
        return vectors

    def _map(self, gray: Gray) -> Plane:
        """Return the map of features of a picture, (D, rows, columns), a place for 16 pixels or part."""
        feed = self._network.feed
        whole = [(0, -side % _REDUCTION) for side in gray.shape]
        plane = torch.from_numpy(np.pad(gray, whole, "edge")).float() / 255
        mean, std = (torch.tensor(three)[:, None, None] for three in (feed.mean, feed.std))
        picture_1CHW = ((plane - mean) / std)[None].contiguous(
            memory_format=torch.channels_last
        )
        network: Any = self._network.module
        with torch.inference_mode():
            (map_1DRC,) = network.forward_intermediates(
                picture_1CHW, indices=[self._stage], intermediates_only=True
            )
        features: Plane = map_1DRC[0].numpy()
        return features

    @cached_property
    def _stage(self) -> int:
        """Number of the one stage whose map has a sixteenth of the picture's lines."""
        stages = getattr(self._network.module, "feature_info", [])
        found = [n for n, stage in enumerate(stages) if stage["reduction"] == _REDUCTION]
        if len(found) != 1 or not hasattr(self._network.module, "forward_intermediates"):
            raise SpecError(
                f"timm_cells: {self.parameters.model!r} has no stage of its own at a sixteenth of the "
                "picture. Name a convolutional network, such as 'mobilenetv2_100' or 'resnet18'."
            )
        return found[0]

    @cached_property
    def _network(self) -> Network:
        own = self.parameters
        return load_network(own.model, own.weights, own.model_args)
