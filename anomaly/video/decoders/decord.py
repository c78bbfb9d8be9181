"""decord: a second opinion, and what takes over when PyAV hangs. Contiguous reads only.

decord repeats frames in damaged streams and returns wrong ones after seeking, so it is never asked to
seek; it can hang in native code, which the child process of `anomaly.video.decode` sees to.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from typing_extensions import override

from anomaly.errors import SpecError, VideoError
from anomaly.video import PixelSpec, Video
from anomaly.video.decoders import Decoder, Picture, scaled
from anomaly.video.remote import Remote, Source


class DecordDecoder(Decoder):
    """Decodes with decord; the index is the position in what it hands out."""

    name = "decord"

    @override
    def pictures(self, path: Source, pixels: PixelSpec) -> Iterator[Picture]:
        reader = _open(path)
        self.beat()
        self.n_frames = len(reader)
        times_T2 = reader.get_frame_timestamp(range(len(reader)))
        self.duration_seconds = float(times_T2[-1, 1] - times_T2[0, 0])
        size = (0, 0)
        for index in range(len(reader)):
            rgb_HWC = self._next(reader, path)
            if self.video is None:
                self.video = _facts(reader, rgb_HWC)
                size = pixels.output_size(*rgb_HWC.shape[:2])
            self.n_decoded += 1
            if index % pixels.stride == 0:
                seconds = float(times_T2[index, 0] - times_T2[0, 0])
                yield Picture(scaled(rgb_HWC, pixels, size), index, seconds)

    def _next(self, reader: Any, path: Source) -> Any:
        from decord import DECORDError

        self.beat()
        try:
            return reader.next().asnumpy()
        except (DECORDError, StopIteration) as error:
            raise VideoError(
                "unreadable", f"decord cannot read {path} to its end: {error}."
            ) from error


def _open(path: Source) -> Any:
    if isinstance(path, Remote):
        raise VideoError("unreadable", f"decord reads local files only; {path} is not copied.")
    # Loaded first, decord lends its zlib to OpenCV, which then reads no PNG for the rest of the process.
    import cv2  # noqa: F401

    try:
        import decord
    except ImportError as error:
        raise SpecError(
            "Decoder 'decord' is not installed; there is no wheel for this machine. Use --decoder pyav."
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    except (decord.DECORDError, RuntimeError, OSError) as error:
        raise VideoError("unreadable", f"decord cannot open {path}.") from error
    if len(reader) == 0:
        raise VideoError("no_frame", f"decord finds no picture in {path}.")
    return reader


def _facts(reader: Any, rgb_HWC: Any) -> Video:
    return Video(
        n_frames=len(reader),
        rate=Fraction(reader.get_avg_fps()).limit_denominator(1001),
        height=rgb_HWC.shape[0],
        width=rgb_HWC.shape[1],
        codec="",
        rotation=0,  # decord has applied it already
    )
