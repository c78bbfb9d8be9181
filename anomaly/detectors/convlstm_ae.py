"""How badly a convolutional ConvLSTM autoencoder draws its own frames again.

The network is `anomaly.training.pixels.convlstm_ae`; the notebooks' frames are 224 x 224, eight at a
time, without overlap in training.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Published
from anomaly.detectors._pixels import NESTEROV, PixelDetector, PixelParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.convlstm_ae import ConvLstmAutoencoder


@spec
class ConvlstmAeParameters(PixelParameters):
    """What `convlstm_ae` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 8
    """frames that the network reads"""
    step: Annotated[int, Field(ge=1)] = 8
    """frames from one training clip to the next"""
    training: TrainingSpec = NESTEROV
    """SGD with Nesterov's momentum, batches of 4"""


class ConvlstmAe(PixelDetector):
    """Rebuilds eight frames; see `PixelDetector`."""

    Parameters = ConvlstmAeParameters
    parameters: ConvlstmAeParameters
    paper = (
        "Notebooks of supriyo97 on UCSD, after Chong and Tay: Abnormal event detection in "
        "videos, ISNN 2017"
    )
    published = (
        Published(
            "UCSD Ped2",
            "mean AUC of clips 0.785",
            "of yes or no by a hand-set threshold, clips without an AUC left out",
        ),
    )

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return ConvLstmAutoencoder(shape)
