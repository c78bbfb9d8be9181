"""A few frames of one video, to be shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import VideoError
from anomaly.video import PixelSpec, VideoFile
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.video.remote import Source
from anomaly.video.spool import local_copy

Picture = NDArray[np.uint8]


class Frames:
    """Reads frames of one video; each request starts at the key frame before the first one."""

    def __init__(self, process: DecodeProcess, path: Source, file: VideoFile) -> None:
        self._process, self._path, self._file = process, path, file

    def read(
        self, frames: Collection[int], pixels: PixelSpec, *, decoder: str = "pyav"
    ) -> Mapping[int, Picture]:
        """Return those of the frames that can be decoded, (H, W, C), by index.

        Raises:
            VideoError: the file is bad.
        """

        def read(stream: FrameStream) -> dict[int, Picture]:
            found: dict[int, Picture] = {}
            for batch in stream:
                found |= zip(batch.index_B.tolist(), batch.pixels_BHWC, strict=True)
            return found

        return self._process.decode(
            self._path, self._file.kind, pixels, read, decoder=decoder, only=frames
        )


@contextmanager
def frames_of(process: DecodeProcess, file: VideoFile, content: str) -> Iterator[Frames]:
    """Open a video for `Frames.read`.

    Raises:
        VideoError: it is gone, or is another by now.
        TransientError: the disk or the object store failed to answer.
    """
    with local_copy(file) as (path, found):
        if found != content:
            raise VideoError("changing", f"{file.uri} changed since it was scored.")
        yield Frames(process, path, file)
