"""How badly the next frame was foreseen by a quick 3D network that was taught on spoilt patches.

Park et al., FastAno (WACV 2022): five grey frames of 240 x 360 in, one out; a patch of them is turned
or shuffled in time in training. The network is `anomaly.training.pixels.fast3d`. Where we depart: one
of the two corruptions at a time (`corrupt`), and no learning rates of the paper's are known to us.
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
from anomaly.training.pixels.errors import Corrupt, Score, Target
from anomaly.training.pixels.fast3d import Fast3d as Network


@spec
class Fast3dParameters(PixelParameters):
    """What `fast3d` looks at and how it is trained; published settings."""

    length: Annotated[int, Field(ge=1)] = 5
    """frames that the network reads"""
    target: Target = "next"
    """what it shall give"""
    corrupt: Corrupt = "patch_shuffle"
    """how frames are spoilt that it reads in training"""
    score: Score = "psnr"
    """of a frame"""
    training: TrainingSpec = TrainingSpec(
        epochs=60,
        batch=4,
        optimiser="adam",
        learning_rate=2e-4,
        weight_decay=0,
        gradient_norm=None,
    )
    """Adam, batches of 4"""


class Fast3d(PixelDetector):
    """Foresees the next frame from five; see `PixelDetector`."""

    Parameters = Fast3dParameters
    parameters: Fast3dParameters
    paper = (
        "Park et al.: FastAno, fast anomaly detection via spatio-temporal patch "
        "transformation, WACV 2022"
    )
    published = (
        Published("UCSD Ped2", "frame AUC 96.3 %", "scores stretched to 0..1 in each clip"),
        Published("CUHK Avenue", "frame AUC 85.3 %", "scores stretched to 0..1 in each clip"),
        Published("ShanghaiTech", "frame AUC 72.2 %", "scores stretched to 0..1 in each clip"),
    )
    targets = ("next", "middle")

    @override
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        return Network(shape)
