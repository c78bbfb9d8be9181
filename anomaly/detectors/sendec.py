"""How badly a stacked encoder-decoder with a ConvLSTM draws its own frames again.

The network is `anomaly.training.pixels.sendec`; the paper's frames are 240 x 320, four at a time. What
was published does not say how scores of a video were scaled, nor which frames were counted. Its joins
at full size let the network copy: spoil what it reads (`corrupt`), ask for the next or the middle frame
(`target`), or leave them out (`skips`).
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
from anomaly.training.pixels.sendec import Sendec as Network


@spec
class SendecParameters(PixelParameters):
    """What `sendec` looks at and how it is trained; published settings."""

    skips: bool = True
    """join what the encoder saw to what the decoder draws"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """before the last layer"""
    training: TrainingSpec = TrainingSpec(
        epochs=50,
        batch=16,
        optimiser="adadelta",
        learning_rate=1.0,
        weight_decay=0,
        gradient_norm=None,
    )
    """batch and epochs of the paper, Adadelta as in the published checkpoint"""


class Sendec(PixelDetector):
    """Rebuilds four frames; see `PixelDetector`."""

    Parameters = SendecParameters
    parameters: SendecParameters
    paper = "Ul Amin et al.: sEnDec, a stacked encoder-decoder 3D network with ConvLSTM"
    published = (
        Published(
            "UCSD Ped1",
            "frame AUC 94.5 %",
            "as the paper says; scaling of scores and frames counted not stated",
        ),
        Published(
            "UCSD Ped2",
            "frame AUC 96.8 %",
            "as the paper says; scaling of scores and frames counted not stated",
        ),
        Published(
            "CUHK Avenue",
            "frame AUC 93.0 %",
            "as the paper says; scaling of scores and frames counted not stated",
        ),
    )

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape, skips=self.parameters.skips, dropout=self.parameters.dropout)
