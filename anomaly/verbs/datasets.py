"""`datasets`: which public data sets are known, and whether a copy of one is whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly.datasets import Dataset, Published
from anomaly.datasets.adapters import datasets
from anomaly.datasets.labels import ABNORMAL, Truth
from anomaly.datasets.writing import write_labels
from anomaly.errors import SpecError, VideoError
from anomaly.registry import unknown_name
from anomaly.video.decode import DecodeProcess

_SHOWN = 10  # missing things that are named; the others are counted


@dataclass(frozen=True)
class SplitCheck:
    """One split of a data set: what was found, and what is published."""

    split: str
    found: Published
    published: Published
    missing: tuple[str, ...]
    """what lacks, one sentence each"""

    @property
    def differences(self) -> tuple[str, ...]:
        """Counts that differ from the published ones, one sentence each."""
        return tuple(
            f"{self.split}: {'unknown' if found is None else found} {name.replace('_', ' ')}, "
            f"published: {published}"
            for name, found, published in self.counts
            if published is not None and found != published
        )

    @property
    def counts(self) -> list[tuple[str, int | None, int | None]]:
        """(quantity, found, published) of every quantity."""
        names = [field.name for field in dataclasses.fields(Published)]
        return [
            (name, getattr(self.found, name), getattr(self.published, name)) for name in names
        ]


@dataclass(frozen=True, kw_only=True)
class CheckSummary:
    """What a look at a copy of a data set came to."""

    name: str
    variant: str
    layout: str
    splits: tuple[SplitCheck, ...]
    labels: str = ""
    """label file that was written"""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Everything that lacks or differs, one sentence each; nothing in a whole copy."""
        return tuple(text for one in self.splits for text in (*one.missing, *one.differences))

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "dataset": self.name,
            "variant": self.variant,
            "counts": [
                {"split": one.split, "what": name, "found": found, "published": published}
                for one in self.splits
                for name, found, published in one.counts
            ],
            "troubles": list(self.troubles),
            "whole": not self.troubles,
            "layout": self.layout,
            "labels": self.labels,
        }


def describe(name: str = "") -> dict[str, Any]:
    """Return what is known of one data set, or one line on each.

    Raises:
        SpecError: there is no such data set.
    """
    if not name:
        return {one: datasets().get(one).about for one in datasets().names()}
    cls = datasets().get(name)
    made = {variant: cls(Path(), _no_frames, variant) for variant in cls.variants}
    return {
        "name": name,
        "about": cls.about,
        "layout": cls.layout,
        "variants": [variant for variant in cls.variants if variant],
        "published": {
            f"{variant} {split}".strip(): dataclasses.asdict(counts)
            for variant, dataset in made.items()
            for split, counts in dataset.published.items()
        },
    }


def check(
    name: str, path: str, *, variant: str = "", labels: str = "", split: str = ""
) -> CheckSummary:
    """Count what a copy of a data set holds; write the labels of one split where asked to.

    `split` defaults to the last one: `test` where there is one.

    Raises:
        SpecError: there is no such data set, variant, split or folder, or labels are asked for
            and some are missing.
    """
    root = Path(path)
    if not root.is_dir():
        raise SpecError(f"No folder {path!r}: name the folder that holds data set {name!r}.")
    with DecodeProcess() as decoder:
        dataset = datasets().get(name)(root, _Counter(decoder), variant)
        splits = list(dataset.published)
        chosen = split or splits[-1]
        if chosen not in splits:
            raise unknown_name("split", chosen, splits)
        checks = tuple(_check_split(dataset, one) for one in splits)
        if labels:
            truths = {video: dataset.truth(video) for video in dataset.videos(chosen)}
            write_labels(Path(labels), truths)
    return CheckSummary(
        name=name,
        variant=dataset.variant,
        layout=dataset.layout,
        splits=checks,
        labels=labels,
    )


@dataclass(frozen=True)
class _Counter:
    """Says how many frames a video file has, by its header."""

    decoder: DecodeProcess

    def __call__(self, path: Path) -> int:
        n_frames = self.decoder.probe(path).n_frames
        if not n_frames:
            raise VideoError("unknown_length", f"{path} does not say how many frames it has.")
        return n_frames


def _no_frames(path: Path) -> int:
    raise SpecError(f"{path} is not looked at to describe a data set.")


def _check_split(dataset: Dataset, split: str) -> SplitCheck:
    published = dataset.published[split]
    try:
        videos = dataset.videos(split)
    except SpecError as error:
        return SplitCheck(split, Published(videos=0), published, (str(error),))
    if not videos:
        troubles = (f"{split}: no video. Expected layout: {dataset.layout}",)
        return SplitCheck(split, Published(videos=0), published, troubles)
    truths: dict[str, Truth] = {}
    lacking = []
    for video in videos:
        try:
            dataset.find(video)
            truths[video] = _fitting(dataset, video)
        except (SpecError, VideoError) as error:
            lacking.append(str(error))
    return SplitCheck(split, _count(truths), published, tuple(_some(lacking)))


def _fitting(dataset: Dataset, video: str) -> Truth:
    """Return the truth of a video, whose length must be that of its labels."""
    truth = dataset.truth(video)
    if truth.n_frames is not None and truth.n_frames != dataset.n_frames(video):
        raise SpecError(
            f"{video!r} has {dataset.n_frames(video)} frames, its labels {truth.n_frames}."
        )
    return truth


def _count(truths: Mapping[str, Truth]) -> Published:
    framed = {video: truth for video, truth in truths.items() if truth.n_frames is not None}
    abnormal = {v: int((t.labels_T == ABNORMAL).sum()) for v, t in framed.items()}
    by_name = sum(bool(truth.category) for truth in truths.values())
    return Published(
        videos=len(truths),
        abnormal_videos=by_name + sum(count > 0 for count in abnormal.values()),
        frames=sum(truth.n_frames or 0 for truth in framed.values()) if framed else None,
        abnormal_frames=sum(abnormal.values()) if framed else None,
    )


def _some(troubles: list[str]) -> Iterator[str]:
    yield from troubles[:_SHOWN]
    if len(troubles) > _SHOWN:
        yield f"and {len(troubles) - _SHOWN} more of the kind"
