"""What is to be seen of a fit while it runs: log lines with loss and time left, curves, event files."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from anomaly.training.events import EventFile

_LOG = logging.getLogger("anomaly.training")
_SECONDS_BETWEEN_LINES = 10.0


class Watch:
    """Hears of every epoch of a fit.

    `curves` holds the latest learning curve of each network, by what its run adds to the fit's key.
    """

    def __init__(self, model: str, key: str, tensorboard: str = "") -> None:
        self.curves: dict[str, Any] = {}
        self._model, self._key, self._tensorboard = model, key, tensorboard
        self._files: dict[str, EventFile] = {}
        self._begun = self._last_line = time.monotonic()
        self._first: int | None = None

    def progress(self, text: str, done: int, total: int) -> None:
        """Log where the fit is, every ten seconds, and how long it may take at most."""
        now = time.monotonic()
        if self._first is None or done <= self._first:
            self._first, self._begun = done, now
        if now - self._last_line < _SECONDS_BETWEEN_LINES or done == self._first:
            return
        self._last_line = now
        left = (now - self._begun) / (done - self._first) * (total - done)
        _LOG.info(
            "%s: epoch %d of %d, %s, at most %.0f s left", self._model, done, total, text, left
        )

    def record(self, key: str, curve: dict[str, Any]) -> None:
        """Keep a learning curve, and write its latest epoch for TensorBoard."""
        name = key.removeprefix(self._key).strip("-") or "network"
        before = len(self.curves.get(name, {}).get("learnt", ()))
        self.curves[name] = curve
        if not self._tensorboard or len(curve["learnt"]) == before:
            return
        if name not in self._files:
            folder = Path(self._tensorboard) / self._model / name
            self._files[name] = EventFile(folder)
        for part in ("learnt", "held_out"):
            if curve[part]:
                self._files[name].add(part, len(curve[part]), curve[part][-1])
