"""A clip of which every picture is known, and the check of a decoder against it.

A decoder that was built badly, or meets a library that it does not fit, gives wrong pictures without a
word. So each decode process reads twelve small pictures first, with frames that refer to later ones, and
compares all of them with what was encoded. `golden.mp4` was made by `write_golden`.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import SpecError, VideoError
from anomaly.video import PixelSpec
from anomaly.video.decoders import decoders

GOLDEN = Path(__file__).with_name("golden.mp4")
N_FRAMES = 12
_BLOCK = 8
_BLOCKS_HW = 6, 8
_DARK, _BRIGHT = (40, 80, 160), (200, 140, 60)
_MOST_LEVELS_OFF = 24.0
"""by which the mean of a block may differ: encoding and two conversions of colour take their share"""


def golden_pictures() -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures, RGB (48, 64, 3): blocks of two colours, placed by the number of the frame."""
    for number in range(N_FRAMES):
        bits = np.random.default_rng(number).integers(0, 2, _BLOCKS_HW)
        colours = np.array([_DARK, _BRIGHT], dtype=np.uint8)[bits]
        yield np.kron(colours, np.ones((_BLOCK, _BLOCK, 1), dtype=np.uint8))


def write_golden(path: Path) -> None:
    """Encode the pictures as H.264 with two B-frames between any others and a second key frame."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=N_FRAMES)
        stream.height, stream.width = (blocks * _BLOCK for blocks in _BLOCKS_HW)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "bf": "2", "b_strategy": "0", "g": "6", "threads": "1"}
        for picture in golden_pictures():
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@functools.cache
def check_decoder(name: str) -> None:
    """Compare what a decoder makes of the clip with what was encoded; once in the life of a process.

    Raises:
        SpecError: there is no such decoder, or it gives other pictures.
    """
    try:
        if name == "images":
            with tempfile.TemporaryDirectory(prefix="anomaly-golden-") as folder:
                trouble = _trouble(name, _as_images(Path(folder)))
        else:
            trouble = _trouble(name, GOLDEN)
    except VideoError as error:
        trouble = str(error)
    if trouble:
        raise SpecError(
            f"Decoder {name!r} fails on the clip that every decode process reads first: {trouble} Repair "
            "its installation, or choose another --decoder."
        )


def _trouble(name: str, path: Path) -> str:
    batches = list(decoders().get(name)().frames(path, PixelSpec(), N_FRAMES))
    index_T = [int(index) for batch in batches for index in batch.index_B]
    if index_T != list(range(N_FRAMES)):
        return f"found frames {index_T}, expected 0 to {N_FRAMES - 1}."
    decoded = [picture for batch in batches for picture in batch.pixels_BHWC]
    for number, (found, expected) in enumerate(zip(decoded, golden_pictures(), strict=True)):
        if found.shape != expected.shape:
            return f"frame {number} has shape {found.shape}, expected {expected.shape}."
        off = np.abs(_block_means(found) - _block_means(expected)).max()
        if off > _MOST_LEVELS_OFF:
            return f"frame {number} is another picture: a block is {off:.0f} levels off."
    return ""


def _block_means(picture_HWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = _BLOCKS_HW
    return picture_HWC.reshape(rows, _BLOCK, columns, _BLOCK, 3).mean(axis=(1, 3))


def _as_images(folder: Path) -> Path:
    from PIL import Image

    for number, picture in enumerate(golden_pictures()):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder
