"""One file per data set: where its videos are, how it is split, what is true of each video."""

from __future__ import annotations

from anomaly.datasets import Dataset
from anomaly.registry import Registry


def datasets() -> Registry[Dataset]:
    """The registry of data sets."""
    return Registry("anomaly.datasets.adapters", Dataset, "data set")
