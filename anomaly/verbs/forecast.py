"""How long extraction would take here, and what it would store, measured on the archive's own files.

Files are drawn with a chance proportional to their bytes, and the real extraction runs over the first
seconds of each. What a file holds and costs per byte, averaged over the draw, times the bytes of what is
new, is the forecast (systematic sampling proportional to size; Hansen and Hurwitz 1943). Of a small archive
a quarter of the files is drawn, eight at least: else who waits for a forecast might wait for the work.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from typing_extensions import override

from anomaly.fanout import FanOut
from anomaly.features import FeatureSpec
from anomaly.features.extract import extract_video
from anomaly.features.store import FeatureStore
from anomaly.runs import machine
from anomaly.spec import fingerprint, from_dict, to_dict
from anomaly.storage import Root, open_root, quote
from anomaly.verbs.look import Look
from anomaly.video import DecodeReport, FrameBatch, PixelSpec, VideoFile
from anomaly.video.decode import DecodeProcess, FrameStream, Kind
from anomaly.video.remote import Source

CALIBRATION_SECONDS = 15.0
"""after so long no further file is begun; a file that is under way then ends in a few seconds more"""
_SECONDS_A_FILE = 3.0
_SECONDS_ALONE = 0.5
"""for which the beginning of each file is decoded without anything else"""
_FILES, _LEAST_FILES = 24, 8
_SHARE = 4
"""one file in so many is measured, where that is between the two"""
_LARGEST_BYTES = 256 * 2**20
"""larger files are drawn only where there are no others: hashing or fetching them alone takes too long"""


@dataclass(frozen=True, kw_only=True)
class ForecastRequest:
    """What would be extracted, and with how many workers."""

    recipes: tuple[FeatureSpec, ...]
    workers: int


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a byte of an archive's files holds and costs on one kind of machine."""

    video_seconds: float
    work_seconds: float
    """of one worker, while as many others work as when this was measured"""
    bytes_written: float
    workers: int
    files: int
    """how many were measured"""
    measured_at: str
    decode_seconds: float | None = None
    """of a decoder with nothing else to do; None where an earlier version measured"""
    model_seconds: float | None = None
    """of one worker that need not wait for frames"""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What extracting some files would come to."""

    videos: int
    hours: float
    """of video"""
    work_hours: float
    """of one worker"""
    bytes_written: int
    pace: Pace | None
    """None where there is nothing to do"""
    decode_seconds: float | None = None
    """of a decoder with nothing else to do; None where that was not measured"""
    model_seconds: float | None = None
    """of one worker that need not wait for frames"""

    def run_facts(self) -> dict[str, float | None]:
        """Return the columns of `runs` that tell what was expected."""
        return {
            "forecast_work_seconds": self.work_hours * 3600,
            "decode_alone_seconds": self.decode_seconds,
            "model_alone_seconds": self.model_seconds,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain values; `extraction_hours` by the clock, with all workers."""
        pace = self.pace
        return {
            "videos": self.videos,
            "hours": round(self.hours, 4),
            "extraction_hours": round(self.work_hours / (pace.workers if pace else 1), 4),
            "bytes_to_write": self.bytes_written,
            "workers": pace.workers if pace else None,
            "measured_on_files": pace.files if pace else None,
            "measured_at": pace.measured_at if pace else None,
        }


@dataclass(frozen=True, kw_only=True)
class CalibrationJob:
    """One file to measure."""

    root: str
    """where features may be written; thrown away afterwards"""
    file: VideoFile
    recipes: tuple[FeatureSpec, ...]
    until: float
    """time after which the file is left alone, in seconds since the epoch"""
    weight: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one whole file holds and costs."""

    weight: float
    bytes: int
    video_seconds: float
    work_seconds: float
    bytes_written: float
    decode_seconds: float
    model_seconds: float


def forecast(
    seen: Look, request: ForecastRequest, *, fan_out: FanOut, seed: int = 0
) -> Forecast | None:
    """Say what extracting the archive's new files would come to; takes at most about 20 seconds.

    A pace that was measured before, for the same archive, recipes, kind of machine and number of
    workers, is used again.

    Returns:
        None where no file could be measured, or another process is measuring this archive.

    Raises:
        SpecError: a recipe cannot be carried out here.
        StoreError: the root cannot be written.
    """
    files = _new(seen, request.recipes)
    if not files:
        return Forecast(videos=0, hours=0.0, work_hours=0.0, bytes_written=0, pace=None)
    pace = _known_pace(seen.root, seen.archive, request.recipes)
    if pace is None or pace.workers != request.workers:
        pace = _calibrate(seen, request, files, fan_out, np.random.default_rng(seed))
        if pace is None:
            return None
        key = _key(seen.archive, request.recipes)
        seen.root.publish_json(key, asdict(pace))
    return _at_pace(pace, files)


def known_forecast(
    seen: Look, files: Sequence[VideoFile], recipes: Sequence[FeatureSpec]
) -> Forecast | None:
    """Return what extracting `files` would come to by the last measured pace; None without one."""
    pace = _known_pace(seen.root, seen.archive, recipes) if files else None
    return None if pace is None else _at_pace(pace, files)


def _at_pace(pace: Pace, files: Sequence[VideoFile]) -> Forecast:
    total_bytes = sum(file.bytes for file in files)
    decode, model = pace.decode_seconds, pace.model_seconds
    return Forecast(
        videos=len(files),
        hours=pace.video_seconds * total_bytes / 3600,
        work_hours=pace.work_seconds * total_bytes / 3600,
        bytes_written=round(pace.bytes_written * total_bytes),
        pace=pace,
        decode_seconds=None if decode is None else decode * total_bytes,
        model_seconds=None if model is None else model * total_bytes,
    )


def _new(seen: Look, recipes: Sequence[FeatureSpec]) -> list[VideoFile]:
    """Return the files that have no features yet, as far as one listing for each recipe tells."""
    stored = FeatureStore(seen.root)
    done = set.intersection(*(stored.contents(recipe) for recipe in recipes))
    usable = seen.usable(seen.files)
    return [file for file in usable if file.bytes and seen.rows[file.uri].content not in done]


def _known_pace(root: Root, archive: str, recipes: Sequence[FeatureSpec]) -> Pace | None:
    found = root.read_json(_key(archive, recipes))
    return None if found is None else from_dict(Pace, found)


def _key(archive: str, recipes: Sequence[FeatureSpec]) -> str:
    asked = fingerprint({"recipes": [to_dict(one) for one in recipes], "machine": machine()})
    return f"forecasts/archive={quote(archive)}/{asked}.json"


def _calibrate(
    seen: Look,
    request: ForecastRequest,
    files: Sequence[VideoFile],
    fan_out: FanOut,
    generator: np.random.Generator,
) -> Pace | None:
    """Measure some of the files; what is stored for it is thrown away."""
    scratch = f"forecasts/archive={quote(seen.archive)}/scratch"
    until = time.time() + CALIBRATION_SECONDS
    count = min(_FILES, max(_LEAST_FILES, len(files) // _SHARE))
    with seen.root.lease(scratch) as held:
        if not held:
            return None
        jobs = [
            CalibrationJob(
                root=f"{seen.root.url}/{scratch}/{number}",
                file=file,
                recipes=request.recipes,
                until=until,
                weight=weight,
            )
            for number, (file, weight) in enumerate(draw(files, count, generator))
        ]
        try:
            found = fan_out(measure, jobs, label="calibrate")
            measured = [one for one in found if one is not None]
        finally:
            seen.root.delete(scratch)
    return _pace(measured, request.workers)


def draw(
    files: Sequence[VideoFile], count: int, generator: np.random.Generator
) -> list[tuple[VideoFile, float]]:
    """Return files in random order, each with a weight for averages of what a byte costs.

    With no more than `count` files these are all, weighted by their bytes; else about `count` of them,
    drawn with a chance proportional to their bytes.
    """
    small = [file for file in files if file.bytes <= _LARGEST_BYTES]
    shuffled = small or [min(files, key=lambda file: file.bytes)]
    shuffled = [shuffled[place] for place in generator.permutation(len(shuffled))]
    sizes = np.array([file.bytes for file in shuffled], dtype=np.float64)
    if len(shuffled) <= count:
        return list(zip(shuffled, sizes.tolist(), strict=True))
    points = (np.arange(count) + generator.random()) * sizes.sum() / count
    places, times = np.unique(np.searchsorted(np.cumsum(sizes), points), return_counts=True)
    chosen = zip(places.tolist(), times.tolist(), strict=True)
    return [(shuffled[min(place, len(sizes) - 1)], float(often)) for place, often in chosen]


def _pace(measured: Sequence[Measured], workers: int) -> Pace | None:
    if not measured:
        return None
    weights = np.array([one.weight for one in measured])
    weights /= weights.sum()
    sizes = np.array([one.bytes for one in measured], dtype=np.float64)

    def per_byte(name: str) -> float:
        costs = np.array([getattr(one, name) for one in measured], dtype=np.float64)
        return float(weights @ (costs / sizes))

    return Pace(
        video_seconds=per_byte("video_seconds"),
        work_seconds=per_byte("work_seconds"),
        bytes_written=per_byte("bytes_written"),
        decode_seconds=per_byte("decode_seconds"),
        model_seconds=per_byte("model_seconds"),
        workers=workers,
        files=len(measured),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measure(job: CalibrationJob) -> Measured | None:
    """Extract the beginning of one file and say what the whole one would cost, wherever this runs.

    Returns:
        None when it was too late to begin, or the world was bad.
    """
    left = job.until - time.time()
    if left <= 0:
        return None
    root = open_root(job.root)
    stopwatch = _stopwatch()
    try:
        if stopwatch.recipes != job.recipes:  # weights are loaded once a night, not once a file
            stopwatch.most_seconds = 0.0
            extract_video(root, job.file, job.recipes, decoding=stopwatch)
            root.delete("features")
            stopwatch.recipes = job.recipes
        stopwatch.most_seconds = min(_SECONDS_A_FILE, left)
        return _measured(root, job, stopwatch)
    finally:
        root.delete("features")


def _measured(root: Root, job: CalibrationJob, stopwatch: _Stopwatch) -> Measured | None:
    stopwatch.reset()
    begun = stopwatch.first_batch_at = time.monotonic()
    outcome = extract_video(root, job.file, job.recipes, decoding=stopwatch)
    ended = time.monotonic()
    if outcome.status == "failed":
        return None
    opening = stopwatch.first_batch_at - begun - stopwatch.alone_seconds
    going = ended - stopwatch.first_batch_at
    # What was not decoded for want of time counts as lost frames.
    share = 1 - outcome.frames_lost / outcome.frames if outcome.frames else 1.0
    metadata = [key for key in root.keys("features") if key.endswith("zarr.json")]
    fixed = sum(len(root.read(key) or b"") for key in metadata)
    return Measured(
        weight=job.weight,
        bytes=job.file.bytes,
        video_seconds=outcome.duration_seconds,
        work_seconds=opening + going / share,
        bytes_written=fixed + (outcome.bytes_written - fixed) / share,
        decode_seconds=stopwatch.decode_seconds_a_frame * outcome.frames,
        model_seconds=stopwatch.model_seconds / share,
    )


class _Stopwatch(DecodeProcess):
    """Decodes the beginning of a video alone first, then notes who waits for whom.

    Also when the first frames come: what went before is not done again for the rest.
    """

    recipes: tuple[FeatureSpec, ...] = ()
    """what this process has loaded already"""

    def reset(self) -> None:
        """Forget the video before."""
        self.first_batch_at = 0.0
        self.alone_seconds = 0.0
        """spent on decoding alone"""
        self.decode_seconds_a_frame = 0.0
        """of all passes that the recipes need"""
        self.model_seconds = 0.0
        """between taking frames and asking for the next"""

    @override
    def frames(
        self,
        path: Source,
        kind: Kind,
        pixels: PixelSpec,
        *,
        decoder: str = "pyav",
        batch: int = 32,
        only: Collection[int] = (),
        restarts: int = 0,
    ) -> FrameStream:
        def stream() -> FrameStream:
            return super(_Stopwatch, self).frames(
                path, kind, pixels, decoder=decoder, batch=batch, only=only, restarts=restarts
            )

        return FrameStream(self._timed(stream), decoder)

    def _timed(self, stream: Callable[[], FrameStream]) -> Generator[FrameBatch | DecodeReport]:
        self._decode_alone(stream())
        frames = stream()
        for number, batch in enumerate(frames):
            handed_at = time.monotonic()
            if number == 0:
                self.first_batch_at = handed_at
            yield batch
            self.model_seconds += time.monotonic() - handed_at
        yield frames.report

    def _decode_alone(self, stream: FrameStream) -> None:
        begun = decoded_at = time.monotonic()
        frames = 0
        most, self.most_seconds = self.most_seconds, min(_SECONDS_ALONE, self.most_seconds or 0)
        try:
            for batch in stream:
                frames += len(batch)
                decoded_at = time.monotonic()
        finally:
            self.most_seconds = most
        self.alone_seconds += (
            time.monotonic() - begun
        )  # the length of the rest is looked up, too
        self.decode_seconds_a_frame += (decoded_at - begun) / max(1, frames)


@functools.cache
def _stopwatch() -> _Stopwatch:
    """Return the decode process that is kept for all files of one worker."""
    stopwatch = _Stopwatch()
    stopwatch.reset()
    return stopwatch
