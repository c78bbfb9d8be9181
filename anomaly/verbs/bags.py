"""Stored features of a video, opened as the bag that detectors read."""

from __future__ import annotations

from collections.abc import Mapping

from anomaly.errors import StoreError
from anomaly.features import FeatureSpec
from anomaly.features.store import FeatureGroup, FeatureStore
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
    sources = {name: open_group(store, spec, uri, content) for name, spec in inputs.items()}
    return Bag(video=uri, camera=camera, sources=sources, ranges=ranges)


def open_group(store: FeatureStore, spec: FeatureSpec, uri: str, content: str) -> FeatureGroup:
    """Return the stored features of one video.

    Raises:
        StoreError: they are missing.
    """
    group = store.open(spec, content)
    if group is None:
        raise StoreError(f"No stored {spec.backbone!r} features of {uri!r}: extract it first.")
    return group
