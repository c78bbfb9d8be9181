"""How badly the next frame was foreseen by convolutions and attention over the frames before it.

After CT-D2GAN (Feng et al., ACM MM 2021); the network is `anomaly.training.pixels.attended`, which says
where it departs. Its two discriminators, of pictures and of clips, are there where `adversarial` is above
0 (`anomaly.training.pixels.discriminators`); they learn with the network and are not asked when frames
are scored.
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
from anomaly.training.pixels.attended import CtPredict as Network
from anomaly.training.pixels.errors import Loss, Score, Target


@spec
class CtPredictParameters(PixelParameters):
    """What `ct_predict` looks at and how it is trained; published settings."""

    target: Target = "next"
    """what it shall give"""
    loss: Loss = "mse+gradient"
    """what is minimised"""
    score: Score = "psnr"
    """of a frame"""
    training: TrainingSpec = TrainingSpec(
        epochs=60, batch=4, optimiser="adam", learning_rate=2e-4, weight_decay=0
    )
    """ours: no settings are known to us"""
    adversarial: Annotated[float, Field(ge=0)] = 0.0
    """weight of what the network loses to two discriminators, such as 0.05; 0: there are none"""


class CtPredict(PixelDetector):
    """Foresees the next frame from four; see `PixelDetector`."""

    Parameters = CtPredictParameters
    parameters: CtPredictParameters
    paper = (
        "Feng et al.: Convolutional transformer based dual discriminator GAN for video "
        "anomaly detection, ACM MM 2021"
    )
    published = (
        Published(
            "UCSD Ped2",
            "frame AUC 97.2 %",
            "the paper's, with two discriminators; not verified",
        ),
        Published(
            "CUHK Avenue",
            "frame AUC 85.9 %",
            "the paper's, with two discriminators; not verified",
        ),
        Published(
            "ShanghaiTech",
            "frame AUC 77.7 %",
            "the paper's, with two discriminators; not verified",
        ),
    )
    targets = ("next",)

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape, adversarial=self.parameters.adversarial)
