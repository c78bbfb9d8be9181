"""Pseudo-anomalies: normal clips through which a piece of another normal clip glides too fast.

They tell settings apart where nothing abnormal may be looked at: made of training clips alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.video.encode import write_video
from tests.benchmarks.harness import write_labels

Frames = NDArray[np.uint8]

_HEIGHT, _WIDTH = 44, 36
"""of the piece, in pixels: about a person of Ped2"""
_SPEED = (6, 10)
"""pixels a frame; people walk one or two"""
_BEGINS = (25, 100)
"""frames from which on a piece crosses"""
_CRF = 12


def make_archive(folder: Path, clips: Sequence[Path], *, seed: int = 0) -> Path:
    """Write each clip with pieces of the one before it gliding by; return the label file."""
    generator = np.random.default_rng(seed)
    films = [_read(clip) for clip in clips]
    rows = []
    for number, (clip, film) in enumerate(zip(clips, films, strict=True)):
        painted = film.copy()
        for begin in _BEGINS:
            stop = _cross(painted, _piece(films[number - 1], generator), begin, generator)
            rows.append(
                {
                    "video": clip.name,
                    "n_frames": len(film),
                    "start_frame": begin,
                    "stop_frame": stop,
                    "category": "pseudo",
                }
            )
        write_video(folder / clip.name, painted, 10, crf=_CRF)
    labels = folder / "labels.csv"
    write_labels(labels, rows)
    return labels


def _read(clip: Path) -> Frames:
    with av.open(str(clip)) as container:
        return np.stack(
            [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        )


def _piece(film: Frames, generator: np.random.Generator) -> Frames:
    """Return what moves most in a frame drawn at random."""
    frame = film[generator.integers(len(film))]
    change = cv2.absdiff(frame, np.median(film[::8], axis=0).astype(np.uint8))
    sums = cv2.boxFilter(change.astype(np.float32), -1, (_WIDTH, _HEIGHT))
    top, left = _HEIGHT // 2, _WIDTH // 2
    inside = sums[top : -_HEIGHT + top, left : -_WIDTH + left]
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    return frame[row : row + _HEIGHT, column : column + _WIDTH]


def _cross(film: Frames, piece: Frames, begin: int, generator: np.random.Generator) -> int:
    """Paint the piece on its way across, from `begin` on; return the frame after the last."""
    height, width = film.shape[1:]
    top = int(generator.integers(height // 4, height - _HEIGHT))
    speed = int(generator.integers(*_SPEED, endpoint=True))
    lefts = np.arange(0, width - _WIDTH, speed)
    if generator.random() < 0.5:
        lefts = lefts[::-1]
    lefts = lefts[: len(film) - begin]
    oval = np.zeros((_HEIGHT, _WIDTH), np.float32)
    cv2.ellipse(
        oval, (_WIDTH // 2, _HEIGHT // 2), (_WIDTH // 2, _HEIGHT // 2), 0, 0, 360, 1, -1
    )
    soft = cv2.GaussianBlur(oval, (0, 0), 2)
    for frame, left in zip(film[begin:], lefts.tolist(), strict=False):
        place = frame[top : top + _HEIGHT, left : left + _WIDTH]
        place[:] = np.rint(soft * piece + (1 - soft) * place)
    return begin + len(lefts)
