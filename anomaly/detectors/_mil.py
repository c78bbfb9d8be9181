"""What detectors that learn from labels of whole videos have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize
from typing_extensions import override

from anomaly.detectors import FitContext, WindowFormula, WindowScores
from anomaly.detectors._network import NetworkDetector
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.formulas import standardised
from anomaly.training.inputs import Standard
from anomaly.training.labelled import check_learnable, video_class
from anomaly.training.loop import TrainingSpec
from anomaly.training.mil import (
    MilNetwork,
    balanced,
    judge_videos,
    pasted_loss,
    segments_of,
)
from anomaly.training.networks import fit_network, in_batches
from anomaly.training.rows import View, row_vectors, seen_as
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_windows

Net = TypeVar("Net", bound=MilNetwork)

Pooled = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Segments (N, T, D) of N videos, and their classes."""


@spec
class MilParameters:
    """What a detector that learns from labels of whole videos looks at, and how it is trained."""

    segments: Annotated[int, Field(ge=2)] = 32
    """segments that a training video is averaged into, and snippets that are scored together"""
    snippet_rows: Annotated[int, Field(ge=1)] = 16
    """rows averaged into one snippet when a video is scored"""
    view: View = "vectors"
    """vectors, how much each entry changed since the row before (for backbones that see single frames and
    so no motion), both, or one number: how much they changed on average"""
    scale: Literal["none", "unit", "standard"] = "standard"
    """of vectors: as they are, to length 1, or to mean 0 and variance 1 in each dimension"""
    synthesis: Annotated[float, Field(ge=0)] = 0.0
    """weight of the loss on made-up videos: normal ones into which the stretch of an abnormal one is pasted
    that the network just then finds most abnormal, each segment labelled; 0: none"""
    training: TrainingSpec = TrainingSpec()
    """half of each batch are normal videos, half abnormal; an epoch shows all videos of the larger class"""


class MilDetector(NetworkDetector[Net]):
    """Learns from segments of labelled videos, and scores every snippet of a video.

    In training a video is `segments` averages of rows. Scoring is at full resolution: windows of as
    many snippets, half overlapping; each row gets the mean of the windows that it lies in. A video
    shorter than a window is one window. What is held out judges by the AUC over whole videos, each
    taken at its highest segment, and stops the training; without both classes held out all epochs are run.
    State: mean and scale of vectors, and the network's weights.
    """

    parameters: MilParameters
    supervision = "video_labels"
    scope = "archive"

    @abstractmethod
    def loss(self, network: Net, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        """Return the loss on a batch whose first half are normal videos."""

    @property
    @override
    def support_rows(self) -> int:
        return self.parameters.segments * self.parameters.snippet_rows

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        segments_NTD, classes_N = self._pooled(bags)
        check_learnable(bags, classes_N, "videos")
        self.standard = self._standard(segments_NTD)
        held_out_MTD, held_out_M = self._pooled(validation)
        judged = len(set((held_out_M > 0).tolist())) == 2
        empty = (np.zeros((0, 0, 0), np.float32), np.zeros(0, np.int64))
        self.network = fit_network(
            partial(self.make_network, segments_NTD.shape[-1]),
            self._whole_loss,
            (self._scaled(segments_NTD), classes_N),
            judge_videos(self._scaled(held_out_MTD), held_out_M) if judged else empty,
            self.parameters.training,
            context,
            order=balanced(classes_N, self.parameters.training.batch),
        )
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        rows = self.parameters.snippet_rows
        bag = seen_as(self.parameters.view, bag)
        described = partial(row_vectors, bag, dimension=len(self.standard.mean_D))
        window = self._window(bag.n_rows)
        for windows_NLD, rows_NL in read_windows(bag, self.input, window, described):
            count, length, dimension = windows_NLD.shape
            snippets_NTD = windows_NLD.reshape(count, length // rows, rows, dimension).mean(2)
            # By itself: a window's last bits may depend on its place in a batch.
            scores_NT = in_batches(self.network.score, self._scaled(snippets_NTD), batch=1)
            yield WindowScores(scores_NT.repeat(rows, axis=1), rows_NL)

    @override
    def formula(self, bag: Bag) -> WindowFormula:
        rows = self.parameters.snippet_rows

        def of_windows(windows_NLD: Tensor) -> Tensor:
            count, length, dimension = windows_NLD.shape
            snippets_NTD = windows_NLD.reshape(count, length // rows, rows, dimension).mean(2)
            scaled_NTD = standardised(snippets_NTD, self.standard)
            if self.parameters.scale == "unit":
                scaled_NTD = normalize(scaled_NTD, dim=2)
            return self.network.score(scaled_NTD).repeat_interleave(rows, dim=1)

        window = self._window(bag.n_rows)
        return WindowFormula(of_windows, window, slice(None), self.parameters.view)

    def _whole_loss(self, network: Net, segments_BTD: Tensor, classes_B: Tensor) -> Tensor:
        loss = self.loss(network, segments_BTD, classes_B)
        if self.parameters.synthesis:
            loss = loss + self.parameters.synthesis * pasted_loss(network, segments_BTD)
        return loss

    def _window(self, n_rows: int) -> WindowSpec:
        """Return the windows that a video of so many rows is scored in."""
        rows, snippets = self.parameters.snippet_rows, self.parameters.segments
        if n_rows < rows * snippets:
            whole = max(1, -(-n_rows // rows)) * rows
            return WindowSpec(length=whole, step=whole)
        return WindowSpec(length=rows * snippets, step=rows * (snippets // 2))

    def _pooled(self, bags: Sequence[Bag]) -> Pooled:
        usable = [seen_as(self.parameters.view, bag) for bag in bags if bag.n_usable]
        pooled = [segments_of(bag, self.input, self.parameters.segments) for bag in usable]
        classes_N = np.array([video_class(bag) for bag in usable], dtype=np.int64)
        return np.stack(pooled) if pooled else np.zeros((0, 0, 0), np.float32), classes_N

    def _standard(self, segments_NTD: NDArray[np.float32]) -> Standard:
        if self.parameters.scale == "standard":
            return Standard.of(segments_NTD)
        dimension = segments_NTD.shape[-1]
        return Standard(np.zeros(dimension, np.float32), np.ones(dimension, np.float32))

    def _scaled(self, vectors: FloatArray) -> NDArray[np.float32]:
        scaled = self.standard(vectors)
        if self.parameters.scale != "unit":
            return scaled
        lengths = np.sqrt(np.square(scaled).sum(axis=-1, keepdims=True))
        unit: NDArray[np.float32] = scaled / np.maximum(lengths, np.float32(1e-12))
        return unit
