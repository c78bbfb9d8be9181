"""A second night over a thousand unchanged files reads none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.fanout import process_pool
from anomaly.nightly import NightlySummary, nightly
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from anomaly.video.encode import write_video
from tests.end_to_end.story import PATTERN

pytestmark = pytest.mark.slow

FILES = 1000
MOST_MILLISECONDS_A_FILE = 5.0


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


def second_night(
    archive: ArchiveSpec, root: Path
) -> tuple[NightlySummary, NightlySummary, float]:
    """Return what two nights came to, and the processor time of the second one in seconds."""
    few = ("teach/*",)
    train(
        str(root),
        archive,
        TrainRequest(detector="gaussian", videos=few),
        fan_out=process_pool(),
    )
    first = nightly(str(root), archive, fan_out=process_pool())
    begun = time.process_time()
    second = nightly(str(root), archive, fan_out=process_pool())
    return first, second, time.process_time() - begun


def test_a_second_night_over_a_thousand_files_decodes_nothing_and_costs_little(
    make_video: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, start_up = second_night(
        write_clips(tmp_path / "few", 4, make_video), tmp_path / "few-root"
    )
    first, second, seconds = second_night(
        write_clips(tmp_path / "many", FILES, make_video), tmp_path / "root"
    )
    assert len(first.scoring.scored) == FILES + 2
    assert (second.new, second.scoring.scored) == (0, ())
    assert second.scoring.extraction.outcomes == ()
    assert second.scoring.videos == FILES + 2
    milliseconds = 1000 * (seconds - start_up) / FILES
    with capsys.disabled():
        print(f"\nsecond night: {milliseconds:.2f} ms a file beyond {start_up:.2f} s")
    assert milliseconds < MOST_MILLISECONDS_A_FILE
