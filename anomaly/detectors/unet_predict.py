"""How badly the next frame was foreseen by a U-Net.

Liu et al. (CVPR 2018); with `memory` "prototypes" and `loss` "mse" it is MNAD's network (Park et al.,
CVPR 2020). The network is `anomaly.training.pixels.unet_predict`, which says what of the papers is left
out; frames are 256 x 256, four are read. MNAD's score adds the distance to the nearest item, ours is
the error alone.
"""

from __future__ import annotations

from typing_extensions import override

from anomaly.detectors import Published
from anomaly.detectors._pixels import PixelDetector, PixelParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.errors import Loss, Score, Target
from anomaly.training.pixels.unet_predict import UnetPredict as Network


@spec
class UnetPredictParameters(PixelParameters):
    """What `unet_predict` looks at and how it is trained; published settings."""

    target: Target = "next"
    """what it shall give"""
    loss: Loss = "mse+gradient"
    """what is minimised"""
    score: Score = "psnr"
    """of a frame"""
    skips: bool = True
    """join what the encoder saw to what the decoder draws"""
    training: TrainingSpec = TrainingSpec(
        epochs=60,
        batch=4,
        optimiser="adam",
        learning_rate=2e-4,
        weight_decay=0,
        gradient_norm=None,
        schedule="cosine",
    )
    """Adam, batches of 4, as MNAD's code"""


class UnetPredict(PixelDetector):
    """Foresees the next frame from four; see `PixelDetector`."""

    Parameters = UnetPredictParameters
    parameters: UnetPredictParameters
    paper = "Liu, Luo, Lian, Gao: Future frame prediction for anomaly detection, CVPR 2018 "
    published = (
        Published(
            "UCSD Ped1",
            "frame AUC 83.1 %",
            "scores stretched to 0..1 in each clip, first 4 frames left out",
        ),
        Published(
            "UCSD Ped2",
            "frame AUC 95.4 %",
            "scores stretched to 0..1 in each clip, first 4 frames left out",
        ),
        Published(
            "CUHK Avenue",
            "frame AUC 85.1 %",
            "scores stretched to 0..1 in each clip, first 4 frames left out",
        ),
        Published(
            "ShanghaiTech",
            "frame AUC 72.8 %",
            "scores stretched to 0..1 in each clip, first 4 frames left out",
        ),
    )
    memories = ("none", "memae", "prototypes")

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape, memory=self.parameters.memory, skips=self.parameters.skips)
