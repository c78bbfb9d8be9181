"""Which checkpoint was chosen among several, and by what: kept, since a figure that chose is too good.

evaluations/sweeps/<name>.json   the choice
evaluations/sweeps/<name>.csv    the comparison that it was made by
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anomaly.spec import from_dict, to_dict
from anomaly.storage import Root

_FOLDER = "evaluations/sweeps"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice."""

    checkpoint: str
    among: int
    """how many were compared"""
    chosen_by: Literal["folds", "validation", "test"]

    def in_words(self) -> str:
        """Return what a reader of the chosen one's figures must know; empty: nothing."""
        if self.chosen_by != "test":
            return ""
        return (
            f"Selected on test: this checkpoint was chosen among {self.among} by its figure on the test "
            "videos themselves, so that figure is too good."
        )


def table_key(name: str) -> str:
    """Return the key of the comparison called `name`."""
    return f"{_FOLDER}/{name}.csv"


def record_choice(root: Root, name: str, choice: Choice, table: str) -> None:
    """Store a choice and the comparison (CSV) that it was made by."""
    root.publish(table_key(name), table.encode())
    root.publish_json(f"{_FOLDER}/{name}.json", to_dict(choice))


def choices(root: Root, checkpoint: str) -> list[Choice]:
    """Return the choices that this checkpoint came out of."""
    found = [root.read_json(key) for key in root.keys(_FOLDER) if key.endswith(".json")]
    made = [from_dict(Choice, values) for values in found if values is not None]
    return [choice for choice in made if choice.checkpoint == checkpoint]
