"""No recurrence: a head of Rahmani and Soleimani over stored features.

This one is the 10 rows of a window side by side, dense 32 with ReLU, dropout 0.3, dense 16
with ReLU, dropout 0.3, one sigmoid, for the class of the last row. Figures of it alone are not known to us.
`_rahmani_soleimani` says where we depart, and what the published figures are worth.
"""

from __future__ import annotations

from anomaly.detectors._rahmani_soleimani import PAPER, HeadParameters
from anomaly.detectors._sequence_classifier import SequenceClassifier
from anomaly.spec import spec
from anomaly.training.sequence import Cell


@spec
class MlpParameters(HeadParameters):
    """What `mlp` looks at and how it is trained."""

    cell: Cell = "mlp"
    """kind of layer"""


class Mlp(SequenceClassifier):
    """Scores a row by the log-odds of abnormal, told from it and the 9 before; see `SequenceClassifier`."""

    Parameters = MlpParameters
    paper = PAPER
