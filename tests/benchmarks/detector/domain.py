"""Prints when a camera counts as out of domain.

`python -m tests.benchmarks.detector.domain --data DATA --cache DIR`

Every clip is judged by a domain learnt on other, clean clips of its camera (four folds; where there is but
one clip, on its first half). Beside it, what the corruption costs a detector of motion.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from anomaly.features.picture import Picture, PictureMeter, join
from anomaly.scores.domain import Domain, Seen
from anomaly.spec import fingerprint
from anomaly.video import FrameBatch, PixelSpec
from tests.benchmarks.detector.corruptions import CORRUPTIONS, IN_DOMAIN
from tests.benchmarks.detector.measure import BATCH, Bench, Candidate
from tests.benchmarks.detector.protocol import clips, coffee_room, corrupted, ped2

PIXELS = PixelSpec(color="gray", resize="limit_height", height=240)
FOLDS = 4


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    chosen = options.parse_args()
    album = Album(Bench(chosen.cache))
    cameras = by_camera(chosen.data)
    single = [paths[0] for paths in cameras.values() if len(paths) == 1]
    costs = _costs(album.bench, chosen.data)
    sets = sorted({name.split(" ")[0] for name, paths in cameras.items() if len(paths) > 1})
    print(
        "| corruption | must be borne |", " | ".join(f"{name}: marked" for name in sets), end=""
    )
    print(f" | {len(single)} single clips: marked | ped2 | coffee room |")
    print("|---|---|" + "---|" * (len(sets) + 3))
    for corruption in ("", *CORRUPTIONS):
        cells = [
            _share(
                [
                    mark
                    for name, paths in cameras.items()
                    if len(paths) > 1 and name.split(" ")[0] == chosen_set
                    for mark in album.marks(paths, corruption)
                ]
            )
            for chosen_set in sets
        ]
        cells.append(
            _share([album.second_half(path) for path in single]) if not corruption else ""
        )
        must = "yes" if corruption in ("", *IN_DOMAIN) else ""
        shown = [corruption or "none", must, *cells, *costs[corruption]]
        print("|", " | ".join(shown), "|", flush=True)


def by_camera(data: Path) -> dict[str, list[Path]]:
    """Return the clips of each camera; the first word of its name is the data set."""
    found = {"ped2": sorted((data / "ped2/train").iterdir())}
    found["ped2"] += [clip.path for clip in clips(data / "ped2", "ped2")]
    found["coffeeroom"] = [clip.path for clip in clips(data / "coffeeroom")]
    for clip in clips(data / "gmdcsa24"):
        found.setdefault(f"gmdcsa24 {clip.camera}", []).append(clip.path)
    for folder in ("highway", "normal_misc", "aboda", "wavingtrees"):
        for clip in clips(data / folder):
            found[f"{folder} {clip.path.name}"] = [clip.path]
    return found


class Album:
    """What the pictures of clips are like, kept under the bench's cache."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def seen(self, path: Path, corruption: str = "") -> Seen:
        kept = self.bench.cache / f"{fingerprint([str(path), corruption])}.picture.npz"
        if not kept.exists():
            frames, seconds_T = self.bench.frames(path, PIXELS)
            if corruption:
                rng = np.random.default_rng(zlib.crc32(f"{path}{corruption}".encode()))
                changed = CORRUPTIONS[corruption](frames[..., 0], seconds_T, rng)[..., None]
                seconds_T = seconds_T[:: 2 if len(changed) < len(frames) else 1]
                frames = changed
            picture = measured(frames, seconds_T)
            np.savez(
                kept,
                statistics=picture.statistics_TK,
                views=picture.views_VHW,
                begins=picture.view_seconds_V,
                seconds=seconds_T,
            )
        with np.load(kept) as found:
            picture = Picture(found["statistics"], found["views"], found["begins"])
            return Seen(picture, found["seconds"], np.ones(len(found["seconds"]), bool))

    def marks(self, paths: Sequence[Path], corruption: str) -> Iterator[float]:
        """Yield the share of each clip that is out of the domain of the clips of other folds."""
        for fold in range(FOLDS):
            judged = paths[fold::FOLDS]
            domain = Domain.fit([self.seen(path) for path in paths if path not in judged])
            if domain is not None:
                yield from (_marked(domain, self.seen(path, corruption)) for path in judged)

    def second_half(self, path: Path) -> float:
        """Return the share of a clip that is out of the domain of its first half."""
        seen = self.seen(path)
        first_T = seen.seconds_T < seen.seconds_T[-1] / 2
        domain = Domain.fit([seen._replace(usable_T=first_T)])
        return 0.0 if domain is None else _marked(domain, seen)


def measured(frames: np.ndarray, seconds_T: np.ndarray) -> Picture:
    meter = PictureMeter()
    index = np.arange(len(frames))
    parts = [
        meter.measure(
            FrameBatch(frames[a : a + BATCH], index[a : a + BATCH], seconds_T[a : a + BATCH])
        )
        for a in range(0, len(frames), BATCH)
    ]
    return join([*parts, meter.finish()])


def _marked(domain: Domain, seen: Seen) -> float:
    last = float(seen.seconds_T[-1]) + 1e-3
    stretches = domain.outside(seen.picture, seen.seconds_T)
    return sum(min(one.stop_seconds, last) - one.start_seconds for one in stretches) / last


def _share(marks: Sequence[float]) -> str:
    return f"{sum(mark > 0 for mark in marks)} of {len(marks)}"


def _costs(bench: Bench, data: Path) -> dict[str, tuple[str, str]]:
    """Return the micro AUC of motion on both sets under each corruption."""
    candidate = Candidate.named("knn", "motion")
    clean = (ped2(data), coffee_room(data)[1])
    found = {trial.name: trial for trial in corrupted(data)}
    half = found["coffee room, half"]
    return {
        corruption: tuple(  # type: ignore[misc]
            f"{bench.figure(candidate, found.get(f'{trial.name}, {corruption}', trial)).value:.3f}"
            for trial in (clean[0], half)
        )
        for corruption in ("", *CORRUPTIONS)
    }


if __name__ == "__main__":
    main()
