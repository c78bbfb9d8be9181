"""Stored features of a video, opened as the bag that detectors read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from anomaly.errors import StoreError
from anomaly.features import Earlier, FeatureSpec
from anomaly.features.backbones import backbones
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.spec import from_dict
from anomaly.verbs.context import Before
from anomaly.windows.bags import Bag, FeatureSource
from anomaly.windows.memory import Recalling

Ranges = tuple[tuple[int, int], ...]


def open_bag(
    store: FeatureStore,
    inputs: Mapping[str, FeatureSpec],
    uri: str,
    camera: str,
    content: str,
    ranges: Ranges | None = None,
    before: Sequence[Before] = (),
    clock_hours: float | None = None,
) -> Bag:
    """Return the stored features of one video as a bag, with what is recalled of those `before` it.

    Earlier videos whose features are no longer stored are passed over. `clock_hours`: see `clock_of`.

    Raises:
        StoreError: features of an input are missing.
    """
    groups = {name: open_group(store, spec, uri, content) for name, spec in inputs.items()}
    sources = {
        name: _recalling(store, group, inputs[name], content, before)
        for name, group in groups.items()
    }
    return Bag(
        uri,
        camera,
        sources,
        ranges,
        view_HW=next(iter(groups.values())).first_view(),
        clock_hours=clock_hours,
    )


def clock_of(start: datetime | None) -> float | None:
    """Return the time of day (UTC) of a start in hours; None where it is unknown."""
    if start is None:
        return None
    midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (start - midnight).total_seconds() / 3600


def _recalling(
    store: FeatureStore,
    group: FeatureGroup,
    spec: FeatureSpec,
    content: str,
    before: Sequence[Before],
) -> FeatureSource:
    backbone = backbones().get(spec.backbone)
    parameters = from_dict(backbone.Parameters, spec.parameters)
    if not before or backbone.context_seconds(parameters) <= 0:
        return group
    own = store.picture(spec, content)
    if own is None:
        return group
    earlier = [
        Earlier(seconds, picture)
        for earlier_content, seconds in before
        if (picture := store.picture(spec, earlier_content)) is not None
    ]
    recalled = backbone.recall(parameters, own, earlier)
    return group if recalled is None else Recalling(group, recalled)


def open_group(store: FeatureStore, spec: FeatureSpec, uri: str, content: str) -> FeatureGroup:
    """Return the stored features of one video.

    Raises:
        StoreError: they are missing.
    """
    group = store.open(spec, content)
    if group is None:
        raise StoreError(f"No stored {spec.backbone!r} features of {uri!r}: extract it first.")
    return group
