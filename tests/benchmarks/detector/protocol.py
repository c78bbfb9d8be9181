"""The fixed protocol by which detectors are compared: what is fitted on what, and what is counted.

Written down before the default detector was tuned; docs/detector.md gives it in words. Nothing here
knows a detector. A trial fits the product's own stages (`fit_model`) and scores with them
(`score_bag`); no statistic is taken from a clip under test, every frame of it is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anomaly.datasets.labels import ABNORMAL, IGNORED, NORMAL, Truth, read_labels

MARGIN_SECONDS = 0.4
"""left out of training on either side of an abnormal frame"""


@dataclass(frozen=True)
class Clip:
    """One video, and which of its frames count."""

    path: Path
    camera: str
    truth: Truth
    counted: tuple[float, float] = (0.0, 1.0)
    """share of the clip, half-open, that is tested on or (in training) learnt from"""
    spoilt: float = 0.0
    """training only: abnormal frames that stay in, as a share of the clip's normal ones"""

    @property
    def labels_T(self) -> np.ndarray:
        """One label a frame; frames that do not count are ignored."""
        labels_T = self.truth.labels_T.copy()
        start, stop = (round(share * len(labels_T)) for share in self.counted)
        labels_T[:start] = labels_T[stop:] = IGNORED
        return labels_T


@dataclass(frozen=True)
class Fold:
    """One fit and what is scored with it."""

    train: tuple[Clip, ...]
    test: tuple[Clip, ...]


@dataclass(frozen=True)
class Trial:
    """One row of the table: folds whose test frames are judged together."""

    name: str
    folds: tuple[Fold, ...]
    corruption: str = ""
    """name in `corruptions.CORRUPTIONS`, done to the test clips alone"""
    counts_alarms: bool = False
    """the figure is false alarms at a budget of one an hour, not AUC"""


def clips(folder: Path, camera: str = "") -> list[Clip]:
    """Return the labelled clips of one data set, by name; the camera is the first part of the name."""
    truths = read_labels(folder / "labels.csv").videos
    return [
        Clip(folder / name, camera or Path(name).stem.split("_")[0], truth)
        for name, truth in sorted(truths.items())
    ]


def trials(data: Path, synthetic: Sequence[Path] = ()) -> list[Trial]:
    """Return all rows of the table that the data at hand allow."""
    return [
        ped2(data),
        *coffee_room(data),
        gmdcsa(data),
        new_rooms(data),
        aboda(data),
        waving_trees(data),
        false_alarms(data),
        *synthetic_views(synthetic),
        *corrupted(data),
        *contaminated(data),
    ]


def ped2(data: Path) -> Trial:
    """All training clips against all test clips."""
    normal = [
        Clip(path, "ped2", Truth(_frames(path)))
        for path in sorted((data / "ped2/train").iterdir())
    ]
    return Trial("ped2", (Fold(tuple(normal), tuple(clips(data / "ped2", "ped2"))),))


def coffee_room(data: Path) -> list[Trial]:
    """Four-fold over runs of neighbouring clips, and the two halves, each from the other."""
    found = clips(data / "coffeeroom", "coffee")
    quarters = [found[start : start + 6] for start in range(0, len(found), 6)]
    halves = [found[:12], found[12:]]
    return [
        Trial("coffee room, 4 folds", _folds(found, quarters)),
        Trial("coffee room, halves", _folds(found, halves)),
    ]


def gmdcsa(data: Path) -> Trial:
    """Each clip from the normal frames of all others: the camera is known."""
    found = clips(data / "gmdcsa24")
    return Trial("gmdcsa24, clip left out", _folds(found, [found[k::6] for k in range(6)]))


def new_rooms(data: Path) -> Trial:
    """Each of the four rooms from the normal frames of the other three."""
    found = clips(data / "gmdcsa24")
    cameras = sorted({clip.camera for clip in found})
    rooms = [[clip for clip in found if clip.camera == camera] for camera in cameras]
    return Trial("gmdcsa24, room left out", _folds(found, rooms))


def aboda(data: Path) -> Trial:
    """The first 260 frames against the rest of the clip; the bag is down from frame 400."""
    (clip,) = clips(data / "aboda", "aboda")
    cut = 260 / 1169
    train, test = replace(clip, counted=(0.0, cut)), replace(clip, counted=(cut, 1.0))
    return Trial("aboda, left bag", (Fold((train,), (test,)),))


def waving_trees(data: Path) -> Trial:
    """The first 180 frames against the rest."""
    (clip,) = clips(data / "wavingtrees", "trees")
    cut = 180 / 287
    train, test = replace(clip, counted=(0.0, cut)), replace(clip, counted=(cut, 1.0))
    return Trial("waving trees", (Fold((train,), (test,)),))


def false_alarms(data: Path) -> Trial:
    """Fit on the first half of each normal camera, count alarms in the second."""
    found = [*clips(data / "highway", "highway"), *clips(data / "normal_misc")]
    return Trial(
        "false alarms, second halves",
        tuple(
            Fold((replace(clip, counted=(0.0, 0.5)),), (replace(clip, counted=(0.5, 1.0)),))
            for clip in found
        ),
        counts_alarms=True,
    )


def synthetic_views(archives: Sequence[Path]) -> list[Trial]:
    """The planted events of synthetic archives, the first day against the second, kind by kind."""
    by_kind: dict[str, list[Fold]] = {}
    for archive in archives:
        found = [replace(clip, camera=clip.path.parent.name) for clip in clips(archive)]
        for camera in sorted({clip.camera for clip in found}):
            own = [clip for clip in found if clip.camera == camera]
            train = tuple(clip for clip in own if clip.path.name.startswith("20260301"))
            test = [clip for clip in own if clip not in train]
            normal = [clip for clip in test if not clip.truth.intervals]
            for clip in test:
                for interval in clip.truth.intervals:
                    fold = Fold(train, (clip, *normal))
                    by_kind.setdefault(interval.category, []).append(fold)
    return [Trial(f"synthetic {kind}", tuple(folds)) for kind, folds in sorted(by_kind.items())]


def corrupted(data: Path) -> Iterator[Trial]:
    """Clean training, corrupted test: Ped2, and one half of the coffee room."""
    from tests.benchmarks.detector.corruptions import CORRUPTIONS

    coffee = coffee_room(data)[1]
    half = Trial("coffee room, half", coffee.folds[:1])
    for trial in (ped2(data), half):
        if trial is half:
            yield half
        for name in CORRUPTIONS:
            yield replace(trial, name=f"{trial.name}, {name}", corruption=name)


def contaminated(data: Path) -> Iterator[Trial]:
    """Abnormal frames left in training, of clips that are not tested: coffee room and Ped2."""
    coffee = coffee_room(data)[1]
    whole = ped2(data).folds[0]
    first, second = whole.test[:3], whole.test[3:]
    for share in (0.01, 0.02, 0.05):
        spoilt = [
            Fold(tuple(replace(clip, spoilt=share) for clip in fold.train), fold.test)
            for fold in coffee.folds
        ]
        yield Trial(f"coffee room, halves + {share:.0%} abnormal", tuple(spoilt))
        # Ped2's training clips hold none, so the other test clips lend theirs.
        n_normal = sum(len(clip.truth.labels_T) for clip in whole.train)
        folds = []
        for test, lender in ((first, second[0]), (second, first[2])):
            lent = share * n_normal / len(lender.truth.labels_T)
            folds.append(
                Fold((*whole.train, replace(lender, counted=(0.0, lent), spoilt=1.0)), test)
            )
        yield Trial(f"ped2 + {share:.0%} abnormal", tuple(folds))


def learnt_ranges(
    clip: Clip, index_T: np.ndarray, seconds_T: np.ndarray
) -> tuple[tuple[int, int], ...]:
    """Return the rows of a training clip that a fit sees: normal, away from abnormal ones, plus spoilt."""
    labels_T = clip.labels_T[index_T]
    unsure_T = clip.truth.labels_T[index_T] != NORMAL
    usable_T = labels_T == NORMAL
    for second in seconds_T[unsure_T]:
        usable_T &= np.abs(seconds_T - second) > MARGIN_SECONDS
    if clip.spoilt:
        abnormal = np.flatnonzero(labels_T == ABNORMAL)
        n_spoilt = int(
            np.ceil(clip.spoilt * max(usable_T.sum(), clip.spoilt == 1 and len(abnormal)))
        )
        usable_T[abnormal[:n_spoilt]] = True
    edges = np.flatnonzero(np.diff(usable_T, prepend=False, append=False))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def _folds(found: Sequence[Clip], parts: Sequence[Sequence[Clip]]) -> tuple[Fold, ...]:
    return tuple(
        Fold(tuple(clip for clip in found if clip not in part), tuple(part)) for part in parts
    )


def _frames(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)
