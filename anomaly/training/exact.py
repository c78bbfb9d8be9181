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

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import FloatArray

_SIGNIFICAND_BITS = 53
_SMALLEST_EXPONENT = -400  # products of smaller numbers would leave the range of float64


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
    shift_N = bits - np.maximum(exponent_N, _SMALLEST_EXPONENT)
    rounded_ND *= np.ldexp(1.0, shift_N)[:, None]
    np.rint(rounded_ND, out=rounded_ND)
    rounded_ND *= np.ldexp(1.0, -shift_N)[:, None]
    return rounded_ND
