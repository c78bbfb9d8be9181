"""A second opinion on decoding: do two decoders see the same pictures?

The store keeps of each row how bright its picture is and how much it has changed. A second decoder reads
the video once more and the two are compared frame by frame. Decoders differ a little in colour and in
scaling, so an offset in brightness is forgiven; pictures that are wrong, repeated or shifted are not. A
shift is seen where motion changes, and not while it is even.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError, VideoError
from anomaly.features import FeatureSpec
from anomaly.features.store import FeatureGroup
from anomaly.video.decode import DecodeProcess, FrameStream, Kind
from anomaly.video.remote import Source

_SECOND = {"pyav": "decord", "decord": "pyav", "nvdec": "pyav"}
_BRIGHTNESS_LEVELS = 1.5
_CHANGE_LEVELS, _CHANGE_SHARE = 0.5, 0.25
"""the change since the frame before may differ by so many levels and so large a share of itself"""
_MOST_DISAGREEING = 0.01
"""share of frames above which the decoders see different videos"""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What comparing two decoders came to."""

    decoder: str
    """the second one"""
    compared: int
    disagreeing: int
    """frames that differ, and those that only one of the two found"""

    @property
    def is_good(self) -> bool:
        """Whether both saw the same video."""
        return self.disagreeing <= _MOST_DISAGREEING * self.compared


def is_drawn(content: str, share: float) -> bool:
    """Say whether a video belongs to the share that is checked; always the same answer for one video."""
    digest = hashlib.blake2b(content.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def second_opinion(
    group: FeatureGroup, recipe: FeatureSpec, path: Source, kind: Kind, decoding: DecodeProcess
) -> Agreement | None:
    """Read a video with a second decoder and compare; None where there is no second one that can."""
    second = _SECOND.get(group.attributes["decoder"])
    if second is None or importlib.util.find_spec("av" if second == "pyav" else second) is None:
        return None
    stream = decoding.frames(path, kind, recipe.pixels, decoder=second)
    try:
        index_T, light_T2 = _looked_at(stream)
    except (VideoError, SpecError):
        return None
    first_T2 = np.stack([group.brightness_T(), group.difference_T()], axis=1)
    differing, both = _differing(group.index_T(), first_T2, index_T, light_T2)
    only_one = group.n_rows + len(index_T) - 2 * both
    return Agreement(decoder=second, compared=both + only_one, disagreeing=differing + only_one)


def _looked_at(stream: FrameStream) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return index, and (brightness, change since the frame before), of every frame."""
    rows = list(_lights(stream))
    return np.array([row[0] for row in rows]), np.array([row[1:] for row in rows])


def _lights(stream: FrameStream) -> Iterator[tuple[int, float, float]]:
    import cv2

    before = None
    for batch in stream:
        for index, picture in zip(batch.index_B.tolist(), batch.pixels_BHWC, strict=True):
            change = 0.0 if before is None else cv2.norm(picture, before, cv2.NORM_L1)
            yield index, cv2.norm(picture, cv2.NORM_L1) / picture.size, change / picture.size
            before = picture


def _differing(
    first_T: NDArray[np.int64],
    first_T2: NDArray[np.floating],
    second_T: NDArray[np.int64],
    second_T2: NDArray[np.floating],
) -> tuple[int, int]:
    """Return how many of the frames that both found differ, and how many those are."""
    _, here, there = np.intersect1d(first_T, second_T, return_indices=True)
    if len(here) == 0:
        return 0, 0
    brightness_N, change_N = (first_T2[here] - second_T2[there]).T
    largest_N = np.maximum(first_T2[here, 1], second_T2[there, 1])
    is_off_N = np.abs(brightness_N - np.median(brightness_N)) > _BRIGHTNESS_LEVELS
    is_off_N |= np.abs(change_N) > _CHANGE_LEVELS + _CHANGE_SHARE * largest_N
    return int(is_off_N.sum()), len(here)
