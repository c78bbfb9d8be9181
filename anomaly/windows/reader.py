"""Windows of consecutive feature vectors of one video, for sequence models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from anomaly.features import FeatureBlock
from anomaly.windows import WindowSpec, window_starts
from anomaly.windows.bags import BLOCK_BYTES, Bag

Describe = Callable[[FeatureBlock], NDArray[np.float32]]
"""Makes one vector a row out of a block, shape (T, D)."""

Windows = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Windows (N, L, D) and the rows (N, L) that they show."""


def read_windows(
    bag: Bag, input_name: str, window: WindowSpec, describe: Describe = FeatureBlock.pooled_TD
) -> Iterator[Windows]:
    """Yield the windows over all rows of a video, some at a time, in order, in constant memory.

    Every row lies in a window. A video shorter than one gives one that repeats its last row.
    """
    yield from _windows(bag, input_name, window, describe, (0, bag.n_rows))


def read_usable_windows(
    bag: Bag, input_name: str, window: WindowSpec, describe: Describe = FeatureBlock.pooled_TD
) -> Iterator[Windows]:
    """Yield the windows that a fit may learn from: each lies within one usable range.

    Ranges shorter than a window are left out.
    """
    for start, stop in bag.usable_ranges:
        if stop - start >= window.length:
            yield from _windows(bag, input_name, window, describe, (start, stop))


def _windows(
    bag: Bag, input_name: str, window: WindowSpec, describe: Describe, span: tuple[int, int]
) -> Iterator[Windows]:
    start, stop = span
    starts_N = start + window_starts(stop - start, window)
    together = _windows_together(bag, input_name, window)
    for first in range(0, len(starts_N), together):
        some_N = starts_N[first : first + together]
        begin, end = int(some_N[0]), min(int(some_N[-1]) + window.length, stop)
        rows_NL = np.minimum(some_N[:, None] + np.arange(window.length), stop - 1)
        vectors_TD = describe(bag.read(input_name, begin, end))
        yield vectors_TD[rows_NL - begin], rows_NL


def _windows_together(bag: Bag, input_name: str, window: WindowSpec) -> int:
    """Return how many windows, and the rows under them, stay below `BLOCK_BYTES` each."""
    vector_bytes = 4 * max(1, bag.sources[input_name].dimension)
    by_windows = BLOCK_BYTES // (window.length * vector_bytes)
    by_rows = bag.block_rows(input_name) // window.step
    return max(1, min(by_windows, by_rows))
