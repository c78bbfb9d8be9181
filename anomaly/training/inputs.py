"""What networks are fed with: standardised vectors, and samples of windows of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import StoreError
from anomaly.shapes import FloatArray
from anomaly.training.rows import row_vectors
from anomaly.training.sampling import Reservoir
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_usable_windows

_SAMPLE_BYTES = 512 * 2**20  # no more windows than fit are kept in memory


@dataclass(frozen=True)
class Standard:
    """Mean and scale of each dimension of what a network learns from."""

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: FloatArray) -> Self:
        """Return mean and deviation over all axes but the last; a constant dimension has scale 1."""
        axes = tuple(range(vectors.ndim - 1))
        mean_D = vectors.mean(axis=axes, dtype=np.float64).astype(np.float32)
        scale_D = vectors.std(axis=axes, dtype=np.float64).astype(np.float32)
        scale_D[scale_D == 0] = 1.0
        return cls(mean_D, scale_D)

    def __call__(self, vectors: FloatArray) -> NDArray[np.float32]:
        """Return vectors (..., D) with mean 0 and variance 1 in each dimension."""
        standard: NDArray[np.float32] = (vectors - self.mean_D) / self.scale_D
        return standard


def sample_windows(
    bags: Sequence[Bag],
    input_name: str,
    window: WindowSpec,
    capacity: int,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Return a uniform sample of the usable windows of all bags, shape (N, L, D).

    At most `capacity` windows, and no more than fit into half a GiB; N is 0 where there are none.
    """
    sample: Reservoir | None = None
    for bag in bags:
        describe = partial(row_vectors, bag)
        for windows_NLD, _ in read_usable_windows(bag, input_name, window, describe):
            if sample is None:
                fitting = max(1, _SAMPLE_BYTES // windows_NLD[0].nbytes)
                sample = Reservoir(min(capacity, fitting), generator)
            sample.add(windows_NLD)
    return np.zeros((0, 1, 1), np.float32) if sample is None else sample.sample()


def windows_to_learn(
    bags: Sequence[Bag],
    input_name: str,
    window: WindowSpec,
    capacity: int,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Return `sample_windows`, which must hold something.

    Raises:
        StoreError: no bag has a usable window.
    """
    windows_NLD = sample_windows(bags, input_name, window, capacity, generator)
    if len(windows_NLD) == 0:
        raise StoreError(
            f"Nothing to learn from: none of {len(bags)} training videos has "
            f"{window.length} usable rows in a stretch. Give longer videos."
        )
    return windows_NLD
