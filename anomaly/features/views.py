"""Does a camera still look where it looked, or where another did? Views are compared by their details.

Light and slow shading are taken off, so that sun, cloud and lamps matter little; what moves is blurred in
the mean of some seconds. The details of a camera that stands still agree to 0.85 and more (1: equal), those
of one that was turned by a tenth of the picture not at all, nor those of two rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_MOST_VIEWS = 400
"""training views that are compared with each other, spread over the training time"""
_REFERENCES = 16
_ALIKE = 0.9
"""agreement from which on another reference would say nothing new"""
_SAME_PLACE = 0.3
"""agreement from which on two views show one place: in 68 clips of real video those of different places
agreed to 0.24 at most, those of one to 0.66 and more, to 0.3 where the camera had been moved a little"""
_NEARLY_ALL = 0.9
"""share of the training videos that must show one place: a camera may have been moved for a night"""
_DETAIL = 9
"""side of the square, in pixels of a view, whose mean is taken off before views are compared"""


@dataclass(frozen=True)
class KnownViews:
    """What a camera's training video showed."""

    references_RHW: NDArray[np.uint8]
    """views that stand for all of them"""
    usual_agreement: float
    """how well a view agrees with those of other training videos, at the least"""

    @classmethod
    def fit(cls, views: Sequence[NDArray[np.uint8]], trimmed: float) -> Self:
        """Learn from the views of each training video, of which there is one at least.

        A share of `trimmed` views may agree less than is taken for usual.
        """
        alike = _of_one_size(views)
        return cls(_references(alike), _usual_agreement(alike, trimmed))

    def agreement(self, views_VHW: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how well each view agrees with the reference most like it, shape (V,), -1 to 1."""
        size_wh = self.references_RHW.shape[:0:-1]
        views_VF = _features([_resized(view, size_wh) for view in views_VHW])
        best_V: NDArray[np.float32] = (views_VF @ _features(self.references_RHW).T).max(axis=1)
        return best_V


@dataclass(frozen=True)
class OnePlace:
    """The one place that training video shows, if it is one."""

    references_RHW: NDArray[np.uint8]
    """views that stand for it; none where there are several places"""

    @classmethod
    def fit(cls, views: Sequence[NDArray[np.uint8]]) -> Self:
        """Learn from a view of each training video, of which there is one at least."""
        from scipy.sparse.csgraph import connected_components

        some = views[:: -(-len(views) // _MOST_VIEWS)]
        together = np.concatenate(_of_one_size([view[None] for view in some]))
        features_VF = _features(together)
        is_same_VV = features_VF @ features_VF.T >= _SAME_PLACE
        _, place_V = connected_components(is_same_VV, directed=False)
        shown_V = place_V == np.bincount(place_V).argmax()
        if shown_V.mean() < _NEARLY_ALL:
            return cls(together[:0])
        return cls(_references([together[shown_V]]))

    def is_shown(self, view_HW: NDArray[np.uint8]) -> bool:
        """Say whether a view shows the one place; never, where there are several."""
        if not len(self.references_RHW):
            return False
        agreement_V = KnownViews(self.references_RHW, 1.0).agreement(view_HW[None])
        return bool(agreement_V[0] >= _SAME_PLACE)


def _of_one_size(views: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return some views of each video, spread over its time, all of the size of the first."""
    total = sum(map(len, views))
    step = max(1, -(-total // _MOST_VIEWS))
    size_wh = next(some for some in views if len(some)).shape[:0:-1]
    return [
        np.stack([_resized(view, size_wh) for view in some[::step]])
        for some in views
        if len(some)
    ]


def _resized(view_HW: NDArray[np.uint8], size_wh: tuple[int, ...]) -> NDArray[np.uint8]:
    import cv2

    if view_HW.shape[::-1] == tuple(size_wh):
        return view_HW
    return np.asarray(cv2.resize(view_HW, size_wh, interpolation=cv2.INTER_AREA))


def _features(views: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return the details of each view as a vector of length 1: light and slow shading are taken off."""
    import cv2

    rows = []
    for view in views:
        plain = view.astype(np.float32)
        detail = (plain - cv2.blur(plain, (_DETAIL, _DETAIL))).ravel()
        detail -= detail.mean()
        rows.append(detail / max(float(np.linalg.norm(detail)), 1e-6))
    return np.array(rows, dtype=np.float32).reshape(len(rows), -1)


def _references(views: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return views so that each of the others agrees well with one of them."""
    together = np.concatenate(views)
    features_VF = _features(together)
    chosen = [0]
    best_V = features_VF @ features_VF[0]
    while len(chosen) < _REFERENCES and best_V.min() < _ALIKE:
        chosen.append(int(best_V.argmin()))
        best_V = np.maximum(best_V, features_VF @ features_VF[chosen[-1]])
    return together[chosen]


def _usual_agreement(views: Sequence[NDArray[np.uint8]], trimmed: float) -> float:
    """Return what nearly all views agree at least with those of another video (or the other half)."""
    if len(views) == 1:
        middle = len(views[0]) // 2
        views = [views[0][:middle], views[0][middle:]] if middle else [views[0], views[0]]
    features = [_features(some) for some in views]
    best = []
    for number, own_VF in enumerate(features):
        others_VF = np.concatenate(features[:number] + features[number + 1 :])
        best.append((own_VF @ others_VF.T).max(axis=1))
    return float(np.quantile(np.concatenate(best), trimmed))
