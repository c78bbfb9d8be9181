"""What detectors that learn the class of each row from its neighbours have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import FitContext, Supervision, WindowFormula, WindowScores
from anomaly.detectors._network import NetworkDetector
from anomaly.errors import SpecError
from anomaly.spec import spec
from anomaly.training.formulas import standardised
from anomaly.training.inputs import Standard
from anomaly.training.labelled import check_learnable, sample_labelled_windows
from anomaly.training.loop import TrainingSpec
from anomaly.training.networks import fit_network, in_batches
from anomaly.training.rows import View, row_vectors, seen_as
from anomaly.training.sequence import (
    Cell,
    Recurrent,
    SequenceNetwork,
    Window,
    class_weights,
    cross_entropy,
)
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_windows


@spec
class SequenceParameters:
    """What a sequence classifier looks at and how it is trained."""

    cell: Cell = "lstm"
    """kind of recurrent layer; mlp: all rows of a window side by side, no recurrence"""
    bidirectional: bool = False
    """read windows backwards too"""
    layers: Annotated[int, Field(ge=1)] = 1
    """recurrent layers of each kind"""
    hidden: Annotated[int, Field(ge=1)] = 32
    """units of a layer, in each direction"""
    dense: tuple[Annotated[int, Field(ge=1)], ...] = (16,)
    """units of the layers between the recurrent ones and the output"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """after each layer but the last"""
    classes: Annotated[int, Field(ge=2)] = 2
    """2: normal and abnormal; more: normal and each category of the label file, in order of name"""
    softmax: bool = False
    """one output for each class also when there are two; else one for "abnormal" """
    class_weights: bool = True
    """let each class count the same, however rare it is"""
    view: View = "vectors"
    """vectors, how much each entry changed since the row before (for backbones that see single frames and
    so no motion), both, or one number: how much they changed on average"""
    rows: Annotated[int, Field(ge=1)] = 10
    """rows in a window"""
    windows: Annotated[int, Field(ge=1)] = 20_000
    """windows drawn uniformly from the training videos"""
    training: TrainingSpec = TrainingSpec(batch=32, learning_rate=3e-4, weight_decay=1e-2)
    """epochs, batch, learning rate, early stopping on the loss of held-out videos"""


class SequenceClassifier(NetworkDetector[SequenceNetwork]):
    """Scores a row by the log-odds that it is abnormal, as the windows around it say.

    Each row of a window is classified (`mlp`: the last one); windows overlap by half (`mlp`: by all
    but one row), and a row gets the mean of those that it lies in. Where only videos are labelled,
    each row has its video's class. State: mean and scale of vectors, and the network's weights.
    """

    Parameters = SequenceParameters
    parameters: SequenceParameters
    supervision: ClassVar[Supervision] = "frame_labels"
    scope = "archive"  # few cameras have labelled videos of both kinds
    held_out_share = 0.2  # as published for all of its presets

    @property
    @override
    def support_rows(self) -> int:
        return self.parameters.rows

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        sample = (self.input, self._window, self.parameters.windows, context.generator)
        seen, held_out_seen = (
            [seen_as(self.parameters.view, bag) for bag in side] for side in (bags, validation)
        )
        windows_NLD, labels_NL = sample_labelled_windows(seen, *sample)
        check_learnable(bags, labels_NL, f"rows in stretches of {self.parameters.rows}")
        held_out_MLD, held_out_ML = sample_labelled_windows(held_out_seen, *sample)
        self.standard = Standard.of(windows_NLD)
        labels_NL = self._classes(labels_NL)
        counted_K = class_weights(labels_NL, self.parameters.classes)
        if not self.parameters.class_weights:
            counted_K.fill_(1.0)
        held_out = (np.zeros((0, 0, 0), np.float32), held_out_ML)
        if len(held_out_MLD):
            held_out = (self.standard(held_out_MLD), self._classes(held_out_ML))
        self.network = fit_network(
            partial(self.make_network, windows_NLD.shape[-1]),
            partial(cross_entropy, counted_K),
            (self.standard(windows_NLD), labels_NL),
            held_out,
            self.parameters.training,
            context,
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        bag = seen_as(self.parameters.view, bag)
        described = partial(row_vectors, bag, dimension=len(self.standard.mean_D))
        for windows_NLD, rows_NL in read_windows(bag, self.input, self._window, described):
            odds_NM = in_batches(self.network.log_odds, self.standard(windows_NLD))
            yield WindowScores(odds_NM, rows_NL[:, -odds_NM.shape[1] :])

    @override
    def formula(self, bag: Bag) -> WindowFormula:
        last_alone = self.parameters.cell == "mlp"
        return WindowFormula(
            lambda windows: self.network.log_odds(standardised(windows, self.standard)),
            self._window,
            slice(-1, None) if last_alone else slice(None),
            self.parameters.view,
        )

    @property
    def _window(self) -> WindowSpec:
        rows = self.parameters.rows
        step = 1 if self.parameters.cell == "mlp" else max(1, rows // 2)
        return WindowSpec(length=rows, step=step)

    def _classes(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return labels as classes of the network."""
        if self.parameters.classes == 2:
            return np.minimum(labels, 1)
        if labels.max(initial=0) >= self.parameters.classes:
            raise SpecError(
                f"Labels name {labels.max()} categories, {type(self).__name__} has "
                f"{self.parameters.classes} classes, normal among them. Set classes={labels.max() + 1}, "
                "or 2 to tell normal from abnormal."
            )
        return labels

    @override
    def make_network(self, dimension: int) -> SequenceNetwork:
        p = self.parameters
        encoder: Recurrent | Window
        if p.cell == "mlp":
            encoder = Window(dimension, p.rows, p.hidden, p.dropout)
        else:
            encoder = Recurrent(
                dimension, p.cell, p.hidden, p.layers, p.dropout, both=p.bidirectional
            )
        outputs = p.classes if p.softmax or p.classes > 2 else 1
        return SequenceNetwork(encoder, p.dense, outputs, p.dropout)
