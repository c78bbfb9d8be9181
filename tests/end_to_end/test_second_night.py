"""A second night over unchanged files reads none of them.

What it costs over a thousand is measured by `python -m tests.benchmarks second_night`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.fanout import process_pool
from anomaly.nightly import nightly
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video
from tests.end_to_end.story import PATTERN

pytestmark = pytest.mark.slow

FILES = 60


def write_clips(folder: Path, files: int, make_video: Callable[..., Path]) -> ArchiveSpec:
    """Write two videos to learn from, and clips of a few frames, no two alike."""
    for seed in range(2):
        make_video(folder / "teach" / f"{seed}.mp4", frames=20, height=48, width=64, seed=seed)
    for number in range(files):
        generator = np.random.default_rng(number)
        still = (
            generator.integers(0, 255, (16, 24, 3), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
        )
        path = folder / "abcd"[number % 4] / f"202603{1 + number % 28:02}_{number:06}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, [np.roll(still, 2 * step, axis=1) for step in range(6)], 6)
    return ArchiveSpec(root=str(folder), pattern=PATTERN)


def test_a_second_night_decodes_nothing_and_scores_nothing(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    archive, root = write_clips(tmp_path / "many", FILES, make_video), str(tmp_path / "root")
    train(
        root,
        archive,
        TrainRequest(detector="gaussian", videos=("teach/*",)),
        fan_out=process_pool(),
    )
    first = nightly(root, archive, fan_out=process_pool())
    second = nightly(root, archive, fan_out=process_pool())
    assert len(first.scoring.scored) == FILES + 2
    assert (second.new, second.scoring.scored) == (0, ())
    assert second.scoring.extraction.outcomes == ()
    assert second.scoring.videos == FILES + 2
