"""How few random cuts set a vector apart from normal ones.

Liu, Ting, Zhou, "Isolation forest" (ICDM 2008), grown by scikit-learn and kept as plain arrays.
Where we depart: of a grid, every active cell is a vector and the row takes its most isolated
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowScores
from anomaly.spec import spec
from anomaly.training.sampling import sample_cells, scored_blocks
from anomaly.windows.bags import Bag

_CHUNK = 4096  # vectors that walk down the trees together
_LEAF = -1


@spec
class IsolationForestParameters:
    """What an `isolation_forest` is grown from."""

    sample: Annotated[int, Field(ge=2)] = 40_000
    """vectors drawn uniformly from the training videos"""
    trees: Annotated[int, Field(ge=1)] = 100
    """trees in the forest"""
    vectors_per_tree: Annotated[int, Field(ge=2)] = 256
    """vectors of the sample that each tree is grown from"""


@dataclass(frozen=True)
class Forest:
    """All trees, node after node: `root_T` names the first node of each.

    Node m sends a vector to `left_M[m]` when its dimension `dimension_M[m]` is at most
    `threshold_M[m]`, else to `right_M[m]`; at a leaf, where `left_M` is -1, `length_M[m]` is the
    expected number of cuts that set the vector apart.
    """

    root_T: NDArray[np.int64]
    left_M: NDArray[np.int64]
    right_M: NDArray[np.int64]
    dimension_M: NDArray[np.int64]
    threshold_M: NDArray[np.float64]
    length_M: NDArray[np.float64]
    n_dimensions: NDArray[np.int64]
    usual_length: NDArray[np.float64]
    """expected number of cuts for any vector of a tree's own"""

    @classmethod
    def grow(
        cls, vectors_ND: NDArray[np.float32], parameters: IsolationForestParameters, seed: int
    ) -> Self:
        """Return the forest grown from a sample of the vectors."""
        from sklearn.ensemble import IsolationForest as Grower

        grown = Grower(
            n_estimators=parameters.trees,
            max_samples=min(parameters.vectors_per_tree, len(vectors_ND)),
            random_state=seed,
        ).fit(vectors_ND)
        trees = [one.tree_ for one in grown.estimators_]
        root_T = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        numbered = list(zip(trees, root_T, strict=True))
        return cls(
            root_T,
            _joined([_shifted(tree.children_left, root) for tree, root in numbered]),
            _joined([_shifted(tree.children_right, root) for tree, root in numbered]),
            _joined([tree.feature for tree in trees]),
            _joined([tree.threshold for tree in trees]),
            _joined([_depth(tree) + usual_length(tree.n_node_samples) for tree in trees]),
            np.array(vectors_ND.shape[1]),
            usual_length(np.array([grown.max_samples_]))[0],
        )

    def isolation(self, vectors_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the score of the paper, 2 to the power of -(mean length / usual length), (N,)."""
        parts = [
            self._mean_length(vectors_ND[start : start + _CHUNK])
            for start in range(0, len(vectors_ND), _CHUNK)
        ]
        mean_length_N = np.concatenate(parts) if parts else np.zeros(0)
        return np.exp2(-mean_length_N / np.maximum(self.usual_length, 1e-12))

    def _mean_length(self, vectors_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        rows_N1 = np.arange(len(vectors_ND))[:, None]
        node_NT = np.broadcast_to(self.root_T, (len(vectors_ND), len(self.root_T)))
        while (inner_NT := self.left_M[node_NT] != _LEAF).any():
            value_NT = vectors_ND[rows_N1, np.maximum(self.dimension_M[node_NT], 0)]
            goes_left_NT = value_NT <= self.threshold_M[node_NT]
            below_NT = np.where(goes_left_NT, self.left_M[node_NT], self.right_M[node_NT])
            node_NT = np.where(inner_NT, below_NT, node_NT)
        return self.length_M[node_NT].mean(axis=1)


class IsolationForest(Detector):
    """Scores a row by its most isolated cell, between 0 and 1. State: the forest's arrays."""

    Parameters = IsolationForestParameters
    parameters: IsolationForestParameters
    paper = "Liu, Ting, Zhou: Isolation forest, ICDM 2008"

    forest: Forest

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        vectors_ND, _ = sample_cells(
            bags, self.input, self.parameters.sample, context.generator
        )
        seed = int(context.generator.integers(2**31))
        self.forest = Forest.grow(vectors_ND, self.parameters, seed)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        for first_row, block in scored_blocks(bag, self.input, int(self.forest.n_dimensions)):
            isolation_N = self.forest.isolation(block.values_ND.astype(np.float32))
            yield WindowScores.of_cells(first_row, block, isolation_N)

    @override
    def state(self) -> Arrays:
        return {name: np.asarray(value) for name, value in vars(self.forest).items()}

    @override
    def load_state(self, state: Arrays) -> None:
        self.forest = Forest(**state)


def usual_length(counts_N: NDArray[Any]) -> NDArray[np.float64]:
    """Return c(n) of the paper: cuts that set one of n vectors apart, on average, shape (N,)."""
    counts_N = np.asarray(counts_N, dtype=np.float64)
    several_N = np.maximum(counts_N, 3.0)
    harmonic_N = np.log(several_N - 1.0) + np.euler_gamma
    found_N = 2.0 * harmonic_N - 2.0 * (several_N - 1.0) / several_N
    return np.where(counts_N > 2, found_N, np.maximum(counts_N - 1.0, 0.0))


def _depth(tree: Any) -> NDArray[np.float64]:
    """Return the number of cuts above each node; children come after their parent."""
    depth_M = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        if tree.children_left[node] != _LEAF:
            depth_M[[tree.children_left[node], tree.children_right[node]]] = depth_M[node] + 1
    return depth_M


def _shifted(child_M: NDArray[np.int64], root: int) -> NDArray[np.int64]:
    return np.where(child_M == _LEAF, _LEAF, child_M + root)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts)
