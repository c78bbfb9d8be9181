"""The facts of one video, read with PyAV.

Native code reads an untrusted file here: call `DecodeProcess.probe`, which does it in a child process.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from anomaly.errors import VideoError
from anomaly.video import Video
from anomaly.video.content import empty, vanished
from anomaly.video.remote import Remote, Source

_PACKETS_TO_FIRST_FRAME = 250


def probe(path: Source, kind: Literal["file", "frames"] = "file") -> Video:
    """Return the facts of a video; `n_frames` is what the header says, which may be nothing or wrong.

    Height and width are those of the stored picture, before `rotation` is applied.

    Raises:
        VideoError: `vanished`, `empty`, `unreadable`, `no_video_stream`, `encrypted` or `no_frame`.
    """
    if kind == "frames":
        from anomaly.video.decoders.images import probe_images

        return probe_images(Path(str(path)))
    with opened(path) as (container, stream):
        first_packets = itertools.islice(packets(container, stream), _PACKETS_TO_FIRST_FRAME)
        for packet in itertools.chain(first_packets, [None]):
            for frame in decoded(stream, packet) or ():
                return facts(stream, frame)
    raise no_frame(path)


def facts(stream: Any, frame: Any) -> Video:
    """Return the facts of an open stream whose first decoded frame is `frame`."""
    rate = stream.average_rate or stream.guessed_rate
    return Video(
        n_frames=stream.frames or None,
        rate=Fraction(rate) if rate else None,
        height=frame.height,
        width=frame.width,
        codec=stream.codec_context.name,
        rotation=clockwise(frame),
    )


def clockwise(frame: Any) -> int:
    """Return the degrees, 0, 90, 180 or 270, by which a player turns the picture clockwise."""
    return round(-frame.rotation / 90) % 4 * 90


@contextlib.contextmanager
def opened(path: Source) -> Iterator[tuple[Any, Any]]:
    """Open a video and yield (container, stream): its first video stream that is no cover picture.

    One thread decodes, and each frame's `opaque` is that of the packet it came from.

    Raises:
        VideoError: `vanished`, `empty`, `unreadable` or `no_video_stream`.
    """
    import av
    from av.codec.context import Flags, ThreadType
    from av.stream import Disposition

    container = _open(path)
    try:
        videos = [
            stream for stream in container.streams.video if stream.codec_context is not None
        ]
        moving = [
            stream for stream in videos if not stream.disposition & Disposition.attached_pic
        ]
        if not videos:
            kinds = ", ".join(stream.type for stream in container.streams) or "no stream at all"
            raise VideoError("no_video_stream", f"{path} holds no video stream; found {kinds}.")
        stream = (moving or videos)[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = ThreadType.NONE
        stream.codec_context.flags |= Flags.copy_opaque
        if stream.codec_context.name == "hevc":
            # Newer FFmpeg keeps back every HEVC picture that refers to a damaged one, up to the next key
            # frame. For H.264 the same flag would also bring the gray pictures before the first one.
            stream.codec_context.flags |= Flags.output_corrupt
        yield container, stream
    except av.FFmpegError as error:
        raise VideoError("unreadable", f"{path} cannot be read: {error.strerror}.") from error
    finally:
        container.close()


def _open(path: Source) -> Any:
    import av

    try:
        if isinstance(path, Path) and path.is_file() and path.stat().st_size == 0:
            raise empty(str(path))
        file = path.open() if isinstance(path, Remote) else str(path)
        return av.open(file, mode="r", metadata_errors="replace")
    except FileNotFoundError as error:
        raise vanished(str(path)) from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            "unreadable",
            f"{path} is no video that can be opened: {error.strerror}. Play it to see whether it is whole.",
        ) from error


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the packets of one stream in the order of the file, until its end or a read error.

    Packets without data are left out: sent to a decoder they would mean the end.
    """
    import av

    while True:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
        except IndexError:
            continue  # a stream that the header does not know begins here; reading goes on behind it
        except av.FFmpegError:
            return  # what ffmpeg does: the rest of the file is out of reach
        return


def decoded(stream: Any, packet: Any) -> list[Any] | None:
    """Return the frames that come out for a packet, or None when it cannot be decoded.

    The packet None stands for the end of the file and brings out what the decoder still held.
    """
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except av.FFmpegError:
        return None


def no_frame(path: Source) -> VideoError:
    """Return the error for a file that opens and out of which no picture came."""
    with opened(path) as (container, stream):
        first = next(packets(container, stream), None)
        if first is not None and first.has_sidedata("encryption_info"):
            return VideoError("encrypted", f"{path} is encrypted; store it decrypted.")
        codec = stream.codec_context.name
    return VideoError(
        "no_frame", f"{path} opens as {codec} video and no picture can be decoded from it."
    )
