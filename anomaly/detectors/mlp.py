"""No recurrence: the dense head of Rahmani and Soleimani over stored features.

Rahmani and Soleimani put five heads on the frame features of six timm networks; this one lays the 10 rows
of a window side by side: dense 32 with ReLU, dropout 0.3, dense 16 with ReLU, dropout 0.3, one sigmoid, for
the class of the last row. Where we depart: videos are split, never windows; rare classes weigh more instead
of being augmented; rows are standardised. Figures of this head alone are not known to us.
"""

from __future__ import annotations

from anomaly.detectors._sequence_classifier import SequenceClassifier, SequenceParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec
from anomaly.training.sequence import Cell


@spec
class MlpParameters(SequenceParameters):
    """What `mlp` looks at and how it is trained."""

    cell: Cell = "mlp"
    """kind of layer"""
    training: TrainingSpec = TrainingSpec(
        batch=32, optimiser="adam", learning_rate=1e-4, weight_decay=0.0, gradient_norm=None
    )
    """as published: Adam, 1e-4, at most 50 epochs, stopped after 5 without gain"""


class Mlp(SequenceClassifier):
    """Scores a row by the log-odds of abnormal, told from it and the 9 before; see `SequenceClassifier`."""

    Parameters = MlpParameters
    paper = (
        "Rahmani, Soleimani: CNN features and recurrent networks for video anomaly detection"
    )
