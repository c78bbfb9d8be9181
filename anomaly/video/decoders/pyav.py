"""The default decoder: PyAV (FFmpeg), read from start to end in one thread.

The file is read twice. The first pass looks at packets only and ranks their presentation times; the second
decodes, and each frame carries the number of the packet it came from through the decoder. So a frame's
index does not depend on which other frames could be decoded.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import VideoError
from anomaly.memory import give_back
from anomaly.video import PixelSpec
from anomaly.video.decoders import Decoder, Picture
from anomaly.video.probe import clockwise, decoded, facts, no_frame, opened, packets
from anomaly.video.remote import Source

UNKNOWN = int(np.iinfo(np.int64).min)
"""stands for a time that a packet does not tell"""
_LONGEST_REORDER = 16  # frames; the most that H.264 and HEVC allow
_USUAL_RATE = 25
_FORMATS_WITHOUT_TIMES = {
    "avi"
}  # FFmpeg guesses them, wrongly where two B-frames follow each other


@dataclass(frozen=True)
class Timeline:
    """When each packet of a file is shown."""

    rank_N: NDArray[np.int64]
    """by number of the packet in the file: rank of its presentation time"""
    seconds_T: NDArray[np.float64]
    """by rank: presentation time from the first frame"""
    reorder: int
    """0 where ranks are exact. Else the file does not say when frames are shown (AVI, raw streams), ranks
    are those of decoding, and a frame may be shown up to so many places before"""
    key_N: NDArray[np.bool_] | None = None
    """by number of the packet: whether it is stored whole; None: not known"""

    def leading_to(self, frame: int) -> int:
        """Return the number of a packet from which decoding comes to a frame with all that it needs.

        That is the last key frame shown no later. Frames that are stored behind a key frame and shown
        before it may need what is stored before it; the frame itself is none of them.
        """
        if self.key_N is None or self.reorder:
            return 0
        found = np.flatnonzero(self.key_N & (self.rank_N <= frame))
        return int(found[-1]) if len(found) else 0

    @property
    def duration_seconds(self) -> float:
        """Playing time, that of the last frame included."""
        if len(self.seconds_T) < 2:
            return 0.0
        return float(self.seconds_T[-1] + np.median(np.diff(self.seconds_T)))


class PyavDecoder(Decoder):
    """Decodes with PyAV; a packet that cannot be decoded is skipped and leaves a hole in the index."""

    name = "pyav"
    reads_key_frames = True

    @override
    def pictures(self, path: Source, pixels: PixelSpec) -> Iterator[Picture]:
        timeline = read_timeline(path, self.beat)
        self.n_frames = len(timeline.rank_N)
        self.duration_seconds = timeline.duration_seconds
        with opened(path) as (container, stream):
            give_back()  # what ranking and opening took: much where there are many packets
            size = (0, 0)
            if pixels.frames == "key":
                stream.codec_context.skip_frame = "NONKEY"
                timeline = replace(
                    timeline, reorder=0
                )  # key frames are shown in their own order
            for index, frame in self._frames(path, container, stream, timeline):
                if self.video is None:
                    self.video = facts(stream, frame)
                    size = pixels.output_size(*_shown_size(frame))
                self.n_decoded += 1
                self.n_frames = max(self.n_frames, index + 1)
                if index % pixels.stride == 0:
                    seconds = timeline.seconds_T[min(index, len(timeline.seconds_T) - 1)]
                    yield Picture(_converted(frame, pixels, size), index, float(seconds))
        if self.video is None:
            raise no_frame(path)

    def _frames(
        self, path: Source, container: Any, stream: Any, timeline: Timeline
    ) -> Iterator[tuple[int, Any]]:
        """Yield (index, frame) in the order in which frames are shown."""
        index = -1
        lost: set[int] = set()
        for packet in self._numbered_packets(path, container, stream, timeline):
            frames = decoded(stream, packet)
            if frames is None and packet is not None and packet.opaque is not None:
                lost.add(packet.opaque)
            for frame in frames or ():
                index = _next_index(index, frame.opaque, timeline, lost)
                yield index, frame

    def _numbered_packets(
        self, path: Source, container: Any, stream: Any, timeline: Timeline
    ) -> Iterator[Any]:
        """Yield the packets, numbered as in the timeline, and at last None, which empties the decoder."""
        number = 0
        first = timeline.leading_to(min(self.only)) if self.only else 0
        keys_only = stream.codec_context.skip_frame == "NONKEY"
        for packet in packets(container, stream):
            self.beat()
            if not packet.is_discard:
                packet.opaque = number
                number += 1
                self.n_left_out += keys_only and not packet.is_keyframe
            if number > len(timeline.rank_N):
                raise VideoError(
                    "changing", f"{path} grew while it was read; it is still being written."
                )
            if not first or number > first:
                yield packet
            elif number == 1:
                yield packet  # it may say what holds throughout: which x264 wrote the file
                stream.codec_context.flush_buffers()
        yield None


def read_timeline(path: Source, beat: Callable[[], None] = lambda: None) -> Timeline:
    """Read all packets of a file without decoding and return when each is shown; 17 bytes a packet.

    Raises:
        VideoError: the file cannot be opened.
    """
    shown_at, decoded_at, is_key = array("q"), array("q"), bytearray()
    with opened(path) as (container, stream):
        tells_times = container.format.name not in _FORMATS_WITHOUT_TIMES
        for packet in packets(container, stream):
            beat()
            if (
                not packet.is_discard
            ):  # an edit list of the file hides the others from every player
                shown_at.append(
                    packet.pts if tells_times and packet.pts is not None else UNKNOWN
                )
                decoded_at.append(UNKNOWN if packet.dts is None else packet.dts)
                is_key.append(packet.is_keyframe)
        rate = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
        seconds_per_tick = float(stream.time_base)
        reorders = bool(stream.codec_context.has_b_frames)
    timeline = build_timeline(
        np.frombuffer(shown_at, dtype=np.int64),
        np.frombuffer(decoded_at, dtype=np.int64),
        seconds_per_tick=seconds_per_tick,
        seconds_per_frame=1 / rate,
        reorders=reorders,
    )
    return replace(timeline, key_N=np.frombuffer(is_key, dtype=np.bool_))


def build_timeline(
    shown_N: NDArray[np.int64],
    decoded_N: NDArray[np.int64],
    *,
    seconds_per_tick: float,
    seconds_per_frame: float,
    reorders: bool,
) -> Timeline:
    """Rank the presentation times of packets, given in ticks or `UNKNOWN`, in the order of the file.

    Where decoding times run backwards a new stretch begins, as in recordings that were joined: it ranks
    behind all that came before, and its seconds follow on. Packets shown at one time keep their order.

    Args:
        shown_N: presentation times.
        decoded_N: decoding times.
        seconds_per_tick: unit of both.
        seconds_per_frame: nominal; used where the file tells no times.
        reorders: frames are decoded in another order than shown.
    """
    times_are_exact = not np.any(shown_N == UNKNOWN) and not (
        reorders and len(shown_N) > 1 and np.array_equal(shown_N, decoded_N)
    )
    times_N = shown_N if times_are_exact else decoded_N
    reorder = _LONGEST_REORDER if reorders and not times_are_exact else 0
    if np.any(times_N == UNKNOWN):
        numbers = np.arange(len(times_N), dtype=np.int64)
        return Timeline(numbers, np.multiply(numbers, seconds_per_frame), reorder)
    order_T = np.lexsort((times_N, _stretches(decoded_N)))
    rank_N = np.empty_like(order_T)
    rank_N[order_T] = np.arange(len(order_T))
    return Timeline(rank_N, _seconds(times_N[order_T], seconds_per_tick), reorder)


def _stretches(decoded_N: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the number of the stretch that each packet belongs to."""
    stretch_N = np.zeros(len(decoded_N), dtype=np.int32)
    if not np.any(decoded_N == UNKNOWN):
        np.cumsum(decoded_N[1:] < decoded_N[:-1], out=stretch_N[1:])
    return stretch_N


def _seconds(ticks_T: NDArray[np.int64], seconds_per_tick: float) -> NDArray[np.float64]:
    """Return presentation times from the first one, given in ticks that jump back between stretches."""
    gaps = np.diff(ticks_T)
    forward = gaps[gaps > 0]
    gaps[gaps < 0] = int(np.median(forward)) if len(forward) else 0
    seconds_T = np.zeros(len(ticks_T))
    np.multiply(np.cumsum(gaps, out=gaps), seconds_per_tick, out=seconds_T[1:])
    return seconds_T


def _next_index(last: int, number: int | None, timeline: Timeline, lost: set[int]) -> int:
    """Return the index of the frame that comes out of the decoder after the one with index `last`."""
    index = last + 1
    if number is None:  # a second frame out of one packet
        return index
    rank = int(timeline.rank_N[number])
    if not timeline.reorder:
        return max(index, rank)
    while index in lost:
        index += 1
    return max(index, rank - timeline.reorder)


def _shown_size(frame: Any) -> tuple[int, int]:
    """Return (height, width) of the picture after rotation."""
    size = (frame.height, frame.width)
    return size if clockwise(frame) % 180 == 0 else size[::-1]


def _is_shrunk_from_halved_colour(frame: Any, height: int, width: int) -> bool:
    """Say whether a picture gets smaller and stores colour at half its size, as nearly all videos do."""
    halved = frame.format.name in {"yuv420p", "yuvj420p"}
    return halved and height < frame.height and width < frame.width


def _converted(frame: Any, pixels: PixelSpec, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the frame, rotated as a player does, at `size` (height, width) and in the asked colour."""
    from av.video.reformatter import Colorspace, Interpolation

    turns = clockwise(frame) // 90
    height, width = size if turns % 2 == 0 else size[::-1]
    # Gray is the luma plane, stretched to 0 - 255. With two equal matrices the scaler leaves it alone; for
    # any other pair it would go through RGB and come back with the luma of another standard.
    matrix = Colorspace.ITU601 if pixels.color == "gray" else None
    interpolation = Interpolation[pixels.filter.upper()]
    if pixels.color == "rgb" and _is_shrunk_from_halved_colour(frame, height, width):
        # The scaler is slow where it has to change colour and size at once; and in two steps its pictures
        # are nearer to those of a plain resize of the full picture.
        frame = frame.reformat(width, height, interpolation=interpolation, threads=1)
    converted = frame.reformat(
        width=width,
        height=height,
        format="gray" if pixels.color == "gray" else "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation=interpolation,
        threads=1,
    )
    picture_HWC = converted.to_ndarray().reshape(height, width, -1)
    return np.ascontiguousarray(np.rot90(picture_HWC, -turns))
