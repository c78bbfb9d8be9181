"""LSTM: a head of Rahmani and Soleimani over stored features.

This one is LSTM(32), dropout 0.3, dense 16 with ReLU, dropout 0.3, one sigmoid.
`_rahmani_soleimani` says where we depart, and what the published figures are worth.
"""

from __future__ import annotations

from anomaly.detectors._rahmani_soleimani import PAPER, HeadParameters, as_published
from anomaly.detectors._sequence_classifier import SequenceClassifier
from anomaly.spec import spec
from anomaly.training.sequence import Cell


@spec
class LstmParameters(HeadParameters):
    """What `lstm` looks at and how it is trained."""

    cell: Cell = "lstm"
    """kind of layer"""


class Lstm(SequenceClassifier):
    """Scores a row by the log-odds of abnormal, told from 10 rows; see `SequenceClassifier`."""

    Parameters = LstmParameters
    paper = PAPER
    published = as_published("0.9989", "0.9985", "0.998 to 1.000", "1.0000")
