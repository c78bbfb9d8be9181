"""Pixel models: what they are asked for, where they say it is, and how fast they are

Ped2 in small: frames of 64 x 96, a quarter of the published channels. All rows of a network are taught
alike: epochs of 120 clips drawn from those four frames apart, batches of four, Adam at 0.001 falling to 0
on a cosine (`c3d_ae_small`: 60 clips, eight apart); the weights of the best epoch on held-out training
clips stay. Twelve of the 16 training clips are learnt from; in the other four pieces of one another glide
by too fast, and these pseudo-anomalies choose the score and the setting. The 7 test clips have no part in
either choice: micro over all frames and macro over clips with frames of both kinds, in percent, with 95 %
intervals over clips; per clip: stretched to 0 to 1 in each clip, as papers do; pseudo: micro on the
pseudo-anomalies. Everything through `anomaly train`, `score`, `evaluate`. Speed: processor time of one
core, a quarter of the channels, random pictures; frames learnt are those of the clips shown.
`ANOMALY_BENCH_KEEP=DIR` keeps what is done, and a run that was cut short goes on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Figure, workplace
from tests.benchmarks.pixels import speed, targets


def measure() -> list[Figure]:
    """Return the comparison of targets, then the speeds."""
    with _place() as folder:
        return [*targets.figures(folder), *speed.figures(folder)]


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    kept = os.environ.get("ANOMALY_BENCH_KEEP", "")
    if not kept:
        with workplace() as folder:
            yield folder
        return
    Path(kept).mkdir(parents=True, exist_ok=True)
    yield Path(kept)
