"""Extraction: distance to the floor, and against a plain script.

Clips of 640x360 and 10 s of real footage, and long files of many of them. The floor is what decoding to
the network's size and the network cost by themselves, measured again between the files; the whole way adds
hashing, the decode process, the hand-over, the measuring of pictures, storing. All in processor seconds of
one core per frame, every process counted, medians over clips, so that it hardly changes when others use the
machine. The plain script (`tests/benchmarks/plain_script.py`) runs as a user would write it, at its best
batch size, in one thread (the best case for it: threads that wait for each other burn time); ratios are of
processor seconds too. Start-up and loading are left out on all sides. Weights are random. Heavy networks
are measured on fewer, shorter clips. One network alone: `python -m tests.benchmarks extraction.resnet50`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from anomaly.features import recipe
from anomaly.features.backbones import backbones
from anomaly.features.extract import extract_video
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find
from anomaly.video.decode import DecodeProcess
from anomaly.video.decoders import decoders
from tests.benchmarks.harness import REPOSITORY, Figure, shared, workplace

BATCHES = (1, 8, 32)
FLOOR_GOAL = "at least 90 %"
FLOORS = 4
"""how often the floor is measured among the files"""


@dataclass(frozen=True)
class Case:
    """One way to extract, and over how many clips it is measured."""

    network: str
    runtime: str
    files: int
    goal: str = ""
    seconds: int = 10
    """of a clip"""

    @property
    def options(self) -> dict[str, Any]:
        """Parameters of the backbone."""
        if self.network == "motion":
            return {}
        return {"model": self.network, "weights": "random:0", "runtime": self.runtime}

    @property
    def backbone(self) -> str:
        """Its name."""
        return "motion" if self.network == "motion" else "timm_frames"

    @property
    def label(self) -> str:
        """What the table calls it."""
        return f"{self.network}, {self.runtime}" if self.runtime else self.network


CASES = (
    Case("motion", "", 60),
    Case("mobileone_s0", "torch", 20),
    Case("mobileone_s0", "openvino", 60, "at least 5"),
    Case("resnet50", "torch", 4, seconds=2),
    Case("resnet50", "openvino", 4, "at least 2", seconds=2),
    Case("convnext_tiny", "torch", 4, seconds=2),
    Case("convnext_tiny", "openvino", 4, "at least 2", seconds=2),
)
LARGE = "1080p"


def measure(part: str = "") -> list[Figure]:
    """Measure every case, or those of one network, or `1080p` alone."""
    with workplace() as place:
        clips = {n: make_clip(place / f"{n}.mp4", 640, 360, n) for n in (2, 10)}
        plain: dict[str, tuple[float, int]] = {}
        figures = []
        for case in CASES:
            if part in {"", case.network}:
                figures += of_case(case, clips[case.seconds], place, plain)
        if part in {"", LARGE}:
            large = make_clip(place / "large.mp4", 1920, 1080)
            light = Case("mobileone_s0", "openvino", 4, "at least 3")
            of_plain = plain_cost(light.network, large, place)
            (_, whole), _ = costs(light, large).values()
            figures.append(ratio(light, *of_plain, whole, f" at {LARGE}"))
        return figures


def of_case(
    case: Case, clip: Path, place: Path, plain: dict[str, tuple[float, int]]
) -> list[Figure]:
    """Return the rows of one case: the floor, and the plain script where there is one."""
    found = costs(case, clip)
    command = (
        f"anomaly extract CLIPS --backbone {case.backbone} --runtime {case.runtime or 'torch'}"
    )
    rows = [
        Figure(
            f"{case.label}: share of the floor, {what}",
            f"{100 * floor / whole:.0f} % ({1e3 * floor:.2f} of {1e3 * whole:.2f} ms a frame)",
            FLOOR_GOAL,
            command,
        )
        for what, (floor, whole) in found.items()
    ]
    if case.network != "motion":
        if case.network not in plain:
            plain[case.network] = plain_cost(case.network, clip, place)
        (_, whole), _ = found.values()
        rows.append(ratio(case, *plain[case.network], whole))
    return rows


def ratio(case: Case, plain: float, batch: int, whole: float, where: str = "") -> Figure:
    """Return the row that compares with the plain script."""
    return Figure(
        f"{case.label}: times the plain script{where}",
        f"{plain / whole:.1f} ({1e3 * plain:.1f} ms a frame at batch {batch}, {1e3 * whole:.1f} here)",
        case.goal,
        f"python -m tests.benchmarks.plain_script {case.network} {batch} OUT CLIP",
    )


def costs(case: Case, clip: Path) -> dict[str, tuple[float, float]]:
    """Return processor seconds of a frame, (floor, whole way), for many files and for long ones.

    A machine that others use does not stay the same: the floor is measured again and again in between.
    """
    with workplace() as place, DecodeProcess() as decoding:
        made = recipe(case.backbone, case.options)
        root = open_root(str(place / "root"))
        floor = floor_meter(case, clip)

        def whole(file: VideoFile) -> float:
            begun = used(decoding)
            frames = extract_video(root, file, [made], decoding=decoding).frames
            return (used(decoding) - begun) / frames

        def beside_floor(files: list[VideoFile]) -> tuple[float, float]:
            every = max(1, len(files) // FLOORS)
            floors, wholes = [floor()], []
            for number, file in enumerate(files):
                wholes.append(whole(file))
                if number % every == every - 1:
                    floors.append(floor())
            return float(np.median(floors)), float(np.median(wholes))

        def archive(name: str, count: int, times: int) -> list[VideoFile]:
            folder = copies(clip, place / name, count, times, case.seconds)
            return list(find(ArchiveSpec(root=str(folder)), name=name))

        warm, *many = archive("a", case.files + 1, 1)
        whole(warm)
        times = max(2, case.files // FLOORS)
        return {
            f"{case.files} files of {case.seconds} s": beside_floor(many),
            f"files of {case.seconds * times} s": beside_floor(archive("b", FLOORS, times)),
        }


def used(decoding: DecodeProcess) -> float:
    """Return the processor seconds of this process and its decode process."""
    if decoding.pid is None:
        return time.process_time()
    times = psutil.Process(decoding.pid).cpu_times()
    return time.process_time() + float(times.user + times.system)


def floor_meter(case: Case, clip: Path) -> Callable[[], float]:
    """Return what measures the processor seconds of decoding and describing a frame, and nothing else."""
    backbone: Any = backbones().get(case.backbone).build(case.options)
    batches = list(decoders().get("pyav")().frames(clip, backbone.pixels, 32))

    def decode() -> int:
        return sum(map(len, decoders().get("pyav")().frames(clip, backbone.pixels, 32)))

    if case.network == "motion":
        return lambda: (
            cost(decode) + cost(lambda: sum(map(len, backbone.extract(iter(batches)))))
        )
    pixels_BHWC = backbone.crops(batches[0].pixels_BHWC[: backbone.parameters.batch_size])

    def network() -> int:
        for _ in range(4):
            backbone._runtime.run(pixels_BHWC)
        return 4 * len(pixels_BHWC)

    network()
    # In the thread of the runtime, which does its work on one core.
    return lambda: cost(decode) + backbone._runtime._threads.submit(cost, network).result()


def cost(work: Callable[[], int]) -> float:
    """Return the processor seconds of a frame; `work` says how many frames it did."""
    begun = time.process_time()
    frames = work()
    return (time.process_time() - begun) / frames


def plain_cost(network: str, clip: Path, place: Path) -> tuple[float, int]:
    """Return the plain script's processor seconds per frame at its best batch size, and that size."""
    return min((run_plain(network, batch, clip, place), batch) for batch in BATCHES)


def run_plain(network: str, batch: int, clip: Path, place: Path) -> float:
    """Run the plain script once."""
    command = [sys.executable, "-m", "tests.benchmarks.plain_script", network, str(batch)]
    done = subprocess.run(
        [*command, str(place / "plain"), str(clip)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # threads that spin would count against it
        capture_output=True,
        text=True,
        check=True,
    )
    frames, _, cpu_seconds = done.stdout.split()
    return float(cpu_seconds) / int(frames)


def make_clip(path: Path, width: int, height: int, seconds: int = 10) -> Path:
    """Encode some seconds of a real street at the given size."""
    import av

    source = min(shared("normal_misc").glob("*.mp4"))
    with av.open(str(source)) as wanted, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        pictures = [frame for frame, _ in zip(wanted.decode(video=0), range(125), strict=False)]
        forth_and_back = [*pictures, *reversed(pictures)] * seconds
        for number, frame in enumerate(forth_and_back[: 25 * seconds]):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(scaled))
        out.mux(stream.encode())
    return path


def copies(clip: Path, folder: Path, count: int, times: int = 1, seconds: int = 10) -> Path:
    """Write copies that differ in a comment, and so in content; a clip `times` times over."""
    folder.mkdir(parents=True)
    for number in range(count):
        remux(clip, folder / f"{number:03}.mp4", times, f"{folder.name} {number}", seconds)
    return folder


def joined(clip: Path, folder: Path, times: int) -> Path:
    """Write one long file: the clip again and again."""
    folder.mkdir(parents=True)
    remux(clip, folder / "long.mp4", times, "long", 10)
    return folder


def remux(clip: Path, path: Path, times: int, comment: str, seconds: int) -> None:
    """Write the packets of a clip of `seconds` so many times, one after the other."""
    import av

    with av.open(str(path), "w") as out:
        out.metadata["comment"] = comment
        stream = None
        for number in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                shift = round(number * seconds / video.time_base)
                for packet in source.demux(video):
                    if packet.dts is not None:
                        packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                        packet.stream = stream
                        out.mux(packet)
