"""Draws where a pixel model sees ten planted events: `python -m tests.docs.localisation [FOLDER]`.

Clips of a drawn camera, normal ones to learn from and ten with an event each; `unet_predict` is trained and
the events found by the command line. FOLDER keeps clips and root; without it they are thrown away.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.report.media import with_boxes
from anomaly.video.synthetic import ENTRANCE, Clip, Planted, film
from anomaly.video.synthetic.actors import walkers
from anomaly.video.synthetic.camera import SUPERSAMPLING
from anomaly.video.synthetic.plots import EVENT_KINDS
from tests.benchmarks.harness import anomaly

SHEET = Path(__file__).parents[2] / "docs" / "images" / "localisation.png"
KINDS = ("fast_mover", "fast_mover", "odd_object", "fast_mover", "fast_mover") * 2
WITH_BICYCLES = {1, 4, 5, 8}
LEARNT, SECONDS = 8, 12.0
TRAINING = {"epochs": 12, "patience": 12, "batch": 4, "optimiser": "adam", "learning_rate": 0.001,
            "schedule": "cosine"}  # fmt: skip
OPTIONS = {"channels": 0.25, "clips": 120, "step": 2, "block": 8, "score": "cell_max",
           "training": TRAINING}  # fmt: skip
COLUMNS, TILE, STRIP = 5, (192, 256), 20
_WHITE = (255, 255, 255)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Shown:
    """One planted event and what was found of it."""

    planted: Planted
    true_T4: NDArray[np.int64]
    """left, top, right, bottom in each frame, in pixels of the picture"""
    event: dict[str, Any] | None
    """the highest event that overlaps it"""

    @property
    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Where the detector says that it is, at its peak."""
        found = (self.event or {}).get("boxes") or []
        return [(box["left"], box["top"], box["right"], box["bottom"]) for box in found]

    @property
    def is_placed(self) -> bool:
        """Say whether a box lies over the truth."""
        if self.event is None:
            return False
        left, top, right, bottom = self.true_T4[self.event["peak_frame"]]
        return any(
            box[0] < right and box[2] > left and box[1] < bottom and box[3] > top
            for box in self.boxes
        )

    def tile(self, clip: Path) -> Picture:
        """Return the frame of its peak with both kinds of boxes and the kind below."""
        middle = (self.planted.start_frame + self.planted.stop_frame) // 2
        frame = self.event["peak_frame"] if self.event else middle
        picture = _frame(clip, frame)
        left, top, right, bottom = self.true_T4[frame].tolist()
        cv2.rectangle(picture, (left, top), (right, bottom), _WHITE, 1)
        picture = with_boxes(picture, self.boxes, picture.shape[:2])
        small = np.asarray(cv2.resize(picture, TILE[::-1], interpolation=cv2.INTER_AREA))
        said = f"score {self.event['score']:.1f}" if self.event else "not found"
        words = f"{self.planted.kind.replace('_', ' ')}: {said}"
        strip = np.full((STRIP, TILE[1], 3), 24, np.uint8)
        cv2.putText(strip, words, (6, STRIP - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _WHITE, 1)
        return np.vstack([small, strip])


def clips_of(folder: Path) -> list[Clip]:
    """Return what is to be filmed: normal clips, then one with each event."""
    kinds = [*[""] * LEARNT, *KINDS]
    return [
        Clip(
            view=replace(ENTRANCE, bicycles=number - LEARNT in WITH_BICYCLES),
            path=folder / "entrance" / f"{'event' if kind else 'normal'}{number:02d}.mp4",
            kind=kind,
            seconds=SECONDS,
            seed=(11, number),
        )
        for number, kind in enumerate(kinds)
    ]


def truth(clip: Clip) -> NDArray[np.int64]:
    """Return the box around the planted figures in each frame; they follow from the clip's seed."""
    generator = np.random.default_rng(clip.seed)
    walkers(clip.view, clip.seconds, generator)
    figures = EVENT_KINDS[clip.kind](clip.view, clip.seconds, generator).figures
    boxes_FT4 = np.stack([figure.box_T4 for figure in figures]) // SUPERSAMPLING
    return np.concatenate(
        [boxes_FT4[..., :2].min(axis=0), boxes_FT4[..., 2:].max(axis=0)], axis=1
    )


def learn(root: Path, archive: Path) -> None:
    """Train on the normal clips."""
    told = [
        part
        for key, value in OPTIONS.items()
        for part in ("--detector-option", f"{key}={json.dumps(value)}")
    ]
    size = [
        "--backbone",
        "frames",
        "--backbone-option",
        "height=96",
        "--backbone-option",
        "width=128",
    ]
    # Two held-out clips of twelve seconds cannot tell of a day without a false alarm.
    budget = ["--alarms-per-camera-day", 2000, "--block-seconds", 2]
    anomaly(
        "train", archive, "--root", root, "--videos", "*/normal*", "--detector", "unet_predict",
        *size, *told, *budget, "--workers", 1,
    )  # fmt: skip


def find(root: Path, archive: Path) -> list[dict[str, Any]]:
    """Score the other clips and return their events, highest first."""
    anomaly("score", archive, "--root", root, "--videos", "*/event*", "--workers", 1)
    found: list[dict[str, Any]] = anomaly(
        "query", "SELECT * FROM events ORDER BY score DESC", "--root", root
    ).answer
    return found


def sheet(shown: Sequence[Shown], archive: Path) -> Picture:
    """Return the tiles side by side."""
    tiles = [one.tile(archive / one.planted.video) for one in shown]
    rows = [
        np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)
    ]
    return np.vstack(rows)


def _frame(clip: Path, number: int) -> Picture:
    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return frame.to_ndarray(format="rgb24")
    raise ValueError(f"{clip} has no frame {number}")


def main(folder: Path) -> None:
    """Film, train, find, draw; say how many were found."""
    archive = folder / "archive"
    clips = clips_of(archive)
    planted = {clip.path: film(clip)[1] for clip in clips}
    learn(folder / "root", archive)
    events = find(folder / "root", archive)
    shown = []
    for clip in clips:
        event = planted[clip.path]
        if event is not None:
            mine = (
                one
                for one in events
                if one["video"] == event.video
                and one["start_frame"] < event.stop_frame
                and one["stop_frame"] > event.start_frame
            )
            shown.append(Shown(event, truth(clip), next(mine, None)))
    few = Image.fromarray(sheet(shown, archive)).quantize(
        256, kmeans=2, dither=Image.Dither.NONE
    )
    few.save(SHEET, optimize=True)
    found = sum(one.event is not None for one in shown)
    placed = sum(one.is_placed for one in shown)
    size = SHEET.stat().st_size / 1000
    print(
        f"{SHEET}: {size:.0f} kB; {found} of {len(shown)} found, {placed} boxed, {len(events)} events"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as place:
            main(Path(place))
