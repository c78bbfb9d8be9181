"""Frames that cannot be decoded: skipped, repeated, or the end of the video; and key frames alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from anomaly.errors import VideoError
from anomaly.video import FrameBatch, PixelSpec, Video
from anomaly.video import decode as decoding
from anomaly.video.decode import DecodeProcess
from anomaly.video.decoders import Decoder, Picture, decoders
from anomaly.video.decoders.pyav import PyavDecoder

RATE = 10


class Holes(Decoder):
    """Frames of one pixel that holds their number; some are missing."""

    name = "holes"

    def __init__(self, n_frames: int, good: set[int]) -> None:
        super().__init__()
        self.n_frames, self.good = n_frames, good

    @override
    def pictures(self, path: Path, pixels: PixelSpec):
        self.video = Video(
            n_frames=self.n_frames, rate=Fraction(RATE), height=1, width=1, codec="", rotation=0
        )
        self.duration_seconds = self.n_frames / RATE
        for index in sorted(self.good):
            self.n_decoded += 1
            if index % pixels.stride == 0:
                yield Picture(np.full((1, 1, 1), index, np.uint8), index, index / RATE)


def read(decoder: Decoder, pixels: PixelSpec, path: Path = Path()) -> FrameBatch:
    batches = list(decoder.frames(path, pixels, 7))
    return FrameBatch(
        np.concatenate([batch.pixels_BHWC for batch in batches]),
        np.concatenate([batch.index_B for batch in batches]),
        np.concatenate([batch.seconds_B for batch in batches]),
    )


@given(st.integers(1, 40), st.data(), st.integers(1, 4))
def test_repeated_frames_leave_no_hole_and_take_the_picture_before(
    n_frames: int, data: st.DataObject, stride: int
) -> None:
    good = data.draw(st.sets(st.integers(0, n_frames - 1), min_size=1))
    wanted = sorted(index for index in good if index % stride == 0)
    if not wanted:
        return
    decoder = Holes(n_frames, good)
    found = read(decoder, PixelSpec(bad_frames="repeat", stride=stride))
    assert found.index_B.tolist() == list(range(0, n_frames, stride))
    np.testing.assert_allclose(found.seconds_B, found.index_B / RATE)
    before = [
        max((one for one in wanted if one <= i), default=wanted[0]) for i in found.index_B
    ]
    assert found.pixels_BHWC[:, 0, 0, 0].tolist() == before
    assert decoder.report().n_damaged == n_frames - len(good)


@pytest.fixture
def damaged(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """A clip of 60 frames, some of which in the middle cannot be decoded."""
    import av

    path = make_video(tmp_path / "damaged.mp4", frames=60)
    with av.open(str(path)) as container:
        packets = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[30:33]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def test_bad_frames_are_counted_whatever_becomes_of_them(damaged: Path) -> None:
    skipping, repeating = PyavDecoder(), PyavDecoder()
    skipped = read(skipping, PixelSpec(), damaged)
    repeated = read(repeating, PixelSpec(bad_frames="repeat"), damaged)
    lost = skipping.report().n_damaged
    assert lost >= 3
    assert len(skipped) == 60 - lost
    assert repeated.index_B.tolist() == list(range(60))
    assert repeating.report().n_damaged == lost
    np.testing.assert_array_equal(repeated.pixels_BHWC[skipped.index_B], skipped.pixels_BHWC)


def test_a_video_may_be_refused_for_its_bad_frames(
    damaged: Path, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(VideoError, match="of 60 frames cannot be decoded") as raised:
        read(PyavDecoder(), PixelSpec(bad_frames="fail"), damaged)
    assert raised.value.code == "frames_lost"
    whole = make_video(tmp_path / "whole.mp4", frames=20)
    assert len(read(PyavDecoder(), PixelSpec(bad_frames="fail"), whole)) == 20


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_key_frames_alone_keep_their_numbers_and_pictures(suffix: str, tmp_path: Path) -> None:
    import av

    path = tmp_path / f"keys.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"crf": "18", "g": "12", "bf": "2", "sc_threshold": "0"}
        for number in range(50):
            picture = np.full((48, 64, 3), number * 4, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    every = read(PyavDecoder(), PixelSpec(), path)
    reader = PyavDecoder()
    keys = read(reader, PixelSpec(frames="key"), path)
    assert keys.index_B.tolist() == [0, 12, 24, 36, 48]
    np.testing.assert_array_equal(keys.pixels_BHWC, every.pixels_BHWC[keys.index_B])
    np.testing.assert_allclose(keys.seconds_B, every.seconds_B[keys.index_B])
    report = reader.report()
    assert (report.n_frames, report.n_damaged) == (50, 0)


def test_a_decoder_that_reads_no_key_frames_alone_says_so(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("decord")
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(
        VideoError, match=r"decord cannot read the key frames of .*a\.mp4 alone"
    ):
        read(decoders().get("decord")(), PixelSpec(frames="key"), path)


def test_a_video_that_takes_many_times_its_time_is_stopped_in_both_decoders(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "long.mp4", frames=300, height=240, width=360)
    monkeypatch.setattr(decoding, "_LEAST_BUDGET_SECONDS", 0.0)
    with DecodeProcess() as process:
        usual = process.decode(path, "file", PixelSpec(), lambda frames: sum(map(len, frames)))
        assert usual == 300
        assert process.speed.megapixels == pytest.approx(300 * 240 * 360 / 1e6)
        process.speed.seconds, process.speed.megapixels = 1e-6, 1e3
        with pytest.raises(
            VideoError, match=r"pyav was still at .* Then decord failed"
        ) as raised:
            process.decode(path, "file", PixelSpec(), lambda frames: sum(map(len, frames)))
    assert raised.value.code == "too_slow"
