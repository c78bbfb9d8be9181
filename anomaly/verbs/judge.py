"""The models of a checkpoint as witnesses: what they read of an event, what they were taught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.catalog import Catalog, CatalogRow, LedgerRow
from anomaly.checkpoints import Checkpoint
from anomaly.detectors import Detector
from anomaly.errors import StoreError
from anomaly.explain import Moment
from anomaly.explain.neighbours import Near
from anomaly.explain.places import nearest_row
from anomaly.features import Backbone, FeatureSpec, weights
from anomaly.features.backbones import backbones
from anomaly.features.store import FeatureStore
from anomaly.report.events import ranked_events
from anomaly.scores import ScoreSpec
from anomaly.spec import from_dict
from anomaly.storage import Root
from anomaly.verbs.bags import clock_of, open_bag, open_group
from anomaly.verbs.context import Contexts, context_seconds
from anomaly.verbs.score import build_detector
from anomaly.windows.bags import Bag

COMPARED = 300
"""events, the highest first, that each is compared with"""
COMPARED_DATES = 60
"""of how many dates"""

Event = Mapping[str, Any]
"""a row of the table of events, with its camera"""


@dataclass(frozen=True)
class Shown:
    """A video with the features of one part."""

    content: str
    bag: Bag


@dataclass(frozen=True)
class Peak:
    """An event at its highest: the part that spoke, what it read, and the row."""

    event: Event
    part: str
    detector: Detector
    """that judges the part"""
    bag: Bag
    """the video, with the features of the part alone"""
    index_T: NDArray[np.int64]
    """source frame of each row"""
    seconds_T: NDArray[np.float64]
    row: int
    size: tuple[int, int]
    """height and width of the video's frames"""

    @property
    def recipe(self) -> FeatureSpec:
        """Of the part's features."""
        return self.detector.inputs[self.part]

    def row_of(self, frame: int) -> int:
        """Return the row nearest to a frame."""
        return nearest_row(self.index_T, frame)

    @property
    def shown(self) -> Shown:
        """The video, of which only the peak's row counts."""
        bag = replace(self.bag, ranges=((self.row, self.row + 1),))
        return Shown(self.event["content"], bag)


def moment_of(archive: str, near: Near, video: Shown) -> Moment:
    """Return what a search has found in a video."""
    return Moment(
        archive=archive,
        camera=video.bag.camera,
        video=video.bag.video,
        content=video.content,
        frame=near.frame,
        seconds=round(near.seconds, 3),
        distance=round(near.distance, 4),
    )


class Judges:
    """The models of one checkpoint over one archive, read when they are asked for."""

    def __init__(self, root: Root, archive: str, bundle: Checkpoint) -> None:
        self.root, self.archive, self.bundle = root, archive, bundle
        self.store = FeatureStore(root)
        self.sigma = from_dict(ScoreSpec, bundle.scores).smoothing_seconds
        self.detector = cache(self._detector)
        self.backbone = cache(self._backbone)

    @cached_property
    def rows(self) -> dict[str, CatalogRow]:
        """The catalog, by uri."""
        return Catalog(self.root, self.archive).rows()

    @cached_property
    def contents(self) -> dict[str, CatalogRow]:
        """The catalog by content; of copies the one that is still there."""
        ordered = sorted(self.rows.values(), key=lambda row: row.present)
        return {row.content: row for row in ordered if row.content}

    @cached_property
    def scored(self) -> dict[str, LedgerRow]:
        """What the checkpoint has scored, by uri."""
        return Catalog(self.root, self.archive).scored(self.bundle.name)

    def events(self, scored: Iterable[LedgerRow]) -> list[Event]:
        """Return the events of videos, the highest score first; only their camera-days are read."""
        eventful = [row for row in scored if row.n_events]
        videos = {row.uri for row in eventful}
        ranked = ranked_events(self.root, self.archive, self.bundle.name, eventful)
        return [
            {**event, "camera": day.camera} for day, event in ranked if event["video"] in videos
        ]

    @cached_property
    def recent(self) -> list[Event]:
        """The highest events of the newest dates, and of undated videos: what others are compared with."""
        rows = self.scored.values()
        dates = {row.date for row in rows}
        undated = {date for date in dates if date.startswith("undated-")}
        wanted = undated | set(sorted(dates - undated)[-COMPARED_DATES:])
        return self.events(row for row in rows if row.date in wanted)[:COMPARED]

    def bag(self, event: Event) -> Bag:
        """Return what was read of an event's video.

        Raises:
            StoreError: features are no longer stored.
        """
        uri, camera, content = event["video"], event["camera"], event["content"]
        row = self.rows.get(uri)
        if row is None:
            return open_bag(self.store, self.bundle.inputs, uri, camera, content)
        return self.bag_of(replace(row, camera=camera, content=content))

    def bag_of(self, row: CatalogRow, part: str = "") -> Bag:
        """Return what is read of a video that the catalog knows, or one part of it.

        Raises:
            StoreError: features are not stored.
        """
        inputs = self.bundle.inputs
        return open_bag(
            self.store,
            {part: inputs[part]} if part else inputs,
            row.uri,
            row.camera,
            row.content or "",
            before=self._contexts.before(row),
            clock_hours=clock_of(row.start_time_utc),
        )

    def peak(self, event: Event) -> Peak:
        """Return an event at its highest.

        Raises:
            StoreError: features are no longer stored.
        """
        part = event["part"] or next(iter(self.bundle.inputs))
        whole = self.bag(event)
        recipe = self.bundle.inputs[part]
        group = open_group(self.store, recipe, event["video"], event["content"])
        index_T = group.index_T()
        return Peak(
            event=event,
            part=part,
            detector=self.detector(event["camera"]).judge_of(part),
            bag=whole.only(part),
            index_T=index_T,
            seconds_T=group.seconds_T(),
            row=nearest_row(index_T, event["peak_frame"]),
            size=(int(group.attributes["height"]), int(group.attributes["width"])),
        )

    def taught(self, camera: str) -> list[dict[str, Any]]:
        """Return the normal videos that a camera's model was fitted on, as its lineage names them."""
        videos: list[dict[str, Any]] = self._facts(camera).get("videos", [])
        return [video for video in videos if not video.get("label")]

    def training(self, camera: str, part: str) -> Iterator[Shown]:
        """Yield those videos with the features of one part; those no longer stored are passed over."""
        inputs = {part: self.bundle.inputs[part]}
        for video in self.taught(camera):
            ranges = video["ranges"] and tuple(map(tuple, video["ranges"]))
            known = self.contents.get(video["content"])
            try:
                bag = open_bag(
                    self.store,
                    inputs,
                    video["video"],
                    known.camera if known else camera,
                    video["content"],
                    ranges or None,
                    clock_hours=clock_of(known.start_time_utc) if known else None,
                )
            except StoreError:
                continue
            yield Shown(video["content"], bag)

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts.of(self.rows.values(), context_seconds(self.bundle.inputs))

    def _facts(self, camera: str) -> dict[str, Any]:
        return self.bundle.model_for(self.root, camera)[1].facts

    def _detector(self, camera: str) -> Detector:
        return build_detector(self.bundle, self.bundle.model_for(self.root, camera)[1])

    def _backbone(self, part: str) -> Backbone:
        recipe = self.bundle.inputs[part]
        weights.share(self.root, str(recipe.parameters.get("weights", "")))
        return backbones().get(recipe.backbone).build(recipe.parameters)
