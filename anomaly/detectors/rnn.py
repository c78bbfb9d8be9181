"""Plain recurrence: a head of Rahmani and Soleimani over stored features.

Rahmani and Soleimani put five heads on the frame features of six timm networks; this one is
a plain recurrent layer of 32, dropout 0.3, dense 16 with ReLU, dropout 0.3, one sigmoid.
Where we depart: classes are told by each row of a window of 10 and not by its last alone; videos are split,
never windows; rare classes weigh more instead of being augmented; rows are standardised.
The published figures come from windows of shuffled frames split at random, so that nearly the same frames
are learnt from and judged; they say nothing of new video.
"""

from __future__ import annotations

from anomaly.detectors import Published
from anomaly.detectors._sequence_classifier import SequenceClassifier, SequenceParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.sequence import Cell

_PROTOCOL = (
    "AUC of windows of 10 shuffled test frames, split 80/20 at random, which also stopped the training; "
    "best backbone"
)


@spec
class RnnParameters(SequenceParameters):
    """What `rnn` looks at and how it is trained."""

    cell: Cell = "rnn"
    """kind of layer"""
    training: TrainingSpec = TrainingSpec(
        batch=32, optimiser="adam", learning_rate=1e-4, weight_decay=0.0, gradient_norm=None
    )
    """as published: Adam, 1e-4, at most 50 epochs, stopped after 5 without gain"""


class Rnn(SequenceClassifier):
    """Scores a row by the log-odds of abnormal, told from 10 rows; see `SequenceClassifier`."""

    Parameters = RnnParameters
    paper = (
        "Rahmani, Soleimani: CNN features and recurrent networks for video anomaly detection"
    )
    published = (
        Published("CUHK Avenue", "AUC 0.9970", _PROTOCOL),
        Published("UCSD Ped1", "AUC 0.9881", _PROTOCOL),
        Published("UCSD Ped2", "AUC 0.998 to 1.000", _PROTOCOL),
        Published("UMN", "AUC 1.0000", _PROTOCOL),
    )
