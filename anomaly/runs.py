"""What every run came to: how long its stages took, of what, on which machine. One row a run, view `runs`.

    runs/archive=<name>/runs.parquet

A run is written down when it begins, marked `unfinished`, and again when it ends: a run that was killed
leaves at most that mark. No result depends on this table.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import resource
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil
import pyarrow as pa

from anomaly import parquet
from anomaly.fanout import FanOut, Item, Result
from anomaly.outcome import Outcome
from anomaly.storage import Root, quote

SLOWEST = 5
"""how many files a run names that took the longest for their length"""
_GIT_SECONDS = 5.0
_TIME = pa.timestamp("us", tz="UTC")
_STAGE = pa.struct(
    [
        ("name", pa.string()),
        ("wall_seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("items", pa.int64()),
    ]
)
_SLOW = pa.struct(
    [("video", pa.string()), ("work_seconds", pa.float64()), ("video_seconds", pa.float64())]
)

RUNS_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("archive", pa.string()),
        ("verb", pa.string()),
        ("checkpoint", pa.string()),
        ("status", pa.string()),
        ("started_at", _TIME),
        ("ended_at", _TIME),
        ("wall_seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("stages", pa.list_(_STAGE)),
        ("videos", pa.int64()),
        ("frames", pa.int64()),
        ("video_seconds", pa.float64()),
        ("events", pa.int64()),
        ("videos_bad", pa.int64()),
        ("extracted_videos", pa.int64()),
        ("extracted_seconds", pa.float64()),
        ("work_seconds", pa.float64()),
        ("forecast_work_seconds", pa.float64()),
        ("decode_alone_seconds", pa.float64()),
        ("model_alone_seconds", pa.float64()),
        ("slowest", pa.list_(_SLOW)),
        ("version", pa.string()),
        ("commit", pa.string()),
        ("cpu", pa.string()),
        ("cores", pa.int32()),
        ("gpu", pa.bool_()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run."""

    name: str
    wall_seconds: float
    cpu_seconds: float
    """of all processes of this machine that worked on it"""
    items: int
    """jobs done: videos, camera-days or models"""


@dataclass(frozen=True, kw_only=True)
class SlowFile:
    """A file that took long for its length."""

    video: str
    work_seconds: float
    video_seconds: float
    """its playing time"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a verb; the columns of the view `runs`."""

    run_id: str
    archive: str
    verb: str
    checkpoint: str = ""
    """bundle that it scored with, or made; empty: none"""
    status: Literal["unfinished", "finished"] = "unfinished"
    started_at: datetime
    ended_at: datetime | None = None
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    stages: tuple[Stage, ...] = ()
    videos: int = 0
    """what the run was for: videos scored, or extracted where it only extracts"""
    frames: int = 0
    video_seconds: float = 0.0
    """their playing time"""
    events: int = 0
    """found in them"""
    videos_bad: int = 0
    """videos that newly gave nothing"""
    extracted_videos: int = 0
    extracted_seconds: float = 0.0
    """playing time of videos that were decoded now"""
    work_seconds: float = 0.0
    """that decoding and describing them took, summed over workers"""
    forecast_work_seconds: float | None = None
    """the same as it was forecast; None where no pace was known"""
    decode_alone_seconds: float | None = None
    """what decoding it alone was forecast to take"""
    model_alone_seconds: float | None = None
    """what describing its frames was forecast to take, were they there at once"""
    slowest: tuple[SlowFile, ...] = ()
    """longest work for their playing time first"""
    version: str = ""
    commit: str = ""
    """of the source that ran; empty where it does not tell"""
    cpu: str = ""
    cores: int | None = None
    gpu: bool = False

    @property
    def speed(self) -> float | None:
        """Playing time over wall time; None where no video was gone through."""
        return self.video_seconds / self.wall_seconds if self._has_speed else None

    @property
    def times_floor(self) -> float | None:
        """Work over the slower of decoding and describing, which run side by side; None: not measured."""
        alone = (self.decode_alone_seconds, self.model_alone_seconds)
        known = [seconds for seconds in alone if seconds]
        return self.work_seconds / max(known) if len(known) == 2 else None

    @property
    def _has_speed(self) -> bool:
        return self.video_seconds > 0 and self.wall_seconds > 0


class Stopwatch:
    """Measures the stages of one run: by the clock, and in seconds of processors.

    The latter are those of this process and all below it; what runs on other machines is not seen.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._cpu_began = processor_seconds()
        self._stages: dict[str, Stage] = {}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What was measured so far, in order of first appearance."""
        return tuple(self._stages.values())

    @property
    def wall_seconds(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self.began

    @property
    def cpu_seconds(self) -> float:
        """Processor time since the run began."""
        return max(0.0, processor_seconds() - self._cpu_began)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what happens inside to the stage `name`."""
        wall, cpu = time.monotonic(), processor_seconds()
        try:
            yield
        finally:
            before = self._of(name)
            self._stages[name] = replace(
                before,
                wall_seconds=before.wall_seconds + time.monotonic() - wall,
                cpu_seconds=before.cpu_seconds + max(0.0, processor_seconds() - cpu),
            )

    def timed(self, fan_out: FanOut) -> FanOut:
        """Return `fan_out` with a stage for each label, its items counted."""

        def run(
            function: Callable[[Item], Result], items: Sequence[Item], *, label: str
        ) -> Iterator[Result]:
            if not items:
                return
            with self.stage(label):
                for result in fan_out(function, items, label=label):
                    before = self._of(label)
                    self._stages[label] = replace(before, items=before.items + 1)
                    yield result

        return run

    def _of(self, name: str) -> Stage:
        return self._stages.get(name, Stage(name=name, wall_seconds=0, cpu_seconds=0, items=0))


@dataclass
class Recording:
    """A run that is under way."""

    root: Root
    run: Run
    stopwatch: Stopwatch = field(repr=False)

    def tell(self, **known: Any) -> None:
        """Put into the table what is known by now; names are those of `Run`."""
        watch = self.stopwatch
        measured = {
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
            "stages": watch.stages,
        }
        self.run = replace(self.run, **{**measured, **known})
        self.root.update(_key(self.run.archive), self._with_this)

    def _with_this(self, found: bytes | None) -> bytes:
        others = [run for run in _decoded(found) if run.run_id != self.run.run_id]
        return _encoded([*others, self.run])


@contextlib.contextmanager
def recorded(
    root: Root, archive: str, verb: str, stopwatch: Stopwatch, *, checkpoint: str = ""
) -> Iterator[Recording]:
    """Leave a row in the table of runs for what happens inside; it stays `unfinished` after an error."""
    here = machine()
    run = Run(
        run_id=uuid.uuid4().hex,
        archive=archive,
        verb=verb,
        checkpoint=checkpoint,
        started_at=datetime.now(UTC),
        version=version("archive-anomaly"),
        commit=commit(),
        cpu=here["cpu"],
        cores=here["cores"],
        gpu=here["gpu"],
    )
    recording = Recording(root, run, stopwatch)
    recording.tell()
    yield recording
    recording.tell(status="finished", ended_at=datetime.now(UTC))


def runs_of(root: Root, archive: str) -> list[Run]:
    """Return the runs over an archive, the first one first."""
    return _decoded(root.read(_key(archive)))


def init_runs(root: Root) -> None:
    """Write an empty table, so that the view works from the first day."""
    if not root.exists(_key("_")):
        root.publish(_key("_"), _encoded([]))


def extraction_facts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the columns that tell of an extraction."""
    done = [one for one in outcomes if one.seconds and one.duration_seconds]
    by_slowness = sorted(done, key=lambda one: one.duration_seconds / one.seconds)
    return {
        "extracted_videos": len(done),
        "extracted_seconds": sum(one.duration_seconds for one in done),
        "work_seconds": sum(one.seconds for one in outcomes),
        "slowest": tuple(
            SlowFile(
                video=one.uri, work_seconds=one.seconds, video_seconds=one.duration_seconds
            )
            for one in by_slowness[:SLOWEST]
        ),
    }


@functools.cache
def machine() -> dict[str, Any]:
    """Return what decides how fast a machine is, as far as it is told for nothing: cpu, cores, gpu."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "gpu": Path("/dev/nvidia0").exists(),
    }


@functools.cache
def commit() -> str:
    """Return the commit of the checkout that this package lies in, `-dirty` behind it where files differ.

    Empty where it was installed from a package.
    """
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():
        return ""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        told = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.decode().strip()


def processor_seconds() -> float:
    """Return the processor time of this process and all below it, those that have ended counted."""
    spent = [
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    total = sum(one.ru_utime + one.ru_stime for one in spent)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _key(archive: str) -> str:
    return f"runs/archive={quote(archive)}/runs.parquet"


def _encoded(runs: Sequence[Run]) -> bytes:
    ordered = sorted(runs, key=lambda run: (run.started_at, run.run_id))
    return parquet.encoded(
        pa.Table.from_pylist([asdict(r) for r in ordered], schema=RUNS_SCHEMA)
    )


def _decoded(data: bytes | None) -> list[Run]:
    if data is None:
        return []
    table = parquet.decoded(data)
    known = {one.name for one in fields(Run)}
    rows = table.select([name for name in table.column_names if name in known]).to_pylist()
    return [
        Run(
            **{
                **row,
                "stages": tuple(Stage(**one) for one in row["stages"]),
                "slowest": tuple(SlowFile(**one) for one in row["slowest"]),
            }
        )
        for row in rows
    ]
