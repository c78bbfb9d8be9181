"""What is tried on Ped2: one size, one step, as many epochs, and what the network is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product

HEIGHT, WIDTH = 64, 96
WIDE = 0.25
"""share of the published channels"""
TRAINING = {
    "batch": 4, "optimiser": "adam", "learning_rate": 0.001, "schedule": "cosine",
}  # fmt: skip
FRAMES = ("--backbone", "frames", *(
    part for size in (f"height={HEIGHT}", f"width={WIDTH}") for part in ("--backbone-option", size)
))  # fmt: skip
SCORES = ("mean", "psnr", "block_max", "top_percent", "cell_max")
ASKED = (
    ("reconstruct", "none"),
    ("reconstruct", "noise"),
    ("reconstruct", "mask"),
    ("middle", "none"),
    ("next", "none"),
)
_IN_WORDS = {"none": "", "noise": " from noisy ones", "mask": " from ones with holes"}
_TARGETS = {
    "reconstruct": "the frames read",
    "middle": "the middle frame",
    "next": "the next frame",
}


@dataclass(frozen=True)
class Setting:
    """One network and what it is taught."""

    detector: str
    epochs: int
    target: str
    corrupt: str = "none"
    clips: int = 120
    step: int = 4

    @property
    def title(self) -> str:
        """The setting in words."""
        asked = _TARGETS[self.target] + _IN_WORDS[self.corrupt]
        return f"`{self.detector}`, {self.epochs} epochs: {asked}"

    @property
    def name(self) -> str:
        """Name of its checkpoint."""
        return f"{self.detector}-{self.target}-{self.corrupt}".replace("_", "-")

    def options(self, score: str) -> list[str]:
        """Return how `anomaly train` is told."""
        training = {**TRAINING, "epochs": self.epochs, "patience": self.epochs}
        told = {
            "channels": WIDE, "target": self.target, "corrupt": self.corrupt,
            "clips": self.clips, "step": self.step, "score": score, "training": training,
        }  # fmt: skip
        pairs = (f"{key}={json.dumps(value)}" for key, value in told.items())
        return [part for pair in pairs for part in ("--detector-option", pair)]


NETWORKS = (("unet_predict", 20), ("sendec", 10))
"""with the epochs that minutes of one core are enough for"""
FIRST = Setting("unet_predict", 20, "next")
"""whose frames tell which score is taken for all"""
COMPARED = tuple(Setting(*network, *asked) for network, asked in product(NETWORKS, ASKED))
BESIDE = (Setting("c3d_ae_small", 10, "reconstruct", clips=60, step=8),)
"""trained as well, not part of the comparison of targets"""
