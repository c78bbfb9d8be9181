"""Scores do not peek.

The first half of a clip, scored alone, against the same frames of the whole clip. Frames are taken
from Ped2 as images, so that both halves hold the very same pixels. Rows may differ where smoothing
reaches over the cut.
"""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

from tests.benchmarks.harness import PROGRAM, Figure, anomaly, shared, workplace

CLIPS = ("01", "02", "03")
REACH_SECONDS = 2.0


def measure() -> list[Figure]:
    """Score whole clips and their first halves with one checkpoint and compare row by row."""
    source = shared("ped2")
    with workplace() as folder:
        archive, root = folder / "archive", folder / "root"
        for clip in CLIPS:
            for half in ("whole", "half"):
                unpack(
                    source / "test" / f"{clip}.mp4",
                    archive / half / clip,
                    first_half=half == "half",
                )
        for number in range(1, 7):
            unpack(source / "train" / f"{number:02}.mp4", archive / "train" / f"{number:02}")
        checkpoint = anomaly("train", archive, "--root", root, "--videos", "train/*").answer[
            "checkpoint"
        ]
        anomaly("score", archive, "--root", root, "--checkpoint", checkpoint)
        whole, half = (scores(root, side) for side in ("whole", "half"))
    compared = differing = 0
    reach = 0.0
    for clip in CLIPS:
        cut = max(seconds for video, _, seconds, *_ in half if video == clip)
        rows = {frame: row for video, frame, *row in whole if video == clip}
        for video, frame, seconds, *row in half:
            if video != clip:
                continue
            same = rows[frame] == [seconds, *row]
            compared += 1
            differing += not same and cut - seconds > REACH_SECONDS
            reach = reach if same else max(reach, cut - seconds)
    command = "anomaly score ARCHIVE; anomaly query 'SELECT ... FROM scores'"
    return [
        Figure("rows compared, bit for bit", str(compared), "", command),
        Figure(
            f"rows that differ more than {REACH_SECONDS:g} s before the cut",
            str(differing),
            "0",
            command,
        ),
        Figure("farthest that any difference reaches back", f"{reach:.2f} s", "", command),
    ]


def unpack(video: Path, folder: Path, *, first_half: bool = False) -> None:
    """Write the frames of a clip, or the first half of them, as numbered images."""
    import av

    folder.mkdir(parents=True)
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            frame.to_image().save(folder / f"{number:04}.png", compress_level=1)
    images = sorted(folder.iterdir())
    for image in images[(len(images) + 1) // 2 :] if first_half else []:
        image.unlink()


def scores(root: Path, side: str) -> list[tuple[str, int, float, str, str]]:
    """Return clip, frame, seconds, raw and score of one side's rows, the last two to the last digit."""
    columns = "split_part(video, '/', -1), frame, seconds, raw, score"
    sql = f"SELECT {columns} FROM scores WHERE video LIKE '{side}/%'"
    done = subprocess.run(
        [PROGRAM, "query", "--root", root, "--format", "csv", sql],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    return [(clip, int(frame), float(s), raw, score) for clip, frame, s, raw, score in rows]
