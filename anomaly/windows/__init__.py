"""ROOM 3: from stored features to windows, and the split by video.

`bags` reads one video's features lazily, `reader` cuts them into windows, `split` deals videos
(never windows) to sides, and the functions here are the only window arithmetic of the project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError
from anomaly.spec import spec


@spec
class WindowSpec:
    """How a stretch of rows is cut into windows."""

    length: int = 1
    """rows in a window"""
    step: int = 1
    """rows from one window's start to the next one's"""


def window_starts(n_rows: int, window: WindowSpec) -> NDArray[np.int64]:
    """Return the first rows of the windows over `n_rows` rows; every row lies in one at least.

    The last window is moved back so that it ends with the last row. With fewer rows than
    `length` there is one window, start 0, which reaches beyond the end; its reader repeats the
    last row.

    Raises:
        SpecError: length or step is below 1, or step is longer than length and would skip rows.
    """
    if window.length < 1 or window.step < 1 or window.step > window.length:
        raise SpecError(
            f"Windows of {window.length} rows, step {window.step}: "
            "expected 1 <= step <= length."
        )
    if n_rows <= 0:
        return np.zeros(0, dtype=np.int64)
    last = max(0, n_rows - window.length)
    starts = np.arange(0, last + 1, window.step, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


def window_rows(n_rows: int, window: WindowSpec, first: int, last: int) -> NDArray[np.int64]:
    """Return the rows (N, L) of those windows over `n_rows` rows that hold one of rows `first` to `last`.

    `last` is one past. Beyond the end the last row is repeated.
    """
    starts_N = window_starts(n_rows, window)
    starts_N = starts_N[(starts_N > first - window.length) & (starts_N < last)]
    return np.minimum(starts_N[:, None] + np.arange(window.length), n_rows - 1)
