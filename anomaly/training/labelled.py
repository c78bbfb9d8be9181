"""Samples of labelled windows, and the classes of videos and rows as a fit wants them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError, StoreError
from anomaly.training.rows import row_vectors
from anomaly.training.sampling import Reservoir
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_usable_windows

_SAMPLE_BYTES = 512 * 2**20  # no more windows than fit are kept in memory


def video_class(bag: Bag) -> int:
    """Return the class of a video: 0 normal, from 1 on abnormal.

    Raises:
        SpecError: the video has no label.
    """
    if bag.label is None:
        raise SpecError(
            f"{bag.video!r} has no label, and this detector learns from labels. Add it to the file "
            "given as --labels, or leave it out with --videos."
        )
    return bag.label


def row_classes(bag: Bag) -> NDArray[np.int64]:
    """Return the class of each row, shape (T,); that of the video where rows are not labelled."""
    if bag.labels_T is not None:
        return bag.labels_T.astype(np.int64)
    return np.full(bag.n_rows, video_class(bag), dtype=np.int64)


def sample_labelled_windows(
    bags: Sequence[Bag],
    input_name: str,
    window: WindowSpec,
    capacity: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return a uniform sample of usable windows (N, L, D) and the classes of their rows (N, L).

    At most `capacity` windows, and no more than fit into half a GiB; N is 0 where there are none.

    Raises:
        SpecError: a video has no label.
    """
    sample: Reservoir | None = None
    for bag in bags:
        classes_T = row_classes(bag)
        describe = partial(row_vectors, bag)
        for windows_NLD, rows_NL in read_usable_windows(bag, input_name, window, describe):
            # Classes ride along as one more column, so that a window keeps its own.
            both = np.concatenate([windows_NLD, classes_T[rows_NL][..., None]], axis=2)
            both = both.astype(np.float32)
            if sample is None:
                fitting = max(1, _SAMPLE_BYTES // both[0].nbytes)
                sample = Reservoir(min(capacity, fitting), generator)
            sample.add(both)
    if sample is None:
        return np.zeros((0, 1, 1), np.float32), np.zeros((0, 1), np.int64)
    found = sample.sample()
    return np.ascontiguousarray(found[..., :-1]), found[..., -1].astype(np.int64)


def check_learnable(
    bags: Sequence[Bag], labels_N: NDArray[np.int64], what: str = "usable rows"
) -> None:
    """Refuse to learn from one class alone.

    Raises:
        StoreError: nothing is normal, or nothing abnormal; the message counts.
    """
    normal, abnormal = int((labels_N == 0).sum()), int((labels_N > 0).sum())
    if normal and abnormal:
        return
    raise StoreError(
        f"Nothing to learn from: {len(bags)} training videos have {normal} normal and {abnormal} "
        f"abnormal {what} after some were held out. Give more labelled videos of both kinds."
    )
