"""Scores of detectors once more, as functions that torch can differentiate.

Detectors themselves score with NumPy, to the last bit whatever a vector is scored together with (`exact`).
What is here equals that up to rounding, in float64, and is asked for slopes alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomaly.features import FeatureBlock
from anomaly.training.inputs import Standard
from anomaly.training.mixture import Mixture

_LEAST = 1e-24  # the root has no slope at 0


def constant(array: NDArray[Any], like: Tensor) -> Tensor:
    """Return an array as a tensor of the same type as `like`."""
    return torch.from_numpy(np.array(array)).to(like.dtype)


def standardised(vectors: Tensor, standard: Standard) -> Tensor:
    """Return vectors (..., D) with mean 0 and variance 1, in their own type."""
    mean_D, scale_D = (constant(one, vectors) for one in (standard.mean_D, standard.scale_D))
    return (vectors - mean_D) / scale_D


def root(squared: Tensor) -> Tensor:
    """Return the square root, with slope 0 at 0."""
    return squared.clamp_min(_LEAST).sqrt()


def rms(missed: Tensor) -> Tensor:
    """Return the root mean square over the last axis."""
    return root(missed.square().mean(dim=-1))


def length_through(whitening_ED: NDArray[np.float64], vectors_ND: Tensor) -> Tensor:
    """Return how long vectors are after a linear map, (N,)."""
    mapped_NE = vectors_ND.double() @ torch.from_numpy(whitening_ED).T
    return root(mapped_NE.square().sum(dim=1))


def length_by_place(
    mean_GD: NDArray[np.float64],
    whitening_GDD: NDArray[np.float64],
    place_N: NDArray[np.int64],
    vectors_ND: Tensor,
) -> Tensor:
    """Return how long vectors are after the linear map of their place, (N,)."""
    length_N = vectors_ND.new_zeros(len(vectors_ND), dtype=torch.float64)
    for place in np.unique(place_N).tolist():
        own_M = torch.from_numpy(np.flatnonzero(place_N == place))
        centred_MD = vectors_ND[own_M].double() - torch.from_numpy(mean_GD[place])
        length_N = length_N.index_put(
            (own_M,), length_through(whitening_GDD[place], centred_MD)
        )
    return length_N


def nearest(
    vectors_ND: Tensor,
    place_NP: NDArray[np.floating[Any]],
    bank_KE: NDArray[np.float64],
    doubt_K: NDArray[np.float64],
) -> Tensor:
    """Return the distance of vectors, their places beside them, to the nearest of a bank, (N,).

    The slope is that towards the one that is nearest: distances have one almost everywhere.
    """
    vectors_NE = torch.cat([vectors_ND.double(), torch.from_numpy(place_NP).double()], dim=1)
    bank, doubt_squared_K = torch.from_numpy(bank_KE), torch.from_numpy(doubt_K).square()
    with torch.no_grad():
        gap_NK = bank.square().sum(dim=1) + doubt_squared_K - 2 * vectors_NE @ bank.T
        nearest_N = gap_NK.argmin(dim=1)
    squared_N = (vectors_NE - bank[nearest_N]).square().sum(dim=1)
    return root(squared_N + doubt_squared_K[nearest_N])


def best_square(block: FeatureBlock, score_N: Tensor) -> Tensor:
    """Return `squares.best_square` of scores, (N,)."""
    if block.place_N2 is None or block.grid is None:
        return score_N
    shape = len(block), *block.grid
    place_N = np.ravel_multi_index((block.row_N, *block.place_N2.T), shape)
    nothing_P = score_N.new_zeros(math.prod(shape))
    map_P = nothing_P.scatter_reduce(0, torch.from_numpy(place_N), score_N, "amax")
    square_TRC = functional.avg_pool2d(map_P.reshape(shape), 2, stride=1, padding=1)
    return functional.max_pool2d(square_TRC, 2, stride=1).flatten()[place_N]


def surprise(mixture: Mixture, vectors_ND: Tensor) -> Tensor:
    """Return `Mixture.surprise` of vectors, (N,)."""
    shares = [
        offset - 0.5 * length_through(whitening_DD, vectors_ND.double() - mean_D).square()
        for mean_D, whitening_DD, offset in zip(
            torch.from_numpy(mixture.mean_KD),
            mixture.whitening_KDD,
            mixture.offset_K.tolist(),
            strict=True,
        )
    ]
    return (-torch.logsumexp(torch.stack(shares), dim=0)).clamp_min(0.0)
