"""Memory of extraction: the same after many files, and in a long one.

Peak resident memory of the extracting process and its decode process together, each measurement in a
process of its own; backbone `motion`. Many files: 160x120, 10 s each, every 25th frame described. The long
file: 640x360, every frame described. One alone: `python -m tests.benchmarks memory.files` or `memory.long`.
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


def measure(part: str = "") -> list[Figure]:
    """Measure both, or `files` or `long` alone."""
    measured = {"files": of_files, "long": of_length}
    with workplace() as place:
        return [measured[name](place) for name in measured if part in {"", name}]


def of_files(place: Path) -> Figure:
    """Compare the peak after a few files with that after many."""
    many = copies(make_clip(place / "small.mp4", 160, 120), place / "many", LATE)
    early, late = (peak_mib(many, place / f"r{count}", count, 25) for count in (EARLY, LATE))
    here = "python -m tests.benchmarks memory.files"
    return Figure(f"up to file {EARLY}, and {LATE}", shown(early, late), "within 5 %", here)


def of_length(place: Path) -> Figure:
    """Compare the peak of a short file with that of a long one."""
    clip = make_clip(place / "clip.mp4", 640, 360)
    peaks = [
        peak_mib(joined(clip, place / str(n), round(n / CLIP_MINUTES)), place / f"r{n}m", 1, 1)
        for n in (SHORT_MINUTES, LONG_MINUTES)
    ]
    return Figure(
        f"a file of {SHORT_MINUTES} minutes, and of {LONG_MINUTES}",
        shown(*peaks),
        "within 10 %",
        "python -m tests.benchmarks memory.long",
    )


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
