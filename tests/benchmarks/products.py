"""Ways to the lengths of vectors behind a triangle, and whether bits depend on company

What `gaussian` computes for each vector of 512 dimensions: microseconds of one core, best of five rounds
over 4,096 vectors. Shuffled: the same vectors in twenty other orders; how many of these gave a vector other
bits. All by one thread; why it matters: [exact products](why/exact-products.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from anomaly.training.blocks import LengthsInBlocks
from anomaly.training.exact import lengths_through, round_for_products, without_leading_zeros
from tests.benchmarks.harness import Figure

VECTORS, DIMENSION, ROWS, SHUFFLES, ROUNDS = 4_096, 512, 512, 20, 5
COMMAND = "python -m tests.benchmarks products"
Lengths = Callable[[NDArray[np.float32]], NDArray[np.floating]]


def measure() -> list[Figure]:
    """Return time and independence of each way."""
    generator = np.random.default_rng(0)
    triangle_ED = np.triu(generator.standard_normal((DIMENSION, DIMENSION)))
    vectors_ND = generator.standard_normal((VECTORS, DIMENSION)).astype(np.float32)
    with threadpool_limits(1):
        return [
            _figure(title, lengths, vectors_ND) for title, lengths in _ways(triangle_ED).items()
        ]


def _ways(triangle_ED: NDArray[np.float64]) -> dict[str, Lengths]:
    rounded_ED, nothing_D = round_for_products(triangle_ED), np.zeros(DIMENSION, np.float32)
    narrow_ED = triangle_ED.astype(np.float32)
    parts = without_leading_zeros(narrow_ED)

    def by_numpy(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(vectors_ND), ROWS):
            some_MD = vectors_ND[start : start + ROWS]
            mapped = [some_MD[:, first:] @ part_FC for first, part_FC in parts]
            found.append(np.sqrt(sum(np.vecdot(one, one) for one in mapped)))
        return np.concatenate(found)

    return {
        "float64, exact (`training.exact`)": lambda some: lengths_through(rounded_ED, some),
        "float32, NumPy's BLAS, blocks of 512 rows": by_numpy,
        "float32, torch's BLAS, blocks of 512 rows (`training.blocks`)": LengthsInBlocks(
            narrow_ED, nothing_D
        ),
    }


def _figure(title: str, lengths: Lengths, vectors_ND: NDArray[np.float32]) -> Figure:
    whole_N, seconds = lengths(vectors_ND), []
    for _ in range(ROUNDS):
        begun = time.process_time()
        lengths(vectors_ND)
        seconds.append(time.process_time() - begun)
    orders = [np.random.default_rng(seed).permutation(VECTORS) for seed in range(SHUFFLES)]
    other = sum(not np.array_equal(lengths(vectors_ND[one]), whole_N[one]) for one in orders)
    measured = f"{1e6 * min(seconds) / VECTORS:.1f} µs a vector; other bits in {other} of {SHUFFLES} orders"
    return Figure(title, measured, "", COMMAND)
