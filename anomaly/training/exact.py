"""Matrix products with the same bits however the rows are cut.

A matrix product of floats depends in its last bits on the shape of the block, the number of
threads and the processor, because sums are taken in another order. A score must not: the first
half of a video has to get the very scores that it gets within the whole. So vectors are first
rounded to so few bits that every sum of products is exact in float64, in any order: the leading
slice of Ozaki, Ogita, Oishi, Rump, "Error-free transformations of matrix multiplication",
Numerical Algorithms 2012.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import FloatArray

Floating = TypeVar("Floating", np.float32, np.float64)

_SIGNIFICAND_BITS = 53
_SMALLEST_EXPONENT = -400  # products of smaller numbers would leave the range of float64
_ROWS, _COLUMNS = (
    128,
    64,
)  # of a product, so that it stays in the cache and skips most zeros of a triangle


def round_for_products(vectors_ND: FloatArray) -> NDArray[np.float64]:
    """Return each vector rounded to `(53 - log2 D) / 2` bits below its largest entry.

    Inner products of rounded vectors of equal length, as any BLAS computes them in float64, are
    exact. 24 bits (those of float32) remain for D = 16, 21 for D = 2048. Entries must be finite
    and below 2**400.
    """
    rounded_ND = np.array(vectors_ND, dtype=np.float64, order="C")
    if rounded_ND.size == 0:
        return rounded_ND
    bits = (_SIGNIFICAND_BITS - math.ceil(math.log2(rounded_ND.shape[1]))) // 2
    largest_N = np.maximum(rounded_ND.max(axis=1), -rounded_ND.min(axis=1))
    _, exponent_N = np.frexp(largest_N)
    # Beside a number so large, the bits wanted are the last that float64 has room for.
    shift_N = np.maximum(exponent_N, _SMALLEST_EXPONENT) + (_SIGNIFICAND_BITS - 1 - bits)
    large_N1 = np.ldexp(1.5, shift_N)[:, None]
    rounded_ND += large_N1
    rounded_ND -= large_N1
    return rounded_ND


def lengths_through(
    rounded_ED: NDArray[np.float64],
    vectors_ND: FloatArray,
    prepare: Callable[[FloatArray], FloatArray] = np.asarray,
) -> NDArray[np.float64]:
    """Return how long each vector is after a linear map, the same bits in whatever company, shape (N,).

    Vectors are prepared, each by itself, a few at a time: while they are in the cache.
    The map comes from `round_for_products`; zeros in front of its rows cost nothing, so an upper triangle
    takes half the time of a full matrix.
    """
    parts = without_leading_zeros(rounded_ED)
    squared_N = np.zeros(len(vectors_ND))
    for start in range(0, len(vectors_ND), _ROWS):
        some_MD = round_for_products(prepare(vectors_ND[start : start + _ROWS]))
        for first, part_FC in parts:
            mapped_MC = some_MD[:, first:] @ part_FC
            squared_N[start : start + _ROWS] += np.square(mapped_MC, out=mapped_MC).sum(axis=1)
    return np.sqrt(squared_N)


def without_leading_zeros(
    map_ED: NDArray[Floating],
) -> list[tuple[int, NDArray[Floating]]]:
    """Return a map in parts of a few rows each: a first column, and from there on (F, C)."""
    parts = []
    for start in range(0, len(map_ED), _COLUMNS):
        rows_CD = map_ED[start : start + _COLUMNS]
        first = int(np.argmax((rows_CD != 0).any(axis=0)))
        parts.append((first, np.ascontiguousarray(rows_CD[:, first:].T)))
    return parts
