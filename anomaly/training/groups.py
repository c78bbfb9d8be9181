"""Dimensions that share one scale, so that a seldom-used one of them is not magnified."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import FloatArray

Groups = tuple[tuple[int, ...], ...]

_GROUPS_OF: dict[str, Groups] = {
    "motion": ((0,), (1, 2), (3, 4, 5, 6)),  # change; texture; right, left, down, up
    "static": ((0,), (1,), (2,)),  # age; share; contrast
}


def usual_groups(backbone: str, dimension: int) -> Groups:
    """Return the groups of a backbone's vectors; one of all dimensions where none are known."""
    return _GROUPS_OF.get(backbone, (tuple(range(dimension)),))


def group_scale(vectors_ND: FloatArray, groups: Groups) -> NDArray[np.float32]:
    """Return for each dimension the root of its group's summed variances, 1 if that is 0."""
    variance_D = vectors_ND.var(axis=0, dtype=np.float64)
    scale_D = np.ones(len(variance_D), dtype=np.float32)
    for group in groups:
        total = float(variance_D[list(group)].sum())
        scale_D[list(group)] = np.sqrt(total) if total > 0 else 1.0
    return scale_D
