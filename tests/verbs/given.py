"""Events of a house that tests make up: the tables are real, what they say is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from anomaly.catalog import Catalog
from anomaly.scores.tables import (
    EVENTS_SCHEMA,
    Partition,
    merge_events,
    partition_date,
    read_events,
)
from tests.verbs.conftest import House


def events(house: House, checkpoint: str = "mine") -> list[dict[str, Any]]:
    return read_events(house.root, house.folder.name, checkpoint).to_pylist()


def with_events(house: House, days: Sequence[float], **more: Any) -> list[dict[str, Any]]:
    """Give every video of the house events of these rarities, a tenth of a second each."""
    ledger = Catalog(house.root, "site").scored("mine")
    for number, (video, row) in enumerate(sorted(ledger.items())):
        rows = [
            {
                "event_id": f"{number:08x}{place:08x}",
                "video": video,
                "content": row.content,
                "start_frame": place,
                "stop_frame": place + 1,
                "peak_frame": place,
                "start_seconds": place / 10,
                "stop_seconds": (place + 1) / 10,
                "peak_seconds": place / 10,
                "score": 1.0,
                "threshold": 0.5,
                "one_in_days": one,
                **more,
            }
            for place, one in enumerate(days)
        ]
        day = Partition(
            archive="site",
            checkpoint="mine",
            camera=row.camera,
            date=partition_date(None, row.content),
        )
        merge_events(house.root, day, {video: pa.Table.from_pylist(rows, EVENTS_SCHEMA)})
    return events(house)
