"""Recurrent (and plain) networks that give every row of a window a class, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

Cell = Literal["lstm", "gru", "rnn", "mlp", "lstm+gru"]
_CELLS: dict[str, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """Stacked recurrent layers, rows (B, L, D) to (B, L, width).

    Biases are those of Keras: two sets in a GRU, one elsewhere (the second would only add to the
    first), so parameter counts equal published ones.
    """

    def __init__(
        self,
        dimension: int,
        cell: Cell,
        hidden: int,
        layers: int,
        dropout: float,
        *,
        both: bool,
    ) -> None:
        super().__init__()
        self.width = hidden * (2 if both else 1)
        kinds = [_CELLS[kind] for kind in cell.split("+") for _ in range(layers)]
        widths = [dimension, *[self.width] * len(kinds)]
        self.layers = nn.ModuleList(
            kind(reads, hidden, batch_first=True, bidirectional=both)
            for kind, (reads, _) in zip(kinds, pairwise(widths), strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        for layer in self.layers:
            for name, bias in layer.named_parameters():
                if name.startswith("bias_hh") and not isinstance(layer, nn.GRU):
                    nn.init.zeros_(bias)
                    bias.requires_grad = False

    @override
    def forward(self, rows_BLD: Tensor) -> Tensor:
        """Return what the last layer says at each row, after dropout."""
        for layer in self.layers:
            rows_BLD = self.dropout(layer(rows_BLD)[0])
        return rows_BLD


class Window(nn.Module):
    """All rows of a window side by side, through one layer: (B, L, D) to (B, 1, width)."""

    def __init__(self, dimension: int, rows: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(rows * dimension, width), nn.ReLU(), nn.Dropout(dropout)
        )

    @override
    def forward(self, rows_BLD: Tensor) -> Tensor:
        """Return one vector a window."""
        one_B1H: Tensor = self.layers(rows_BLD)[:, None]
        return one_B1H


class SequenceNetwork(nn.Module):
    """An encoder of windows and dense layers on top, applied at each row that it speaks of."""

    def __init__(
        self, encoder: Recurrent | Window, dense: Sequence[int], outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        widths = [encoder.width, *dense]
        layers: list[nn.Module] = []
        for reads, gives in pairwise(widths):
            layers += [nn.Linear(reads, gives), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    @override
    def forward(self, rows_BLD: Tensor) -> Tensor:
        """Return logits (B, M, outputs) of the last M rows: M is L, or 1 for a plain network."""
        logits_BMK: Tensor = self.head(self.encoder(rows_BLD))
        return logits_BMK

    def log_odds(self, rows_BLD: Tensor) -> Tensor:
        """Return log(p(abnormal) / p(normal)) of the last M rows, (B, M).

        It ranks as the probability does, and does not run into 1.
        """
        logits_BMK = self(rows_BLD)
        if logits_BMK.shape[-1] == 1:
            return logits_BMK[..., 0]
        return torch.logsumexp(logits_BMK[..., 1:], dim=-1) - logits_BMK[..., 0]


def class_weights(labels_NL: NDArray[np.integer], classes: int) -> Tensor:
    """Return shape (K,): weights under which every class that occurs counts the same; mean 1 over rows."""
    counts_K = np.bincount(labels_NL.ravel(), minlength=classes).astype(np.float64)
    present = np.count_nonzero(counts_K)
    weights_K = counts_K.sum() / present / np.maximum(counts_K, 1.0)
    return torch.from_numpy(np.where(counts_K > 0, weights_K, 0.0).astype(np.float32))


def cross_entropy(
    weights_K: Tensor, network: nn.Module, rows_BLD: Tensor, labels_BL: Tensor
) -> Tensor:
    """Return the mean cross-entropy over rows, each weighted by its class.

    One output is the logit of "abnormal"; several are the logits of the classes.
    """
    logits_BMK = network(rows_BLD)
    labels_BM = labels_BL[:, -logits_BMK.shape[1] :]
    weights_BM = weights_K.to(labels_BM.device)[labels_BM]
    if logits_BMK.shape[-1] == 1:
        losses_BM = nn.functional.binary_cross_entropy_with_logits(
            logits_BMK[..., 0], labels_BM.to(logits_BMK.dtype), reduction="none"
        )
    else:
        losses_BM = nn.functional.cross_entropy(
            logits_BMK.movedim(-1, 1), labels_BM, reduction="none"
        )
    return (weights_BM * losses_BM).sum() / weights_BM.sum()
