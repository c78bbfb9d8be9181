"""What the five heads of Rahmani and Soleimani have in common.

They put the heads on the frame features of six timm networks. Where we depart: classes are told by each row
of a window of 10 and not by its last alone (`mlp`: by the last); videos are split, never windows; rare
classes weigh more instead of being augmented; rows are standardised.
The published figures come from windows of shuffled frames split at random, so that nearly the same frames
are learnt from and judged; they say nothing of new video.
"""

from __future__ import annotations

from anomaly.detectors import Published
from anomaly.detectors._sequence_classifier import SequenceParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec

PAPER = "Rahmani, Soleimani: CNN features and recurrent networks for video anomaly detection"
_PROTOCOL = (
    "AUC of windows of 10 shuffled test frames, split 80/20 at random, which also stopped the training; "
    "best backbone"
)


@spec
class HeadParameters(SequenceParameters):
    """What a head looks at and how it is trained."""

    training: TrainingSpec = TrainingSpec(
        batch=32, optimiser="adam", learning_rate=1e-4, weight_decay=0.0, gradient_norm=None
    )
    """as published: Adam, 1e-4, at most 50 epochs, stopped after 5 without gain"""


def as_published(avenue: str, ped1: str, ped2: str, umn: str) -> tuple[Published, ...]:
    """Return the AUC that the paper gives for a head on each of its data sets."""
    found = {"CUHK Avenue": avenue, "UCSD Ped1": ped1, "UCSD Ped2": ped2, "UMN": umn}
    return tuple(Published(dataset, f"AUC {auc}", _PROTOCOL) for dataset, auc in found.items())
