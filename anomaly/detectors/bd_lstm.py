"""Two bidirectional LSTM layers over stretches of 15 rows.

Ullah et al., "CNN features with bi-directional LSTM for real-time anomaly detection in surveillance
networks" (Multimedia Tools and Applications, 2021): the 1000 outputs of ResNet-50
(`--backbone timm_frames --backbone-option model=resnet50 --backbone-option layer=logits`), 15 frames,
two layers of 512 units each way, softmax, cross-entropy, learning rate 0.001, 20 % of the videos for
validation. The public code has three one-way layers instead; this is the paper's network.
Where we depart: every row of a stretch is classified, not the stretch by its last row; videos are
split, never stretches; dropout and early stopping, of which the paper says nothing. Where only videos
are labelled each row takes its video's label, as in the paper, which calls normal parts of abnormal
videos abnormal.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anomaly.detectors import Published
from anomaly.detectors._sequence_classifier import SequenceClassifier, SequenceParameters
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec

_PROTOCOL = "accuracy of chunks of 15 frames, split at random between training and validation"


@spec
class BdLstmParameters(SequenceParameters):
    """What `bd_lstm` looks at and how it is trained."""

    bidirectional: bool = True
    """read windows backwards too"""
    layers: Annotated[int, Field(ge=1)] = 2
    """recurrent layers of each kind"""
    hidden: Annotated[int, Field(ge=1)] = 512
    """units of a layer, in each direction"""
    dense: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """units of the layers between the recurrent ones and the output"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """after each layer but the last"""
    softmax: bool = True
    """one output for each class also when there are two; else one for "abnormal" """
    rows: Annotated[int, Field(ge=1)] = 15
    """rows in a window"""
    training: TrainingSpec = TrainingSpec(
        batch=64, optimiser="adam", learning_rate=1e-3, weight_decay=0.0, epochs=20
    )
    """Adam at the published 0.001; stopped after 5 epochs without gain"""


class BdLstm(SequenceClassifier):
    """Scores a row by the log-odds of abnormal, told from the rows around it; see `SequenceClassifier`."""

    Parameters = BdLstmParameters
    supervision = "video_labels"
    paper = (
        "Ullah et al.: CNN features with bi-directional LSTM for real-time anomaly detection in "
        "surveillance networks, Multimedia Tools and Applications 2021"
    )
    published = (
        Published("UCF-Crime", "accuracy 85.53 %", _PROTOCOL),
        Published("UCFCrime2Local", "accuracy 89.05 %", _PROTOCOL),
    )
