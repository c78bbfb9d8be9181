"""How badly the next frame was foreseen by convolutions and attention over the frames before it.

After CT-D2GAN (Feng et al., ACM MM 2021); the network is `anomaly.training.pixels.attended`, which says
where it departs. Its two discriminators are not built.
"""

from __future__ import annotations

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
    """ours: the paper's is a game of three networks"""


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
        return Network(shape)
