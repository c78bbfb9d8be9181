"""How badly the small 3D convolutional autoencoder of the UCSD notebooks draws its own frames again.

The network is `anomaly.training.pixels.c3d_ae`; the notebooks' frames are 224 x 224, sixteen at a time,
without overlap in training.
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
from anomaly.training.pixels.c3d_ae import C3dAutoencoder


@spec
class C3dAeSmallParameters(PixelParameters):
    """What `c3d_ae_small` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 16
    """frames that the network reads"""
    step: Annotated[int, Field(ge=1)] = 16
    """frames from one training clip to the next"""
    training: TrainingSpec = NESTEROV
    """SGD with Nesterov's momentum, batches of 4"""


class C3dAeSmall(PixelDetector):
    """Rebuilds sixteen frames; see `PixelDetector`."""

    Parameters = C3dAeSmallParameters
    parameters: C3dAeSmallParameters
    paper = (
        "Notebooks of supriyo97 on UCSD, after Tran et al.: Learning spatiotemporal "
        "features, ICCV 2015"
    )
    published = (
        Published(
            "UCSD Ped2",
            "mean AUC of clips 0.512",
            "of yes or no by a hand-set threshold, clips without an AUC left out",
        ),
    )

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return C3dAutoencoder(shape, size="small")
