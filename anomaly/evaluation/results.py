"""The table of all evaluations: one row per archive, checkpoint, label set and metric."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anomaly import parquet
from anomaly.evaluation.compare import Band, Curves
from anomaly.evaluation.curves import Floats
from anomaly.evaluation.evaluate import Evaluation
from anomaly.storage import Root, quote, unquote

RESULTS_KEY = "evaluations/results.parquet"

RESULTS_SCHEMA = pa.schema(
    [
        ("archive", pa.string()),
        ("checkpoint", pa.string()),
        ("label_set", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("frames", pa.int64()),
        ("videos", pa.int64()),
        ("videos_left_out", pa.int64()),
        ("evaluated_at", pa.timestamp("us", tz="UTC")),
    ]
)


def init_results(root: Root) -> None:
    """Write an empty table where there is none."""
    root.update(
        RESULTS_KEY,
        lambda found: None if found else parquet.encoded(RESULTS_SCHEMA.empty_table()),
    )


def record(root: Root, archive: str, checkpoint: str, evaluation: Evaluation) -> None:
    """Put the figures into the table, in place of earlier ones of the same three names.

    Figures that have not changed keep their date, so evaluating again changes nothing.
    """
    fresh = _rows(archive, checkpoint, evaluation)

    def change(found: bytes | None) -> bytes | None:
        table = RESULTS_SCHEMA.empty_table() if found is None else parquet.decoded(found)
        same = pc.and_(
            pc.and_(
                pc.equal(table["archive"], archive), pc.equal(table["checkpoint"], checkpoint)
            ),
            pc.equal(table["label_set"], evaluation.label_set),
        )
        earlier = table.filter(same).drop_columns("evaluated_at")
        if earlier.equals(fresh.drop_columns("evaluated_at")):
            return None
        merged = pa.concat_tables([table.filter(pc.invert(same)), fresh])
        order = ["archive", "checkpoint", "label_set", "metric"]
        return parquet.encoded(merged.sort_by([(name, "ascending") for name in order]))

    root.update(RESULTS_KEY, change)


def record_curves(root: Root, archive: str, checkpoint: str, curves: Curves) -> None:
    """Store the curves of one set of labels, in place of earlier ones."""
    bands = {
        name: {axis: _plain(values_G) for axis, values_G in band._asdict().items()}
        for name, band in (("roc", curves.roc), ("precision_recall", curves.precision_recall))
    }
    root.publish_json(
        f"{_curves_folder(archive, checkpoint)}/{quote(curves.label_set)}.json", bands
    )


def read_curves(root: Root, archive: str, checkpoint: str) -> list[Curves]:
    """Return the curves of a checkpoint, one for each set of labels that it was evaluated on."""
    found = []
    for key in root.keys(_curves_folder(archive, checkpoint)):
        bands = {
            name: Band(**{axis: np.array(values, np.float64) for axis, values in band.items()})
            for name, band in (root.read_json(key) or {}).items()
        }
        label_set = unquote(key.rsplit("/", 1)[-1].removesuffix(".json"))
        if bands:
            found.append(Curves(label_set=label_set, **bands))
    return found


def _curves_folder(archive: str, checkpoint: str) -> str:
    return f"evaluations/curves/archive={quote(archive)}/checkpoint={quote(checkpoint)}"


def _plain(values_G: Floats) -> list[float | None]:
    return [round(value, 5) if np.isfinite(value) else None for value in values_G.tolist()]


def _rows(archive: str, checkpoint: str, evaluation: Evaluation) -> pa.Table:
    now = datetime.now(UTC)
    rows = []
    for name, figure in sorted(evaluation.figures.items()):
        low, high = figure.interval or (None, None)
        rows.append(
            {
                "archive": archive,
                "checkpoint": checkpoint,
                "label_set": evaluation.label_set,
                "metric": name,
                "value": figure.value,
                "low": low,
                "high": high,
                "frames": evaluation.frames,
                "videos": evaluation.videos,
                "videos_left_out": figure.videos_left_out,
                "evaluated_at": now,
            }
        )
    return pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)
