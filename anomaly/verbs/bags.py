"""Stored features of a video, opened as the bag that detectors read."""

from __future__ import annotations

from collections.abc import Mapping

from anomaly.features.store import FeatureStore

from anomaly.errors import StoreError
from anomaly.features import FeatureSpec
from anomaly.windows.bags import Bag

Ranges = tuple[tuple[int, int], ...]


def open_bag(
    store: FeatureStore,
    inputs: Mapping[str, FeatureSpec],
    uri: str,
    camera: str,
    content: str,
    ranges: Ranges | None = None,
) -> Bag:
    """Return the stored features of one video as a bag.

    Raises:
        StoreError: features of an input are missing.
    """
    sources = {}
    for name, spec in inputs.items():
        group = store.open(spec, content)
        if group is None:
            raise StoreError(f"No stored {name!r} features of {uri!r}: extract it first.")
        sources[name] = group
    return Bag(video=uri, camera=camera, sources=sources, ranges=ranges)
