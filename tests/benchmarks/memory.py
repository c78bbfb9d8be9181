"""Memory of extraction: the same after many files, and in a long one.

Peak resident memory of the extracting process and its decode process together, each measurement in a
process of its own; backbone `motion`. The long file is decoded whole, and every 25th frame described.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from anomaly.features import recipe
from anomaly.features.extract import extract_video
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec
from anomaly.video.archive import find
from anomaly.video.decode import DecodeProcess
from tests.benchmarks.extraction import copies, joined, make_clip
from tests.benchmarks.harness import REPOSITORY, Figure, workplace

EARLY, LATE = 10, 300
CLIP_MINUTES = 1 / 6
SHORT_MINUTES, LONG_MINUTES = 2, 120
MIB = 2**20


def measure() -> list[Figure]:
    """Measure both."""
    with workplace() as place:
        clip = make_clip(place / "clip.mp4", 160, 120)
        many = copies(clip, place / "many", LATE)
        early, late = (
            peak_mib(many, place / f"r{count}", count, 25) for count in (EARLY, LATE)
        )
        lengths = []
        for minutes in (SHORT_MINUTES, LONG_MINUTES):
            archive = joined(clip, place / f"{minutes}", round(minutes / CLIP_MINUTES))
            lengths.append(peak_mib(archive, place / f"r{minutes}m", 1, 25))
    here = "python -m tests.benchmarks memory"
    return [
        Figure(f"up to file {EARLY}, and {LATE}", shown(early, late), "within 5 %", here),
        Figure(
            f"a file of {SHORT_MINUTES} minutes, and of {LONG_MINUTES}",
            shown(*lengths),
            "within 10 %",
            here,
        ),
    ]


def shown(before: float, after: float) -> str:
    """Return both figures and the growth."""
    return f"{before:.0f} MiB, {after:.0f} MiB ({100 * (after / before - 1):+.1f} %)"


def peak_mib(archive: Path, root: Path, files: int, stride: int) -> float:
    """Return the peak memory of extracting the first files of an archive, in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", archive, root, files, stride]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main(archive: str, root: str, files: int, stride: int) -> None:
    """Extract, and print the peak in MiB."""
    made = recipe("motion", {"stride": stride})
    with DecodeProcess() as decoding:
        for file in find(ArchiveSpec(root=archive), name="a")[:files]:
            extract_video(open_root(root), file, [made], decoding=decoding)
        processes = [psutil.Process(), psutil.Process(decoding.pid)]
        print(sum(peak_bytes(process) for process in processes) / MIB)


def peak_bytes(process: psutil.Process) -> int:
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
