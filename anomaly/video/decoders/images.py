"""Folders of numbered images as videos (UCSD style): the index is the position in natural order."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import VideoError
from anomaly.video import PixelSpec, Video
from anomaly.video.content import numbered_images
from anomaly.video.decoders import Decoder, Picture, scaled
from anomaly.video.remote import Source

NOMINAL_RATE = Fraction(25)
"""frames a second; images carry no time"""


class ImagesDecoder(Decoder):
    """Reads numbered images; one that cannot be read leaves a hole in the index."""

    name = "images"
    reads_key_frames = True

    @override
    def pictures(self, path: Source, pixels: PixelSpec) -> Iterator[Picture]:
        images = numbered_images(Path(str(path)))
        self.n_frames = len(images)
        self.duration_seconds = float(len(images) / NOMINAL_RATE)
        size = (0, 0)
        for index, image in enumerate(images):
            self.beat()
            rgb_HWC = read_rgb(image)
            if rgb_HWC is None:
                continue
            if self.video is None:
                self.video = _facts(rgb_HWC, images)
                size = pixels.output_size(*rgb_HWC.shape[:2])
            self.n_decoded += 1
            if index % pixels.stride == 0:
                yield Picture(scaled(rgb_HWC, pixels, size), index, float(index / NOMINAL_RATE))
        if self.video is None:
            raise _no_image(Path(str(path)), images)


def probe_images(path: Path) -> Video:
    """Return the facts of a folder of numbered images.

    Raises:
        VideoError: `vanished`, or `no_frame` when no image can be read.
    """
    images = numbered_images(path)
    for image in images:
        rgb_HWC = read_rgb(image)
        if rgb_HWC is not None:
            return _facts(rgb_HWC, images)
    raise _no_image(path, images)


def read_rgb(image: Path) -> NDArray[Any] | None:
    """Return an image file as RGB, shape (H, W, 3), 8 bits; None when it cannot be read."""
    import cv2

    try:
        data = np.fromfile(image, dtype=np.uint8)
        bgr_HWC = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if bgr_HWC is None else cv2.cvtColor(bgr_HWC, cv2.COLOR_BGR2RGB)


def _facts(rgb_HWC: NDArray[Any], images: list[Path]) -> Video:
    return Video(
        n_frames=len(images),
        rate=NOMINAL_RATE,
        height=rgb_HWC.shape[0],
        width=rgb_HWC.shape[1],
        codec=images[0].suffix.lower().removeprefix("."),
        rotation=0,
    )


def _no_image(path: Path, images: list[Path]) -> VideoError:
    return VideoError(
        "no_frame", f"{path} holds {len(images)} numbered images and none can be read."
    )
