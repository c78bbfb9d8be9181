"""Which of two decoders reads a kind of video faster: measured once for each codec and size.

A GPU's video engine takes a tenth of a second to begin, and small pictures cost a processor less than the
way to the GPU and back. So nobody has to know beforehand.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from anomaly.errors import VideoError
from anomaly.spec import canonical_json, to_dict
from anomaly.video import PixelSpec
from anomaly.video.decoders import Decoder
from anomaly.video.probe import probe
from anomaly.video.remote import Source

_BATCH, _BATCHES = 32, 4
"""frames, most of them, that each decoder reads"""


class Race:
    """Remembers who won, for as long as a decode process lives."""

    def __init__(self) -> None:
        self._winners: dict[str, str] = {}

    def winner(
        self,
        path: Source,
        pixels: PixelSpec,
        asked: type[Decoder],
        rival: type[Decoder],
        beat: Callable[[], None] = lambda: None,
    ) -> str:
        """Return the name of the one to read a video with: the rival where the other cannot.

        Raises:
            VideoError: the rival cannot read it either.
            SpecError: the decoder that was asked for does not work on this machine.
        """
        if not isinstance(path, Path):
            return rival.name
        video = probe(path)
        kind = canonical_json(
            [video.codec, video.height, video.width, to_dict(pixels), asked.name]
        )
        if kind not in self._winners:
            try:
                pace = _seconds_a_frame(path, pixels, asked(beat))
            except VideoError:
                return rival.name  # of this file alone nothing follows for others of its kind
            faster = pace < _seconds_a_frame(path, pixels, rival(beat))
            self._winners[kind] = asked.name if faster else rival.name
        return self._winners[kind]


def _seconds_a_frame(path: Source, pixels: PixelSpec, decoder: Decoder) -> float:
    """Time the first batches, the start counted: short files are many."""
    begun = time.perf_counter()
    frames = sum(
        len(batch) for batch in itertools.islice(decoder.frames(path, pixels, _BATCH), _BATCHES)
    )
    return (time.perf_counter() - begun) / frames
