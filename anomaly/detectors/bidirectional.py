"""How badly the frame in the middle was foreseen from both sides.

The bi-directional hybrid: attention within the frames before and after, a ConvLSTM from each end to the
gap. No code is public; the network is `anomaly.training.pixels.attended`, which says what is ours.
"""

from __future__ import annotations

from typing_extensions import override

from anomaly.detectors._pixels import PixelDetector, PixelParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.attended import Bidirectional as Network
from anomaly.training.pixels.errors import Score, Target


@spec
class BidirectionalParameters(PixelParameters):
    """What `bidirectional` looks at and how it is trained; published settings."""

    target: Target = "middle"
    """what it shall give"""
    score: Score = "psnr"
    """of a frame"""
    training: TrainingSpec = TrainingSpec(
        epochs=60, batch=4, optimiser="adam", learning_rate=2e-4, weight_decay=0
    )
    """ours: no settings are known to us"""


class Bidirectional(PixelDetector):
    """Foresees a frame from two before and two after; see `PixelDetector`."""

    Parameters = BidirectionalParameters
    parameters: BidirectionalParameters
    paper = (
        "Bi-directional frame prediction with a convolutional temporal transformer and a "
        "ConvLSTM bridge"
    )
    targets = ("middle",)

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape)
