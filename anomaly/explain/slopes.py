"""What a score owes to stored features: its slope in each of them, by one backward pass.

A detector offers its score as a `Formula` where it has a slope. No picture is needed, so any stretch of a
video whose features are stored can be asked about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.detectors import CellFormula, Detector, WindowFormula
from anomaly.features import FeatureBlock
from anomaly.training.rows import View
from anomaly.training.seeding import repeatable
from anomaly.windows import window_rows
from anomaly.windows.bags import Bag


@dataclass(frozen=True)
class Slopes:
    """A score of some rows together, and its slope in the features of the rows that it depends on."""

    score: float
    first_row: int
    """of the block, in the video"""
    block: FeatureBlock
    slope_ND: NDArray[np.float32]
    """of each cell of the block"""

    def of_row(self, row: int) -> NDArray[np.float32]:
        """Return the slopes of the cells of one row of the video, (cells, D)."""
        own = row - self.first_row
        return self.slope_ND[self.block.offsets_S[own] : self.block.offsets_S[own + 1]]

    def contribution_T(self) -> NDArray[np.float64]:
        """Return gradient x input of each row of the block: the sum of |z * dy/dz| over its numbers."""
        amount_N = np.abs(self.block.values_ND * self.slope_ND).sum(axis=1, dtype=np.float64)
        amount_T = np.zeros(len(self.block))
        np.add.at(amount_T, self.block.row_N, amount_N)
        return amount_T


def slopes(
    detector: Detector, bag: Bag, rows: Sequence[int], weights: Sequence[float]
) -> Slopes | None:
    """Return the weighted mean of the detector's own scores of some rows of a video, with its slopes.

    Args:
        detector: fitted, of one input.
        bag: the video.
        rows: neighbouring rows, growing.
        weights: how much each counts; rows without a score are left out.

    Returns:
        None where the detector has no slope, or none of the rows a score.
    """
    formula = detector.formula(bag)
    if formula is None:
        return None
    name = detector.input
    weight_of = dict(zip(rows, weights, strict=True))
    with repeatable(), torch.enable_grad():
        if isinstance(formula, CellFormula):
            return _of_cells(formula, bag, name, weight_of)
        return _of_windows(formula, bag, name, weight_of)


def _of_cells(
    formula: CellFormula, bag: Bag, name: str, weight_of: dict[int, float]
) -> Slopes | None:
    first, last = min(weight_of), max(weight_of) + 1
    block = bag.read(name, first, last)
    values_ND = _leaf(block)
    score_N = formula.of_cells(values_ND, block)
    weight_T = np.array([weight_of.get(row, 0.0) for row in range(first, last)])
    best_M = _best_cells(block, score_N.detach().numpy())
    weight_M = torch.from_numpy(weight_T[block.row_N[best_M]] / weight_T.sum())
    return _finished((score_N[best_M].double() * weight_M).sum(), values_ND, first, block)


def _of_windows(
    formula: WindowFormula, bag: Bag, name: str, weight_of: dict[int, float]
) -> Slopes | None:
    rows_NL = window_rows(bag.n_rows, formula.window, min(weight_of), max(weight_of) + 1)
    told_NM = rows_NL[:, formula.asked]
    row_K, count_K = np.unique(told_NM, return_counts=True)
    weight_K = np.array([weight_of.get(row, 0.0) for row in row_K.tolist()])
    if not weight_K.any():
        return None
    each_K = weight_K / weight_K.sum() / count_K
    begin = int(rows_NL.min())
    if formula.view != "vectors" and begin > 0:
        begin -= 1  # a row's change is that since the row before
    block = bag.read(name, begin, int(rows_NL.max()) + 1)
    values_ND = _leaf(block)
    rows_TD = row_tensor(values_ND, block, formula.view)
    score_NM = formula.of_windows(rows_TD[torch.from_numpy(rows_NL - begin)])
    each_NM = torch.from_numpy(each_K[np.searchsorted(row_K, told_NM)])
    return _finished((score_NM.double() * each_NM).sum(), values_ND, begin, block)


def row_tensor(values_ND: Tensor, block: FeatureBlock, view: View) -> Tensor:
    """Return one vector a row as a function of its cells: `training.rows.row_vectors`, then the view."""
    rows_TD = values_ND
    if block.grid is not None:
        row_N = torch.from_numpy(block.row_N)
        count_T1 = torch.from_numpy(np.diff(block.offsets_S))[:, None]
        nothing_TD = values_ND.new_zeros(len(block), values_ND.shape[1])
        mean_TD = nothing_TD.index_add(0, row_N, values_ND) / count_T1.clamp_min(1)
        highest_TD = nothing_TD.scatter_reduce(
            0, row_N[:, None].expand_as(values_ND), values_ND, "amax", include_self=False
        )
        share_T1 = (count_T1 / math.prod(block.grid)).to(values_ND.dtype)
        rows_TD = torch.cat([mean_TD, highest_TD, share_T1], dim=1)
    if view == "vectors":
        return rows_TD
    changes_TD = rows_TD.diff(dim=0, prepend=rows_TD[:1]).abs()
    if view == "both":
        return torch.cat([rows_TD, changes_TD], dim=1)
    return changes_TD.mean(dim=1, keepdim=True) if view == "amount" else changes_TD


def _leaf(block: FeatureBlock) -> Tensor:
    return torch.from_numpy(block.values_ND.astype(np.float32)).requires_grad_()


def _best_cells(block: FeatureBlock, score_N: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the index of the highest cell of each row that has any."""
    row_N = block.row_N
    order_N = np.lexsort((score_N, row_N))
    is_last_N = np.append(np.diff(row_N[order_N]) != 0, [True] * bool(len(order_N)))
    return order_N[is_last_N.astype(bool)]


def _finished(score: Tensor, values_ND: Tensor, first_row: int, block: FeatureBlock) -> Slopes:
    (slope_ND,) = torch.autograd.grad(score, values_ND)
    return Slopes(float(score.detach()), first_row, block, slope_ND.numpy())
