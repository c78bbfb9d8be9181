"""The timeline of packets, and streams that do not keep the rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.errors import VideoError
from anomaly.video import PixelSpec
from anomaly.video.decoders.images import ImagesDecoder
from anomaly.video.decoders.pyav import (
    UNKNOWN,
    PyavDecoder,
    Timeline,
    build_timeline,
    read_timeline,
)

MakeVideo = Callable[..., Path]


def timeline(
    shown: list[int], decoded: list[int] | None = None, *, reorders: bool = True
) -> Timeline:
    return build_timeline(
        np.array(shown, dtype=np.int64),
        np.array(range(len(shown)) if decoded is None else decoded, dtype=np.int64),
        seconds_per_tick=0.1,
        seconds_per_frame=0.04,
        reorders=reorders,
    )


def read(
    path: Path, pixels: PixelSpec | None = None
) -> tuple[list[int], list[float], np.ndarray]:
    batches = list(PyavDecoder().frames(path, pixels or PixelSpec(color="gray"), 16))
    index = [int(i) for batch in batches for i in batch.index_B]
    seconds = [float(s) for batch in batches for s in batch.seconds_B]
    return index, seconds, np.concatenate([batch.pixels_BHWC for batch in batches])


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=60))
def test_ranks_sort_the_times_and_keep_the_order_of_equal_ones(shown: list[int]) -> None:
    built = timeline(shown, reorders=False)
    order = sorted(range(len(shown)), key=lambda number: shown[number])
    assert [order[rank] for rank in built.rank_N] == list(range(len(shown)))
    assert built.seconds_T[0] == 0
    assert np.all(np.diff(built.seconds_T) >= 0)
    np.testing.assert_allclose(built.seconds_T[-1], (max(shown) - min(shown)) * 0.1)


@given(
    st.lists(st.one_of(st.just(UNKNOWN), st.integers(-1000, 1000)), max_size=40),
    st.lists(st.one_of(st.just(UNKNOWN), st.integers(-1000, 1000)), min_size=40, max_size=40),
    st.booleans(),
)
def test_any_times_give_a_ranking_and_seconds_that_never_fall(
    shown: list[int], decoded: list[int], reorders: bool
) -> None:
    built = timeline(shown, decoded[: len(shown)], reorders=reorders)
    assert sorted(built.rank_N.tolist()) == list(range(len(shown)))
    assert np.all(np.diff(built.seconds_T) >= 0)
    assert built.duration_seconds >= 0


def test_joined_recordings_follow_on_each_other() -> None:
    built = timeline([10, 13, 11, 12, 10, 13, 11, 12], [0, 1, 2, 3, 0, 1, 2, 3])
    assert built.rank_N.tolist() == [0, 3, 1, 2, 4, 7, 5, 6]
    np.testing.assert_allclose(built.seconds_T, np.arange(8) * 0.1)


def test_times_nobody_tells_come_from_the_nominal_rate() -> None:
    built = timeline([UNKNOWN] * 3, [UNKNOWN] * 3, reorders=False)
    np.testing.assert_allclose(built.seconds_T, [0, 0.04, 0.08])
    assert built.reorder == 0


def remux(
    source: Path, target: Path, keep: Callable[[int], bool] = lambda number: True
) -> Path:
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(reader.demux(reader.streams.video[0])):
            if packet.dts is not None and keep(number):
                packet.stream = stream
                writer.mux(packet)
    return target


@pytest.mark.parametrize("name", ["copy.ts", "copy.mkv", "copy.mov", "copy.avi", "copy.h264"])
def test_a_file_with_b_frames_gives_the_same_frames_in_any_container(
    name: str, make_video: MakeVideo, tmp_path: Path
) -> None:
    original = make_video(tmp_path / "a.mp4", frames=60)
    with av.open(str(original)) as container:
        assert any(
            packet.pts != packet.dts for packet in container.demux(video=0) if packet.size
        )
    annex_b = remux(original, tmp_path / "annex_b.ts")
    index, _, pixels = read(original)
    other_index, other_seconds, other_pixels = read(remux(annex_b, tmp_path / name))
    assert index == other_index == list(range(60))
    np.testing.assert_array_equal(pixels, other_pixels)
    assert np.all(np.diff(other_seconds) > 0)


def test_a_stream_cut_at_its_start_keeps_what_can_be_decoded(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    whole = remux(make_video(tmp_path / "a.mp4", frames=600), tmp_path / "whole.ts")
    data = whole.read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[len(data) // 4 // 188 * 188 :])
    decoder = PyavDecoder()
    frames = list(decoder.frames(cut, PixelSpec(color="gray"), 16))
    report = decoder.report()
    assert 0 < report.n_decoded < report.n_frames < 600
    last_pixels = frames[-1].pixels_BHWC[-1]
    np.testing.assert_array_equal(last_pixels, read(whole)[2][-1])


def test_two_recordings_joined_byte_by_byte_count_on(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    part = remux(make_video(tmp_path / "a.mp4", frames=40), tmp_path / "a.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    index, seconds, _ = read(joined)
    assert index == list(range(80))
    assert np.all(np.diff(seconds) > 0)
    assert seconds[-1] == pytest.approx(7.9, abs=0.2)


def test_pictures_that_change_size_are_scaled_to_the_first_one(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    small = remux(
        make_video(tmp_path / "a.mp4", frames=20, height=96, width=128), tmp_path / "a.ts"
    )
    large = remux(
        make_video(tmp_path / "b.mp4", frames=20, height=192, width=256), tmp_path / "b.ts"
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    index, _, pixels = read(joined)
    assert index == list(range(40))
    assert pixels.shape == (40, 96, 128, 1)
    # both show the same scene, at 8-pixel blocks of the same noise in other numbers: compare brightness
    assert abs(pixels[5].mean() - pixels[35].mean()) < 20


def test_a_jpeg_by_the_name_of_a_video_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    ok, data = cv2.imencode(".jpg", np.full((48, 64, 3), 77, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())
    index, seconds, pixels = read(path)
    assert (index, seconds, pixels.shape) == ([0], [0.0], (1, 48, 64, 1))
    assert abs(float(pixels.mean()) - 77) < 3


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "unreadable"),
        (lambda path: None, "vanished"),
    ],
)
def test_what_cannot_be_opened_says_why(
    make: Callable[[Path], object], code: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    make(path)
    with pytest.raises(VideoError, match=r"x\.mp4") as raised:
        read_timeline(path)
    assert raised.value.code == code


def test_sound_without_pictures_is_named_so(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="found audio") as raised:
        read_timeline(path)
    assert raised.value.code == "no_video_stream"


def test_gray_is_the_luma_plane_stretched_whatever_the_colour_matrix(tmp_path: Path) -> None:
    from anomaly.video.encode import write_video

    pictures = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "a.mp4", pictures, 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        planes = [frame.to_ndarray()[:64].astype(float) for frame in container.decode(video=0)]
    expected = np.clip(np.round((np.stack(planes) - 16) * 255 / 219), 0, 255)
    np.testing.assert_allclose(read(tmp_path / "a.mp4")[2][:, :, :, 0], expected, atol=1)


def test_an_unreadable_image_is_a_hole_in_a_folder_of_images(tmp_path: Path) -> None:
    for number in (1, 2, 3, 10):
        cv2.imwrite(str(tmp_path / f"{number:d}.tif"), np.full((20, 30), number * 10, np.uint8))
    (tmp_path / "2.tif").write_bytes(b"broken")
    (tmp_path / "cover.jpg").write_bytes(b"not a frame")
    decoder = ImagesDecoder()
    (batch,) = decoder.frames(tmp_path, PixelSpec(color="gray"), 8)
    assert batch.index_B.tolist() == [0, 2, 3]
    assert batch.pixels_BHWC[:, 0, 0, 0].tolist() == [10, 30, 100]
    report = decoder.report()
    assert (report.n_frames, report.n_decoded, report.n_damaged) == (4, 3, 1)
    assert (report.video.codec, report.video.rate) == ("tif", 25)
