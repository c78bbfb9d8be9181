"""A few frames out of a video, without decoding all before them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from anomaly.video import FrameBatch, PixelSpec
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.video.decoders.images import ImagesDecoder
from anomaly.video.decoders.pyav import PyavDecoder, read_timeline

GRAY = PixelSpec(color="gray")
FRAMES, GROUP = 60, 12


def encode(path: Path, **options: str) -> Path:
    """Write noise that drifts, in groups of a dozen frames, B-frames among them."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 96), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"g": str(GROUP), "bf": "3", "sc_threshold": "0", **options}
        for number in range(FRAMES):
            picture = np.roll(noise, number, axis=1)[:, :64]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def wanted(path: Path, *only: int) -> tuple[list[FrameBatch], PyavDecoder]:
    decoder = PyavDecoder()
    decoder.only = frozenset(only)
    return list(decoder.frames(path, GRAY, 8)), decoder


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts", "x.avi"])
@pytest.mark.parametrize("gop", ["closed", "open"])
def test_each_frame_alone_is_the_one_that_reading_everything_gives(
    tmp_path: Path, name: str, gop: str
) -> None:
    path = encode(tmp_path / name, **({"x264-params": "open-gop=1"} if gop == "open" else {}))
    whole = np.concatenate([b.pixels_BHWC for b in PyavDecoder().frames(path, GRAY, 16)])
    assert len(whole) == FRAMES
    for number in range(FRAMES):
        (batch,), _ = wanted(path, number)
        assert batch.index_B.tolist() == [number]
        np.testing.assert_array_equal(batch.pixels_BHWC[0], whole[number])


def test_decoding_starts_at_the_key_frame_before_and_ends_with_the_last_one(
    tmp_path: Path,
) -> None:
    path = encode(tmp_path / "x.mp4")
    (batch,), decoder = wanted(path, 50, 53)
    assert batch.index_B.tolist() == [50, 53]
    assert batch.seconds_B.tolist() == pytest.approx([5.0, 5.3])
    assert decoder.n_decoded <= GROUP + 1
    assert read_timeline(path).leading_to(50) in range(44, 51)


def test_a_decode_process_hands_out_the_same(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4")

    def read(stream: FrameStream) -> list[int]:
        return [int(index) for batch in stream for index in batch.index_B]

    with DecodeProcess() as process:
        assert process.decode(path, "file", GRAY, read, only=(30,)) == [30]
        assert process.decode(path, "file", GRAY, read, decoder="decord", only=(7, 9)) == [7, 9]
        assert process.decode(path, "file", GRAY, read) == list(range(FRAMES))


def test_numbered_images_are_picked_too(tmp_path: Path) -> None:
    import cv2

    for number in range(5):
        cv2.imwrite(
            str(tmp_path / f"{number}.png"), np.full((8, 8, 3), 10 * number, dtype=np.uint8)
        )
    decoder = ImagesDecoder()
    decoder.only = frozenset({3})
    (batch,) = decoder.frames(tmp_path, GRAY, 4)
    assert (batch.index_B.tolist(), int(batch.pixels_BHWC.mean())) == ([3], 30)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["sample_video.mp4", "cockatoo.mp4", "test.avi", "traffic_camera_vfr.mp4"]
)
def test_real_files_give_the_same_frames_alone(shared_data: Path, name: str) -> None:
    path = shared_data / "odd_videos" / name
    small = PixelSpec(color="gray", resize="limit_height", height=120)
    for index in (0, 31, 80):
        decoder, alone = PyavDecoder(), PyavDecoder()
        decoder.only, alone.only = frozenset(range(index + 1)), frozenset({index})
        whole = [b.pixels_BHWC for b in decoder.frames(path, small, 16)]
        (batch,) = alone.frames(path, small, 16)
        np.testing.assert_array_equal(batch.pixels_BHWC[0], np.concatenate(whole)[-1])
