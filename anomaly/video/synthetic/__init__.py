"""A small synthetic surveillance archive with known truth, for the demo and for tests.

Two fixed cameras see people walk by. The first day holds normal clips only, to train on; on the
second day somebody runs, rides a bicycle where people walk, walks the wrong way, loiters, or
leaves a bag behind. Every picture follows from the seed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.fanout import FanOut, one_by_one
from anomaly.video.encode import write_video
from anomaly.video.synthetic.actors import Lane, View, walkers
from anomaly.video.synthetic.backdrops import loading_bay, plaza
from anomaly.video.synthetic.camera import SUPERSAMPLING, Camera
from anomaly.video.synthetic.figures import Figure
from anomaly.video.synthetic.plots import EVENT_KINDS

ENTRANCE = View(
    name="entrance",
    camera=Camera(
        height=240, width=320, focal_pixels=315.0, elevation_metres=4.2, pitch_degrees=17.0
    ),
    backdrop=plaza,
    lanes=(
        Lane(near_metres=7.2, far_metres=8.6, to_the_right=True),
        Lane(near_metres=10.0, far_metres=11.6, to_the_right=False),
    ),
    frames_per_second=12.5,
    noise_levels=1.6,
    light_drift=0.03,
    shadow=0.42,
)
LOADING_DOCK = View(
    name="loading-dock",
    camera=Camera(
        height=216, width=384, focal_pixels=330.0, elevation_metres=3.6, pitch_degrees=15.0
    ),
    backdrop=loading_bay,
    lanes=(
        Lane(near_metres=6.7, far_metres=8.9, to_the_right=True, seconds_between_people=4.0),
    ),
    frames_per_second=12.5,
    noise_levels=2.0,
    light_drift=0.015,
    shadow=0.22,
    bicycles=True,
)
VIEWS = (ENTRANCE, LOADING_DOCK)

NORMAL_GLOB = "*/20260301_*"
"""the normal day"""
SCAN_GLOB = "*/20260302_*"
"""the day with planted events"""
PATTERN = r"(?P<camera>[^/]+)/(?P<time>\d{8}_\d{6})\.mp4$"
"""for `ArchiveSpec.pattern`: camera and camera-local start time"""
TIME_ZONE = "Europe/Amsterdam"
"""of the cameras' clocks"""

_SECOND_DAY: dict[str, tuple[str, ...]] = {
    "entrance": ("", "fast_mover", "loiterer", "", "left_object"),
    "loading-dock": ("fast_mover", "", "wrong_way", "loiterer", "left_object"),
}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One abnormal event that was put into the archive."""

    video: str
    """path relative to the archive's folder"""
    camera: str
    kind: str
    """name in `EVENT_KINDS`, the category in labels.csv"""
    start_frame: int
    stop_frame: int
    n_frames: int


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One video file that is to be made."""

    view: View
    path: Path
    kind: str
    """name of an event in `EVENT_KINDS`, or empty for a normal clip"""
    seconds: float
    seed: tuple[int, ...]


def make_archive(
    folder: Path,
    *,
    seed: int = 0,
    train_clips: int = 6,
    clip_seconds: float = 30.0,
    fan_out: FanOut = one_by_one,
) -> list[Planted]:
    """Make the archive under `folder` and return what was planted, sorted by video.

    Writes `<camera>/<YYYYMMDD>_<HHMMSS>.mp4` (H.264), for each camera `train_clips` normal clips
    on the first day and five clips on the second, and `labels.csv` for both days. The same seed
    gives the same pictures, wherever `fan_out` has them painted.
    """
    clips = [
        clip
        for number, view in enumerate(VIEWS)
        for clip in _clips_of(folder, view, (seed, number), train_clips, clip_seconds)
    ]
    made = dict(fan_out(film, clips, label="filming the synthetic archive"))
    planted = [event for path in sorted(made) if (event := made[path]) is not None]
    _write_labels(folder, clips, planted)
    return sorted(planted, key=lambda event: event.video)


def _clips_of(
    folder: Path, view: View, seed: tuple[int, int], train_clips: int, clip_seconds: float
) -> Iterator[Clip]:
    days = (("20260301", ("",) * train_clips), ("20260302", _SECOND_DAY[view.name]))
    for day, kinds in days:
        for number, kind in enumerate(kinds):
            path = folder / view.name / f"{day}_{8 + number:02d}0000.mp4"
            yield Clip(
                view=view,
                path=path,
                kind=kind,
                seconds=clip_seconds,
                seed=(*seed, int(day), number),
            )


def film(clip: Clip) -> tuple[str, Planted | None]:
    """Make one video file; return its path and what was planted in it."""
    generator = np.random.default_rng(clip.seed)
    view = clip.view
    figures = walkers(view, clip.seconds, generator)
    n_frames = round(clip.seconds * view.frames_per_second)
    event = None
    if clip.kind:
        plot = EVENT_KINDS[clip.kind](view, clip.seconds, generator)
        figures += plot.figures
        event = Planted(
            video=f"{clip.path.parent.name}/{clip.path.name}",
            camera=view.name,
            kind=clip.kind,
            start_frame=round(plot.start_seconds * view.frames_per_second),
            stop_frame=min(n_frames, round(plot.stop_seconds * view.frames_per_second)),
            n_frames=n_frames,
        )
    clip.path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(view.frames_per_second).limit_denominator(1000)
    write_video(clip.path, paint(view, figures, n_frames, generator), rate)
    return str(clip.path), event


def paint(
    view: View, figures: Sequence[Figure], n_frames: int, generator: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a clip, (H, W, 3) RGB.

    The backdrop depends on the view alone; the generator gives the light's drift and the noise.
    """
    bright = _backdrop(view)
    dark = (bright * (1 - view.shadow * np.array([1.0, 0.97, 0.9]))).astype(np.uint8)
    size = (view.camera.width, view.camera.height)
    noise = generator.normal(0, view.noise_levels, (8, size[1], size[0], 3)).astype(np.float32)
    turn_T = generator.uniform(0, 2 * np.pi) + np.linspace(0, 4, n_frames)
    gain_T = 1 + view.light_drift * np.sin(turn_T)
    for frame in range(n_frames):
        canvas = bright.copy()
        here = sorted(
            (f for f in figures if f.shown_T[frame]), key=lambda f: -float(f.depth_T[frame])
        )
        shadow_mask = np.zeros(canvas.shape[:2], np.uint8)
        for figure in here:
            figure.paint_shadow(shadow_mask, frame)
        cv2.copyTo(dark, shadow_mask, canvas)
        for figure in here:
            figure.paint(canvas, frame)
        small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
        shift = generator.integers(0, size[0])
        grain = np.roll(noise[generator.integers(len(noise))], shift, axis=1)
        picture: NDArray[np.uint8] = np.empty_like(small)
        cv2.addWeighted(small, gain_T[frame], grain, 1.0, 0.0, dst=picture, dtype=cv2.CV_8U)
        yield picture


@cache
def _backdrop(view: View) -> NDArray[np.uint8]:
    """Return the empty scene; it takes a second to paint, so a process paints it once."""
    return view.backdrop(view.camera, np.random.default_rng(7))


def _write_labels(folder: Path, clips: Sequence[Clip], planted: Sequence[Planted]) -> None:
    by_video = {event.video: event for event in planted}
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "n_frames", "start_frame", "stop_frame", "category"])
        for clip in sorted(clips, key=lambda clip: str(clip.path)):
            video = f"{clip.path.parent.name}/{clip.path.name}"
            n_frames = round(clip.seconds * clip.view.frames_per_second)
            event = by_video.get(video)
            span = [event.start_frame, event.stop_frame, event.kind] if event else ["", "", ""]
            rows.writerow([video, n_frames, *span])
