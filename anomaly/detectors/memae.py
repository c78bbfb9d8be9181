"""How badly frames are drawn again from a memory of normal ones.

Gong et al., MemAE (ICCV 2019); the network is `anomaly.training.pixels.memae`, the paper's frames are
256 x 256 and grey, sixteen at a time. `memory_autoencoder` is the same idea on features.
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
from anomaly.training.pixels.layers import Memory
from anomaly.training.pixels.memae import MemAe


@spec
class MemaeParameters(PixelParameters):
    """What `memae` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 16
    """frames that the network reads"""
    memory: Memory = "memae"
    """between encoder and decoder"""
    training: TrainingSpec = TrainingSpec(
        epochs=100,
        batch=14,
        optimiser="adam",
        learning_rate=1e-4,
        weight_decay=0,
        gradient_norm=None,
    )
    """Adam, batches of 14"""


class Memae(PixelDetector):
    """Rebuilds sixteen frames; see `PixelDetector`."""

    Parameters = MemaeParameters
    parameters: MemaeParameters
    paper = "Gong et al.: Memorizing normality to detect anomaly, ICCV 2019"
    published = (
        Published("UCSD Ped2", "frame AUC 94.1 %", "scores stretched to 0..1 in each clip"),
        Published("CUHK Avenue", "frame AUC 83.3 %", "scores stretched to 0..1 in each clip"),
        Published("ShanghaiTech", "frame AUC 71.2 %", "scores stretched to 0..1 in each clip"),
    )
    memories = ("none", "memae", "prototypes")

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return MemAe(shape, memory=self.parameters.memory)
