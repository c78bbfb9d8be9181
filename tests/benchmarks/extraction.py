"""Extraction: distance to the floor, and against a plain script.

Clips of 640x360 and 10 s of real footage. The floor is what decoding to the network's size and the network
itself cost, nothing else: share = (decode + model) / whole, in processor seconds of one core per frame, so
that it hardly changes when others use the machine. The whole is the command line with all its processes;
what start-up adds (loading PyTorch and the network in each worker) is measured on a tenth of the files and
told apart. The plain script (`tests/benchmarks/plain_script.py`) runs as a user would write it, at its best
batch size; ratios are of processor seconds per frame, start-up left out on both sides. Weights are random.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.harness import (
    REPOSITORY,
    Figure,
    anomaly,
    shared,
    workplace,
)

CLIP_FRAMES = 250
BATCHES = (1, 8, 32)
FLOOR_GOAL = "at least 90 %"


@dataclass(frozen=True)
class Case:
    """One way to extract, and over how many clips it is measured."""

    network: str
    runtime: str
    files: int
    goal: str = ""

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
    Case("mobileone_s0", "torch", 60),
    Case("mobileone_s0", "openvino", 60, "at least 5"),
    Case("resnet50", "torch", 8),
    Case("resnet50", "openvino", 8, "at least 2"),
    Case("convnext_tiny", "torch", 8),
    Case("convnext_tiny", "openvino", 8, "at least 2"),
)


def measure() -> list[Figure]:
    """Measure every case."""
    with workplace() as place:
        clip = make_clip(place / "clip.mp4", 640, 360)
        figures = [figure for case in CASES for figure in of_case(case, clip, place)]
        large = make_clip(place / "large.mp4", 1920, 1080)
        light = Case("mobileone_s0", "openvino", 2, "at least 3")
        plain, batch = plain_cost(light.network, large, place)
        whole = marginal(light, large, place)
        return [*figures, ratio(light, plain, batch, whole, " at 1080p")]


def of_case(case: Case, clip: Path, place: Path) -> list[Figure]:
    """Return the rows of one case: the floor, and the plain script where there is one."""
    floor = floor_cost(case, clip)
    whole = marginal(case, clip, place)
    command = f"anomaly extract CLIPS --backbone {case.backbone} --runtime {case.runtime}"
    rows = [
        Figure(
            f"{case.label}: share of the floor, {case.files} files",
            f"{100 * floor / whole.frame:.0f} % ({1e3 * floor:.2f} of {1e3 * whole.frame:.2f} ms a frame; "
            f"start-up {whole.start:.0f} s in all)",
            FLOOR_GOAL,
            command,
        )
    ]
    if case.network != "motion":
        plain, batch = plain_cost(case.network, clip, place)
        rows.append(ratio(case, plain, batch, whole))
    return rows


@dataclass(frozen=True)
class Cost:
    """Processor seconds of the whole way."""

    frame: float
    """for each frame more"""
    start: float
    """for none at all"""


def ratio(case: Case, plain: float, batch: int, whole: Cost, where: str = "") -> Figure:
    """Return the row that compares with the plain script."""
    return Figure(
        f"{case.label}: times the plain script{where}",
        f"{plain / whole.frame:.1f} ({1e3 * plain:.1f} ms a frame at batch {batch})",
        case.goal,
        f"python -m tests.benchmarks.plain_script {case.network} {batch} OUT CLIP",
    )


def marginal(case: Case, clip: Path, place: Path) -> Cost:
    """Return what the command line costs, from many files and from a tenth as many."""
    few = max(1, case.files // 10)
    extract(case, clip, place, 1)  # exports the network, once a machine
    spent_few, spent = extract(case, clip, place, few), extract(case, clip, place, case.files)
    frame = (spent - spent_few) / ((case.files - few) * CLIP_FRAMES)
    return Cost(frame, spent - frame * case.files * CLIP_FRAMES)


def extract(case: Case, clip: Path, place: Path, files: int) -> float:
    """Return the processor seconds of extracting that many files, each of another content."""
    with workplace() as root:
        archive = copies(clip, root / "archive", files)
        options = [f"--backbone-option={k}={json.dumps(v)}" for k, v in case.options.items()]
        done = anomaly(
            "extract", archive, "--root", root / "r", "--backbone", case.backbone, *options
        )
        if done.answer["frames"] != files * CLIP_FRAMES:
            raise RuntimeError(f"found {done.answer}, expected {files} whole files.")
        return done.cpu_seconds


def floor_cost(case: Case, clip: Path) -> float:
    """Return the processor seconds of decoding and describing one frame, and nothing else."""
    from anomaly.features.backbones import backbones
    from anomaly.video.decoders import decoders

    backbone: Any = backbones().get(case.backbone).build(case.options)
    decode = best(
        lambda: sum(map(len, decoders().get("pyav")().frames(clip, backbone.pixels, 32)))
    )
    batches = list(decoders().get("pyav")().frames(clip, backbone.pixels, 32))
    if case.network == "motion":
        return decode + best(lambda: sum(map(len, backbone.extract(iter(batches)))))
    pixels_BHWC = backbone.crops(batches[0].pixels_BHWC[: backbone.parameters.batch_size])

    def model() -> int:
        for _ in range(4):
            backbone._runtime.run(pixels_BHWC)
        return 4 * len(pixels_BHWC)

    return decode + in_one_thread(lambda: best(model), backbone)


def in_one_thread(work: Callable[[], float], backbone: Any) -> float:
    """Return what `work` returns in a thread such as the runtime's own."""
    return backbone._runtime._threads.submit(work).result()


def best(work: Callable[[], int], repeats: int = 3) -> float:
    """Return the least processor seconds per frame; `work` says how many frames it did."""
    least = np.inf
    for _ in range(repeats):
        begun = time.process_time()
        frames = work()
        least = min(least, (time.process_time() - begun) / frames)
    return float(least)


def plain_cost(network: str, clip: Path, place: Path) -> tuple[float, int]:
    """Return the plain script's processor seconds per frame at its best batch size, and that size."""
    return min((run_plain(network, batch, clip, place), batch) for batch in BATCHES)


def run_plain(network: str, batch: int, clip: Path, place: Path) -> float:
    """Run the plain script once."""
    command = [sys.executable, "-m", "tests.benchmarks.plain_script", network, str(batch)]
    done = subprocess.run(
        [*command, str(place / "plain"), str(clip)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    frames, _, cpu_seconds = done.stdout.split()
    return float(cpu_seconds) / int(frames)


def make_clip(path: Path, width: int, height: int) -> Path:
    """Encode 10 s of a real street at the given size."""
    import av

    source = min(shared("normal_misc").glob("*.mp4"))
    with av.open(str(source)) as wanted, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        pictures = [frame for frame, _ in zip(wanted.decode(video=0), range(125), strict=False)]
        forth_and_back = [*pictures, *reversed(pictures)] * CLIP_FRAMES
        for number, frame in enumerate(forth_and_back[:CLIP_FRAMES]):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, stream.codec_context.time_base
            out.mux(stream.encode(scaled))
        out.mux(stream.encode())
    return path


def copies(clip: Path, folder: Path, count: int) -> Path:
    """Write copies of a clip that differ in a comment, and so in content."""
    import av

    folder.mkdir(parents=True)
    for number in range(count):
        with (
            av.open(str(clip)) as source,
            av.open(str(folder / f"{number:03}.mp4"), "w") as out,
        ):
            out.metadata["comment"] = f"copy {number}"
            stream = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    return folder
