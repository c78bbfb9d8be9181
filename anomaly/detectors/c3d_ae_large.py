"""How badly the large 3D convolutional autoencoder of the UCSD notebooks draws its own frames again.

The network is `anomaly.training.pixels.c3d_ae`; the notebooks' frames are 224 x 224, sixteen at a time,
without overlap in training.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from anomaly.detectors._pixels import NESTEROV, PixelDetector, PixelParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.c3d_ae import C3dAutoencoder


@spec
class C3dAeLargeParameters(PixelParameters):
    """What `c3d_ae_large` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 16
    """frames that the network reads"""
    step: Annotated[int, Field(ge=1)] = 16
    """frames from one training clip to the next"""
    training: TrainingSpec = NESTEROV
    """SGD with Nesterov's momentum, batches of 4"""


class C3dAeLarge(PixelDetector):
    """Rebuilds sixteen frames; see `PixelDetector`."""

    Parameters = C3dAeLargeParameters
    parameters: C3dAeLargeParameters
    paper = (
        "Notebooks of supriyo97 on UCSD, after Tran et al.: Learning spatiotemporal "
        "features, ICCV 2015"
    )

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return C3dAutoencoder(shape, size="large")
