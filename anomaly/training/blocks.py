"""Products of long vectors in float32, always so many rows at a time.

Exact products (`exact`) take float64, which for hundreds of dimensions costs more than reading the vectors.
Here a vector is mapped in a block of one shape, filled up where vectors lack, by one thread: the very
operations do not depend on what else is in the block, nor on how many vectors there are. They may depend on
the processor, as those of networks do.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.shapes import FloatArray
from anomaly.training.exact import without_leading_zeros
from anomaly.training.seeding import repeatable

_ROWS = 512  # of a block


class LengthsInBlocks:
    """How long vectors, less a mean, are after a linear map, (E, D).

    Zeros in front of the rows of the map cost nothing. What float32 cannot hold is as long as can be.
    """

    def __init__(self, map_ED: NDArray[np.float32], mean_D: NDArray[np.float32]) -> None:
        parts = without_leading_zeros(map_ED)
        self._parts = [(first, torch.from_numpy(part_FC)) for first, part_FC in parts]
        self._mapped = [torch.empty(_ROWS, part_FC.shape[1]) for _, part_FC in parts]
        self._mean_D = mean_D
        self._block_MD = np.zeros((_ROWS, len(mean_D)), dtype=np.float32)

    def __call__(self, vectors_ND: FloatArray) -> NDArray[np.float64]:
        """Return the length of each vector, shape (N,)."""
        squared_N = np.empty(len(vectors_ND), dtype=np.float64)
        with repeatable(), np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(vectors_ND), _ROWS):
                squared_N[start : start + _ROWS] = self._squared(
                    vectors_ND[start : start + _ROWS]
                )
        longest = float(np.finfo(np.float32).max)
        return np.sqrt(np.nan_to_num(squared_N, nan=longest, posinf=longest))

    @torch.inference_mode()
    def _squared(self, some_MD: FloatArray) -> NDArray[np.float32]:
        np.subtract(some_MD, self._mean_D, out=self._block_MD[: len(some_MD)])
        block_MD = torch.from_numpy(self._block_MD)
        squared_M = np.zeros(_ROWS, dtype=np.float32)
        for (first, part_FC), mapped_MC in zip(self._parts, self._mapped, strict=True):
            torch.mm(block_MD[:, first:], part_FC, out=mapped_MC)
            squared_M += np.vecdot(mapped_MC.numpy(), mapped_MC.numpy())
        return squared_M[: len(some_MD)]
