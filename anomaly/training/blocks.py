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


@torch.inference_mode()
def lengths_in_blocks(
    map_ED: NDArray[np.float32], vectors_ND: FloatArray, mean_D: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how long each vector, less the mean, is after a linear map, shape (N,).

    Zeros in front of the rows of the map cost nothing. What float32 cannot hold is as long as can be.
    """
    parts = [(first, torch.from_numpy(part)) for first, part in without_leading_zeros(map_ED)]
    some_MD = np.zeros((_ROWS, len(mean_D)), dtype=np.float32)
    shown_MD = torch.from_numpy(some_MD)
    mapped_PMC = [torch.empty(_ROWS, part.shape[1]) for _, part in parts]
    squared_N = np.empty(len(vectors_ND), dtype=np.float64)
    with repeatable(), np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(vectors_ND), _ROWS):
            count = len(vectors_ND[start : start + _ROWS])
            np.subtract(vectors_ND[start : start + _ROWS], mean_D, out=some_MD[:count])
            squared_M = np.zeros(_ROWS, dtype=np.float32)
            for (first, part_FC), mapped_MC in zip(parts, mapped_PMC, strict=True):
                torch.mm(shown_MD[:, first:], part_FC, out=mapped_MC)
                squared_M += np.vecdot(mapped_MC.numpy(), mapped_MC.numpy())
            squared_N[start : start + _ROWS] = squared_M[:count]
    longest = float(np.finfo(np.float32).max)
    return np.sqrt(np.nan_to_num(squared_N, nan=longest, posinf=longest))
