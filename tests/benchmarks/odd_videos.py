"""Odd and broken files.

Real files of odd kinds (variable rate, rotation, 10 bit, AV1, changing size, missing metadata,
encrypted, broken), each extracted as a night would, beside the number of frames that ffmpeg gets
out of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.harness import Figure, MissingDataError, anomaly, shared, workplace

_FRAMES = re.compile(r"frame=\s*(\d+)")


def measure() -> list[Figure]:
    """Extract all files at once and count what ffmpeg decodes of each."""
    folder = shared("odd_videos")
    if shutil.which("ffmpeg") is None:
        raise MissingDataError("ffmpeg is not installed")
    with workplace() as root:
        done = anomaly("extract", folder, "--root", root)
        catalog = anomaly("query", "--root", root, "SELECT * FROM catalog").answer
    rows = {row["uri"]: row for row in catalog}
    expected = {uri: ffmpeg_frames(folder / uri) for uri in rows}
    decoded = {
        uri: (row["n_frames"] or 0) - (row["frames_lost"] or 0) for uri, row in rows.items()
    }
    off = [uri for uri in rows if abs(decoded[uri] - expected[uri]) > 1]
    lost = [uri for uri in rows if expected[uri] and rows[uri]["status"] == "quarantined"]
    sound = sum(expected.values())
    recovered = sum(min(decoded[uri], expected[uri]) for uri in rows) / sound
    command = "anomaly extract ODD_VIDEOS"
    summary = [
        Figure("files", str(len(rows)), "", command),
        Figure("time", done.times, "no hang", command),
        Figure(
            "files more than one frame off ffmpeg", ", ".join(off) or "none", "none", command
        ),
        Figure(
            "quarantined although ffmpeg decodes them",
            ", ".join(lost) or "none",
            "none",
            command,
        ),
        Figure(
            "frames of ffmpeg's that came out",
            f"{100 * recovered:.2f} %",
            "at least 95 %",
            command,
        ),
    ]
    return [
        *summary,
        *(file_figure(rows[uri], expected[uri], decoded[uri]) for uri in sorted(rows)),
    ]


def file_figure(row: dict, expected: int, decoded: int) -> Figure:
    """Return the row of one file."""
    what = row["status"] + (f" ({row['code']})" if row["code"] else "")
    return Figure(f"`{row['uri']}`", f"{decoded} frames, {what}", f"{expected} by ffmpeg")


def ffmpeg_frames(path: Path) -> int:
    """Return how many frames ffmpeg decodes; what it cannot open has none."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-nostdin",
            "-i",
            path,
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        check=False,
        timeout=600,
    )
    counts = _FRAMES.findall(done.stderr.decode(errors="replace"))
    return int(counts[-1]) if counts else 0
