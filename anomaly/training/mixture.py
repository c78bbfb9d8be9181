"""A mixture of Gaussians: fitted by scikit-learn, kept and evaluated as plain arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from anomaly.shapes import FloatArray
from anomaly.training.exact import round_for_products
from anomaly.training.moments import Spread

CovarianceType = Literal["full", "diag"]


@dataclass(frozen=True)
class Mixture:
    """K Gaussians over vectors of D dimensions.

    Component k has the mean `mean_KD[k]`; `whitening_KDD[k]` maps a centred vector to
    independent parts of variance 1; `offset_K[k]` is the logarithm of its share of the highest
    density that the mixture could reach, were all means at one place.
    """

    mean_KD: NDArray[np.float64]
    whitening_KDD: NDArray[np.float64]
    offset_K: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        vectors_ND: FloatArray,
        components: int,
        covariance: CovarianceType,
        generator: np.random.Generator,
    ) -> Self:
        """Return the mixture after expectation maximisation on standardised vectors.

        With fewer vectors than `components` there are as many components as vectors.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        spread = Spread.of(vectors_ND)
        model = GaussianMixture(
            min(components, len(vectors_ND)),
            covariance_type=covariance,
            init_params="k-means++",
            random_state=int(generator.integers(2**31)),
        )
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fair fit is good enough
            model.fit(_at_least_two(spread.standardised(vectors_ND)))
        whitening_KDD = _whitening(model)
        peak_K = np.log(model.weights_)
        peak_K += np.log(np.diagonal(whitening_KDD, axis1=1, axis2=2)).sum(axis=1)
        return cls(
            spread.mean_D + model.means_ * spread.scale_D,
            np.stack([round_for_products(one / spread.scale_D) for one in whitening_KDD]),
            peak_K - np.logaddexp.reduce(peak_K),
        )

    def surprise(self, vectors_ND: FloatArray) -> NDArray[np.float64]:
        """Return -log p of each vector, shifted by a constant so that it is never negative.

        The same to the last bit whatever a vector is evaluated together with.
        """
        shares = [
            offset - 0.5 * np.square(_white(vectors_ND, mean_D, whitening_DD)).sum(axis=1)
            for mean_D, whitening_DD, offset in zip(
                self.mean_KD, self.whitening_KDD, self.offset_K, strict=True
            )
        ]
        return np.maximum(-np.logaddexp.reduce(np.stack(shares), axis=0), 0.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the mixture as named arrays."""
        return {
            "mixture/mean": self.mean_KD,
            "mixture/whitening": self.whitening_KDD,
            "mixture/offset": self.offset_K,
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Take back what `arrays` returned."""
        names = ("mean", "whitening", "offset")
        return cls(*(arrays[f"mixture/{name}"] for name in names))


def _white(
    vectors_ND: FloatArray, mean_D: NDArray[np.float64], whitening_DD: NDArray[np.float64]
) -> NDArray[np.float64]:
    return round_for_products(vectors_ND - mean_D) @ whitening_DD.T


def _whitening(model: Any) -> NDArray[np.float64]:
    """Return shape (K, D, D): transposed Cholesky factors of the inverse covariances."""
    if model.covariance_type == "diag":
        return np.stack([np.diag(one) for one in model.precisions_cholesky_])
    return np.swapaxes(model.precisions_cholesky_, 1, 2)


def _at_least_two(vectors_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scikit-learn refuses a single vector; two copies of it have the same mean and spread."""
    return np.repeat(vectors_ND, 2, axis=0) if len(vectors_ND) == 1 else vectors_ND
