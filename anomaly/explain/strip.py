"""Which moments a peak's score comes from.

The score that made the event is a smoothed one: a weighted mean of the detector's own scores of the rows
around the peak (`scores.smooth`). Where each row is judged by itself, what a moment contributes is its
weight times its score: what the peak would lose without it. Where rows are judged together, it is gradient
x input of the same mean, over all rows that any of them depends on. A detector of rows together without a
slope is asked what it says once a moment shows what the one before it shows (occlusion).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomaly.detectors import Detector, WindowFormula
from anomaly.explain import Strip, StripMethod
from anomaly.features import FeatureBlock
from anomaly.scores.merge import merge
from anomaly.scores.smooth import weights_around
from anomaly.windows.bags import Bag, Wrapped

MOST_MOMENTS = 120
"""entries of a strip; rows beyond are added up"""
_MOST_OCCLUDED = 48
"""moments that a detector without a slope is asked about"""


def strip_of(
    detector: Detector, bag: Bag, seconds_T: NDArray[np.float64], row: int, sigma: float
) -> Strip:
    """Return what moments contribute to the score of a row.

    Args:
        detector: fitted, of one input.
        bag: the video.
        seconds_T: when each row is shown.
        row: the peak.
        sigma: standard deviation of the smoothing, in seconds.
    """
    row_K, weight_K = weights_around(row, seconds_T, sigma)
    if detector.support_rows == 0:
        method: StripMethod = "occlusion"
        row_M, amount_M = row_K, np.nan_to_num(weight_K * _own_scores(detector, bag, row_K))
    elif isinstance(detector.formula(bag), WindowFormula):
        method = "gradient x input"
        row_M, amount_M = _by_slope(detector, bag, row_K, weight_K)
    else:
        method = "occlusion"
        row_M, amount_M = _by_occlusion(detector, bag, row_K, weight_K)
    return _strip(method, seconds_T[row_M], np.maximum(amount_M, 0.0))


def _own_scores(detector: Detector, bag: Bag, row_K: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the detector's own scores of neighbouring rows, NaN where it gives none."""
    reach = 2 * detector.support_rows
    first = max(0, int(row_K[0]) - reach)
    last = min(bag.n_rows, int(row_K[-1]) + 1 + reach)
    scores = merge(detector.score(bag.stretch(first, last)), last - first)
    return scores.raw_R[row_K - first]


Amounts = tuple[NDArray[np.int64], NDArray[np.float64]]


def _by_slope(
    detector: Detector, bag: Bag, row_K: NDArray[np.int64], weight_K: NDArray[np.float64]
) -> Amounts:
    from anomaly.explain.slopes import slopes

    owed = slopes(detector, bag, row_K.tolist(), weight_K.tolist())
    if owed is None:
        return row_K, np.zeros(len(row_K))
    amount_T = owed.contribution_T()
    return owed.first_row + np.arange(len(amount_T)), amount_T


def _by_occlusion(
    detector: Detector, bag: Bag, row_K: NDArray[np.int64], weight_K: NDArray[np.float64]
) -> Amounts:
    """Return how much the score falls, or rises, once a few rows show what the row before them shows."""
    support = detector.support_rows
    first = max(0, int(row_K[0]) - support)
    last = min(bag.n_rows, int(row_K[-1]) + support + 1)

    def score(asked: Bag) -> float:
        own_K = _own_scores(detector, asked, row_K)
        return float(np.nansum(weight_K * own_K))

    whole = score(bag)
    edges = np.unique(
        np.linspace(first, last, min(_MOST_OCCLUDED, last - first) + 1).astype(int)
    )
    amounts = [
        abs(whole - score(_occluded(bag, detector.input, start, stop)))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return edges[:-1], np.array(amounts)


def _occluded(bag: Bag, name: str, start: int, stop: int) -> Bag:
    source = bag.sources[name]
    return replace(bag, sources={**bag.sources, name: Occluded(source, start, stop)})


@dataclass(frozen=True)
class Occluded(Wrapped):
    """A video some rows of which show what the row before them shows; the first ones, the row behind."""

    start: int
    stop: int

    def read(self, first: int, last: int) -> FeatureBlock:
        """Return rows `first` to `last`, half-open."""
        shown = self.start - 1 if self.start else min(self.stop, self.n_rows - 1)
        block = self.source.read(first, last)
        if self.stop <= first or last <= self.start or not len(block):
            return block
        rows_T = np.arange(first, last)
        hidden_T = (rows_T >= self.start) & (rows_T < self.stop)
        return _with_rows(block, hidden_T, self.source.read(shown, shown + 1))


def _with_rows(
    block: FeatureBlock, hidden_T: NDArray[np.bool_], one: FeatureBlock
) -> FeatureBlock:
    """Return the block with the cells of one row in the place of those of the hidden ones."""
    pieces, places, counts = [], [], []
    for row, hidden in enumerate(hidden_T.tolist()):
        own = one if hidden else block.rows(row, row + 1)
        pieces.append(own.values_ND)
        places.append(own.place_N2)
        counts.append(len(own.values_ND))
    known = [place for place in places if place is not None]
    return replace(
        block,
        values_ND=np.concatenate(pieces),
        offsets_S=np.concatenate([[0], np.cumsum(counts)]),
        place_N2=np.concatenate(known) if known else None,
    )


def _strip(
    method: StripMethod, seconds_M: NDArray[np.float64], amount_M: NDArray[np.float64]
) -> Strip:
    edges = np.unique(np.linspace(0, len(amount_M), MOST_MOMENTS + 1).astype(int))[:-1]
    sums = np.add.reduceat(amount_M, edges)
    total = float(sums.sum())
    shares = sums / total if total > 0 else np.zeros(len(sums))
    return Strip(
        method=method,
        seconds=tuple(np.round(seconds_M[edges], 3).tolist()),
        contribution=tuple(np.round(shares, 5).tolist()),
    )
