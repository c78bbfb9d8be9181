"""A synthetic suite with known truth: `python -m tests.benchmarks.detector.suite --cache DIR`.

Five worlds (two small cameras, traffic of their own) each give twenty minutes of normal video to learn
from, two hours to count false alarms in, and twenty clips of each kind of event: a hundred seeds a kind,
ten normal hours. Some people stop and stand for a while, some clips have a bag in them from beginning to
end, the light drifts: all that is normal. What a seed gives was frozen, by digest, before any detector
was tuned on it. Pictures are painted and thrown away; features are kept under `--cache`.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import beta, chi2

from anomaly.detectors import DEFAULT, FitContext, detectors
from anomaly.features import FeatureBlock, concatenate
from anomaly.scores import ScoreSpec
from anomaly.scores.events import Event
from anomaly.scores.fit import fit_model, score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.video import FrameBatch
from anomaly.video.synthetic import ENTRANCE, LOADING_DOCK, paint
from anomaly.video.synthetic.actors import View, walkers
from anomaly.video.synthetic.camera import Camera
from anomaly.video.synthetic.figures import Figure, standing_bag
from anomaly.video.synthetic.plots import EVENT_KINDS
from anomaly.windows.bags import Bag, MemorySource
from tests.benchmarks.detector.measure import Candidate, Rows, described, load_block, save_block

WORLDS, SEEDS_A_WORLD = 5, 20
TRAINING_CLIPS, NORMAL_CLIPS = 20, 120
NORMAL_SECONDS, EVENT_SECONDS, RESTING_SECONDS = 60.0, 16.0, 48.0
BUDGET_AN_HOUR = 1.0
STANDING_BAGS = 0.3
"""share of clips in which a bag stands from beginning to end"""

VIEWS = (
    replace(
        ENTRANCE,
        name="small-plaza",
        camera=Camera(
            height=144,
            width=192,
            focal_pixels=189.0,
            elevation_metres=4.2,
            pitch_degrees=17.0,
        ),
        frames_per_second=6.0,
        pauses=0.12,
    ),
    replace(
        LOADING_DOCK,
        name="small-dock",
        camera=Camera(
            height=136,
            width=208,
            focal_pixels=182.0,
            elevation_metres=3.6,
            pitch_degrees=15.0,
        ),
        frames_per_second=6.0,
        pauses=0.12,
    ),
)
KINDS = tuple(EVENT_KINDS)
RESTING = ("left_object", "removed_object", "person_falling")
"""people stop for up to six seconds: what is to be told from them has to rest for longer"""
_ROLES = ("training", "normal", *KINDS)


@dataclass(frozen=True)
class Script:
    """One clip: which world it is of, what happens in it, and its number."""

    world: int
    role: str
    number: int

    @property
    def view(self) -> View:
        return VIEWS[self.world % len(VIEWS)]

    @property
    def seconds(self) -> float:
        if self.role in RESTING:
            return RESTING_SECONDS
        return EVENT_SECONDS if self.role in EVENT_KINDS else NORMAL_SECONDS

    @property
    def n_frames(self) -> int:
        return round(self.seconds * self.view.frames_per_second)


@dataclass(frozen=True)
class Scene:
    """Everybody in a clip, and from which frame to which the event lasts."""

    figures: list[Figure]
    event: tuple[int, int] | None


def scene(script: Script) -> tuple[Scene, np.random.Generator]:
    """Return who is in the clip, and the generator that its light and noise come from."""
    generator = np.random.default_rng(
        [2026, script.world, _ROLES.index(script.role), script.number]
    )
    view = script.view
    figures = walkers(view, script.seconds, generator)
    if generator.random() < STANDING_BAGS:
        lane = view.lanes[-1]
        x, z = (
            generator.uniform(-2.5, 2.5),
            generator.uniform(lane.near_metres, lane.far_metres),
        )
        figures.append(standing_bag(view.camera, x, z, np.ones(script.n_frames, bool)))
    event = None
    if script.role in EVENT_KINDS:
        plot = EVENT_KINDS[script.role](view, script.seconds, generator)
        figures += plot.figures
        start, stop = (
            round(seconds * view.frames_per_second)
            for seconds in (plot.start_seconds, plot.stop_seconds)
        )
        event = start, min(stop, script.n_frames)
    return Scene(figures, event), generator


def digest(scripts: Sequence[Script]) -> str:
    """Return 16 hex digits of where everybody is in every frame, to a few pixels, and of the events."""
    hasher = hashlib.sha256()
    for script in scripts:
        found, _ = scene(script)
        hasher.update(repr(found.event).encode())
        for figure in found.figures:
            hasher.update(figure.shown_T.tobytes())
            hasher.update((figure.box_T4[figure.shown_T] // 16).astype("<i4").tobytes())
    return hasher.hexdigest()[:16]


def training(world: int) -> list[Script]:
    return [Script(world, "training", number) for number in range(TRAINING_CLIPS)]


def normal(world: int) -> list[Script]:
    return [Script(world, "normal", number) for number in range(NORMAL_CLIPS)]


def events(world: int, kind: str) -> list[Script]:
    return [Script(world, kind, number) for number in range(SEEDS_A_WORLD)]


def everything(world: int) -> list[Script]:
    planted = [script for kind in KINDS for script in events(world, kind)]
    return [*training(world), *normal(world), *planted]


class Features:
    """Features of every clip, made once and kept."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def of(self, script: Script, candidate: Candidate) -> dict[str, FeatureBlock]:
        """Return the features of one clip for each input of a candidate, painting it if need be."""
        places = {name: self._path(script, candidate, name) for name in candidate.inputs}
        missing = [name for name, path in places.items() if not path.exists()]
        if missing:
            pixels_THWC = painted(script)
            for name in missing:
                block = extracted(candidate.inputs[name], pixels_THWC, script)
                save_block(places[name], block)
        return {name: load_block(path) for name, path in places.items()}

    def _path(self, script: Script, candidate: Candidate, name: str) -> Path:
        return (
            self.cache
            / described(candidate.recipes[name])
            / f"{script.world}-{script.role}-{script.number}.npz"
        )

    def bag(self, script: Script, candidate: Candidate) -> tuple[Bag, Rows]:
        blocks = self.of(script, candidate)
        sources = {name: MemorySource(block) for name, block in blocks.items()}
        uri = f"{script.role}/{script.number:03d}"
        rows = Rows(next(iter(blocks.values())), script.n_frames)
        return Bag(uri, script.view.name, sources), rows


def painted(script: Script) -> np.ndarray:
    """Return the pictures of a clip, (T, H, W, 3) RGB."""
    found, generator = scene(script)
    return np.stack(list(paint(script.view, found.figures, script.n_frames, generator)))


def extracted(backbone: object, pixels_THWC: np.ndarray, script: Script) -> FeatureBlock:
    pixels = backbone.pixels
    if pixels.color == "gray":
        gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pixels_THWC]
        pixels_THWC = np.stack(gray)[..., None]
    index_T = np.arange(0, len(pixels_THWC), pixels.stride)
    seconds_T = index_T / script.view.frames_per_second
    batches = (
        FrameBatch(pixels_THWC[index_T[a : a + 32]], index_T[a : a + 32], seconds_T[a : a + 32])
        for a in range(0, len(index_T), 32)
    )
    return concatenate(list(backbone.extract(batches)))


@dataclass
class Tally:
    """What one candidate did, over the worlds so far."""

    found: dict[str, list[bool]]
    found_at_budget: dict[str, list[bool]]
    alarms: int = 0
    hours: float = 0.0
    fit_cpu_seconds: float = 0.0


def judge(features: Features, candidate: Candidate, world: int, tally: Tally) -> None:
    """Learn one world's normal video and add what is found, missed and falsely alarmed."""
    spec = ScoreSpec(alarms_per_camera_day=24 * BUDGET_AN_HOUR)
    bags = [features.bag(script, candidate)[0] for script in training(world)]
    begun = time.process_time()
    model = fit_model(candidate.make, bags, spec, FitContext(np.random.default_rng(world)))
    tally.fit_cpu_seconds += time.process_time() - begun
    detector = candidate.make()
    detector.load_state(model.detector)
    stages = ScoreStages.load(model.stages, spec)

    def scored(script: Script) -> tuple[np.ndarray, list[Event]]:
        scores, alarms = score_bag(detector, *features.bag(script, candidate), stages)
        return scores.score_T, alarms

    quiet = [scored(script) for script in normal(world)]
    hours = len(quiet) * NORMAL_SECONDS / 3600
    tally.alarms += sum(len(alarms) for _, alarms in quiet)
    tally.hours += hours
    peaks = sorted((np.nanmax(score_T) for score_T, _ in quiet), reverse=True)
    at_budget = peaks[round(hours * BUDGET_AN_HOUR)]
    for kind in KINDS:
        for script in events(world, kind):
            score_T, alarms = scored(script)
            start, stop = scene(script)[0].event
            hit = any(a.start_frame < stop and start < a.stop_frame for a in alarms)
            tally.found[kind].append(hit)
            tally.found_at_budget[kind].append(np.nanmax(score_T[start:stop]) > at_budget)


def share(hits: Sequence[bool]) -> str:
    """Return a share with its 95 % interval (Clopper and Pearson)."""
    n, k = len(hits), sum(hits)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k / n:.2f} [{low:.2f}, {high:.2f}]"


def rate(count: int, hours: float) -> str:
    """Return a rate an hour with its 95 % interval (Poisson)."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(0.975, 2 * count + 2) / 2
    return f"{count / hours:.1f} [{low / hours:.1f}, {high / hours:.1f}] ({count} in {hours:.0f} h)"


def candidates() -> Iterator[Candidate]:
    for name in ("motion", "static", "trail", "appearance"):
        yield Candidate.named("knn", name)
    yield Candidate.named(DEFAULT, *detectors().get(DEFAULT).backbones)
    yield Candidate.named("fused", "motion", "static", "trail")
    yield Candidate.named("fused", "motion", "static", "appearance")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cache", type=Path, required=True)
    options.add_argument("--worlds", type=int, nargs="*", default=list(range(WORLDS)))
    options.add_argument("--only", nargs="*", default=[], help="names of candidates")
    options.add_argument(
        "--extract", type=float, default=0.0, help="only extract, for so many seconds"
    )
    chosen = options.parse_args()
    features = Features(chosen.cache)
    wanted = [c for c in candidates() if not chosen.only or c.name in chosen.only]
    if chosen.extract:
        extract(features, wanted, chosen.worlds, chosen.extract)
        return
    table(features, wanted, chosen.worlds)


def extract(
    features: Features, wanted: Sequence[Candidate], worlds: Sequence[int], seconds: float
) -> None:
    """Make features that are not there yet, until the time is up."""
    inputs = {name: one for candidate in wanted for name, one in candidate.inputs.items()}
    every = Candidate("all", "fused", inputs)
    begun = time.monotonic()
    for world in worlds:
        for script in everything(world):
            if time.monotonic() - begun > seconds:
                print(f"stopped in world {world}, {script.role} {script.number}")
                return
            features.of(script, every)
    print("all there")


def table(features: Features, wanted: Sequence[Candidate], worlds: Sequence[int]) -> None:
    tallies = []
    for candidate in wanted:
        tally = Tally({kind: [] for kind in KINDS}, {kind: [] for kind in KINDS})
        for world in worlds:
            judge(features, candidate, world, tally)
        tallies.append(tally)
        print(f"{candidate.name}: fits took {tally.fit_cpu_seconds:.1f} s of CPU", flush=True)
    print("| kind |", " | ".join(candidate.name for candidate in wanted), "|")
    print("|---|" + "---|" * len(wanted))
    for kind in KINDS:
        print(f"| {kind} |", " | ".join(share(tally.found[kind]) for tally in tallies), "|")
    print(
        "| false alarms an hour |",
        " | ".join(rate(tally.alarms, tally.hours) for tally in tallies),
        "|",
    )
    for kind in KINDS:
        figures = " | ".join(share(tally.found_at_budget[kind]) for tally in tallies)
        print(f"| {kind}, at one an hour exactly |", figures, "|")


if __name__ == "__main__":
    main()
