"""How badly frames are drawn again by an autoencoder whose frames attend to each other.

After STATE (Wang et al., "Video anomaly detection by the reconstruction great again"), with its
perturbation of what is scored; the network is `anomaly.training.pixels.attended`, which says where it
departs: whole small frames, no detected objects, no flow.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Published
from anomaly.detectors._pixels import PixelDetector, PixelParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.attended import State as Network


@spec
class StateParameters(PixelParameters):
    """What `state` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 7
    """frames that the network reads"""
    perturbation: Annotated[float, Field(ge=0)] = 0.002
    """frames are moved so far in [0, 1] against the sign of the gradient before they are scored"""
    training: TrainingSpec = TrainingSpec(
        epochs=20, batch=16, optimiser="adam", learning_rate=1e-3, weight_decay=0
    )
    """Adam, 20 epochs; the paper's batches are 128 small patches"""


class State(PixelDetector):
    """Rebuilds seven frames; see `PixelDetector`."""

    Parameters = StateParameters
    parameters: StateParameters
    paper = (
        "Wang et al.: Making reconstruction-based method great again for video anomaly "
        "detection (STATE)"
    )
    published = (
        Published(
            "CUHK Avenue", "frame AUC 90.3 %", "the paper's, on detected objects; not verified"
        ),
    )

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape)
