"""Small H.264 videos that every browser plays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError, StoreError

if TYPE_CHECKING:
    from av import VideoFrame


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: Fraction | float,
    *,
    crf: int = 23,
    preset: str = "veryfast",
) -> int:
    """Encode pictures as H.264 in mp4 and return how many there were.

    Main profile, yuv420p, one thread (equal pictures give equal bytes), index at the front of the
    file, so that a browser starts before it has everything. Odd sizes grow by one row or column, the
    last one repeated.

    Args:
        path: file to write; its folder is made.
        frames: pictures of one size, RGB (H, W, 3) or gray (H, W) or (H, W, 1), one at a time.
        rate: frames a second.
        crf: quality, 0 (lossless) to 51.
        preset: speed of libx264, `ultrafast` to `veryslow`.

    Raises:
        SpecError: there is no frame, or one differs in size from the first.
        StoreError: the file cannot be written.
    """
    import av

    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise SpecError(f"No frame to write to {path}; expected at least one.")
    path.parent.mkdir(parents=True, exist_ok=True)
    number = -1
    try:
        with av.open(
            str(path), "w", format="mp4", options={"movflags": "+faststart"}
        ) as container:
            stream = container.add_stream(
                "libx264", rate=Fraction(rate).limit_denominator(1001)
            )
            stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            # x264's macroblock tree reads memory that it never wrote (its AVX-512 code does), so that
            # equal pictures gave now and then other bytes: it stays off
            stream.options = {
                "crf": str(crf),
                "preset": preset,
                "profile": "main",
                "mbtree": "0",
            }
            for number, picture in enumerate(itertools.chain([first], pictures)):
                if picture.shape != first.shape:
                    raise SpecError(
                        f"Frame {number} for {path} has shape {picture.shape}, the first {first.shape}."
                    )
                container.mux(stream.encode(_even_frame(picture)))
            container.mux(stream.encode())
    except OSError as error:
        raise StoreError(f"Cannot write {path}: {error.strerror or error}.") from error
    return number + 1


def _even_frame(picture: NDArray[np.uint8]) -> VideoFrame:
    """Return the picture with even sides, as the encoder takes it."""
    import av

    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    height, width = picture.shape[:2]
    padding = [(0, height % 2), (0, width % 2), (0, 0)][: picture.ndim]
    odd = height % 2 or width % 2
    even = np.ascontiguousarray(np.pad(picture, padding, mode="edge") if odd else picture)
    frame = av.VideoFrame.from_ndarray(even, format="gray" if even.ndim == 2 else "rgb24")
    return frame.reformat(format="yuv420p", threads=1)
