"""The score of a video over time, thinned out so that no peak is lost, and notes on its stretches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly.catalog import LedgerRow
from anomaly.features import FeatureSpec
from anomaly.features.gate import REUSED
from anomaly.features.store import FeatureStore
from anomaly.scores.tables import Partition, read_partition
from anomaly.storage import Root

COARSE_BINS = 240
"""points of a whole video, each with the lowest and highest score of its stretch"""
FINE_BINS = 120
"""further points of an event and what surrounds it"""
SURROUNDINGS_SECONDS = 10.0
_MOST_STRETCHES = 300
"""of one kind in one video; what lies closer together is told as one"""

StretchKind = Literal["lost", "outside", "borrowed", "gated"]
"""lost: not decodable. outside: the camera was out of domain. borrowed: scored as the nearest measured
moment. gated: a still scene, whose features were those of an earlier frame."""


class Stretch(NamedTuple):
    """A part of a video of which a reader must know something."""

    start_seconds: float
    stop_seconds: float
    kind: StretchKind
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The scores of one video: K points at growing times, finer around events."""

    video: str
    camera: str
    start_time: datetime | None
    """UTC of second 0; None when names do not tell the time"""
    duration_seconds: float
    seconds_K: NDArray[np.float64]
    lowest_K: NDArray[np.float64]
    """NaN in a stretch without scores"""
    highest_K: NDArray[np.float64]
    threshold: float
    stretches: tuple[Stretch, ...]


def timelines_of(
    root: Root,
    events: Sequence[tuple[Partition, Mapping[str, Any]]],
    scored: Mapping[str, LedgerRow],
    recipes: Collection[FeatureSpec],
) -> Iterator[Timeline]:
    """Yield the timelines of the videos with events, by camera-day and name; only these are read.

    Args:
        root: where the tables lie.
        events: rows of the table of events, and the camera-day of each.
        scored: ledger of the checkpoint.
        recipes: of the features that the scores were made from.
    """
    by_day: dict[Partition, dict[str, list[Mapping[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for partition, row in events:
        by_day[partition][row["video"]].append(row)
    gated = [recipe for recipe in recipes if recipe.gate is not None]
    store = FeatureStore(root)
    for partition in sorted(by_day, key=lambda p: (p.camera, p.date)):
        table = _scores_of(root, partition, by_day[partition])
        for video, found in sorted(by_day[partition].items()):
            rows = table.filter(pc.equal(table["video"], video))
            if len(rows):
                known = scored.get(video)
                yield _timeline(
                    partition.camera, found, rows, known.outside if known else "",
                    _gated(store, gated, found[0]["content"]),
                )  # fmt: skip


def thin(
    seconds_T: NDArray[np.float64], score_T: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return time, lowest and highest score of each bin between `edges` that holds a frame, shape (K,).

    A bin whose frames have no score is NaN. The highest of all scores is the highest of the result:
    nothing that matters is averaged away.
    """
    bin_T = np.searchsorted(edges, seconds_T, side="right").clip(1, len(edges) - 1) - 1
    bins_K, place_T = np.unique(bin_T, return_inverse=True)
    lowest_K, highest_K = np.full(len(bins_K), np.inf), np.full(len(bins_K), -np.inf)
    known_T = ~np.isnan(score_T)
    np.minimum.at(lowest_K, place_T[known_T], score_T[known_T])
    np.maximum.at(highest_K, place_T[known_T], score_T[known_T])
    empty_K = np.isinf(lowest_K)
    lowest_K[empty_K] = highest_K[empty_K] = np.nan
    return (edges[bins_K] + edges[bins_K + 1]) / 2, lowest_K, highest_K


def stretches_of(
    is_so_T: NDArray[np.bool_],
    seconds_T: NDArray[np.float64],
    kind: StretchKind,
    reason: str = "",
) -> Iterator[Stretch]:
    """Yield the runs of True, few enough to be drawn: runs close together become one."""
    if not is_so_T.any():
        return
    ends_T = np.append(seconds_T[1:], seconds_T[-1:])
    start_S, stop_S = seconds_T[is_so_T], ends_T[is_so_T]
    gap = max(0.0, float(np.ptp(seconds_T)) / _MOST_STRETCHES)
    first_S = np.append(True, start_S[1:] - stop_S[:-1] > gap)
    last_S = np.append(first_S[1:], True)
    for start, stop in zip(start_S[first_S], stop_S[last_S], strict=True):
        yield Stretch(float(start), float(stop), kind, reason)


def _timeline(
    camera: str,
    events: Sequence[Mapping[str, Any]],
    rows: pa.Table,
    outside: str,
    gated: Iterable[Stretch],
) -> Timeline:
    seconds_T, score_T = rows["seconds"].to_numpy(), rows["score"].to_numpy()
    covered_T = rows["covered"].to_numpy()
    lost_T = np.isnan(score_T)
    seconds_K, lowest_K, highest_K = thin(seconds_T, score_T, _edges(seconds_T, events))
    return Timeline(
        video=events[0]["video"],
        camera=camera,
        start_time=_start_time(events[0]),
        duration_seconds=float(seconds_T.max()),
        seconds_K=seconds_K,
        lowest_K=lowest_K,
        highest_K=highest_K,
        threshold=events[0]["threshold"],
        stretches=(
            *stretches_of(lost_T, seconds_T, "lost"),
            *stretches_of(
                ~covered_T & ~lost_T, seconds_T, "outside" if outside else "borrowed", outside
            ),
            *gated,
        ),
    )


def _start_time(event: Mapping[str, Any]) -> datetime | None:
    begun = event["start_time_utc"]
    return begun and begun - timedelta(seconds=event["start_seconds"])


def _edges(
    seconds_T: NDArray[np.float64], events: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64]:
    """Return the edges of bins: equal over the whole video, and finer ones around events."""
    length = float(seconds_T.max(initial=0.0)) or 1.0
    fine = [
        np.linspace(
            max(0.0, event["start_seconds"] - SURROUNDINGS_SECONDS),
            min(length, event["stop_seconds"] + SURROUNDINGS_SECONDS),
            FINE_BINS + 1,
        )
        for event in events
    ]
    return np.unique(np.concatenate([np.linspace(0.0, length, COARSE_BINS + 1), *fine]))


def _gated(
    store: FeatureStore, recipes: Collection[FeatureSpec], content: str
) -> Iterator[Stretch]:
    for recipe in recipes:
        group = store.open(recipe, content)
        gate_T2 = None if group is None else group.gate_T2()
        if group is not None and gate_T2 is not None:
            yield from stretches_of(gate_T2[:, 0] == REUSED, group.seconds_T(), "gated")


def _scores_of(root: Root, partition: Partition, videos: Collection[str]) -> pa.Table:
    table = read_partition(root, partition, columns=["video", "seconds", "score", "covered"])
    return table.filter(pc.is_in(table["video"], pa.array(list(videos), pa.string())))
