"""Features of a video with what its backbone recalls of the videos before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureBlock
from anomaly.windows.bags import Wrapped


@dataclass(frozen=True)
class Recalling(Wrapped):
    """A source whose rows have more cells: those that `features.Backbone.recall` returned."""

    recalled: FeatureBlock

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop`, half-open; the cells recalled stand behind the row's own."""
        block = self.source.read(start, stop)
        if block.place_N2 is None or self.recalled.place_N2 is None:
            return block
        step_T = np.searchsorted(self.recalled.seconds_T, block.seconds_T, side="right") - 1
        more_M = _cells_of(self.recalled, step_T)
        count_T = np.diff(self.recalled.offsets_S)[step_T] * (step_T >= 0)
        if not len(more_M):
            return block
        row_M = np.repeat(np.arange(len(block)), count_T)
        order_N = np.argsort(np.concatenate([block.row_N, row_M]), kind="stable")
        values_ND = np.concatenate([block.values_ND, self.recalled.values_ND[more_M]])
        place_N2 = np.concatenate([block.place_N2, self.recalled.place_N2[more_M]])
        return FeatureBlock(
            block.index_T,
            block.seconds_T,
            values_ND[order_N],
            block.offsets_S + np.concatenate([[0], np.cumsum(count_T)]),
            place_N2[order_N],
            block.grid,
        )


def _cells_of(block: FeatureBlock, row_T: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the cells of some rows, row after row; row -1 has none."""
    stretches = [
        np.arange(block.offsets_S[row], block.offsets_S[row + 1]) for row in row_T if row >= 0
    ]
    return np.concatenate([np.zeros(0, np.int64), *stretches])
