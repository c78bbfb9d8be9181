"""What every decoder promises; a new file in video/decoders is tested here without another edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomaly.errors import VideoError
from anomaly.video import FrameBatch, PixelSpec
from anomaly.video.decoders import Decoder, decoders
from tests.video.usable import skip_unless_usable

N_FRAMES = 23
HEIGHT, WIDTH = 96, 128


@pytest.fixture(params=decoders().names())
def decoder(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Decoder]:
    skip_unless_usable(request.param, monkeypatch)
    return decoders().get(request.param)


@pytest.fixture
def source(
    decoder: Callable[[], Decoder], make_video: Callable[..., Path], tmp_path: Path
) -> Path:
    """What the decoder reads: the same moving square, as a file or as a folder of images."""
    path = make_video(
        tmp_path / "square.mp4", frames=N_FRAMES, height=HEIGHT, width=WIDTH, rate=25
    )
    if decoder().name != "images":
        return path
    folder = tmp_path / "square"
    folder.mkdir()
    for batch in decoders().get("pyav")().frames(path, PixelSpec(), 8):
        for number, picture in zip(batch.index_B, batch.pixels_BHWC, strict=True):
            cv2.imwrite(str(folder / f"{number + 1}.png"), picture[:, :, ::-1])
    return folder


def joined(batches: list[FrameBatch]) -> np.ndarray:
    return np.concatenate([batch.pixels_BHWC for batch in batches])


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_all_frames_come_in_order_in_the_asked_colour(
    decoder: Callable[[], Decoder], source: Path, color: str
) -> None:
    reader = decoder()
    batches = list(reader.frames(source, PixelSpec(color=color), 8))
    assert [len(batch) for batch in batches] == [8, 8, 7]
    pixels = joined(batches)
    assert pixels.shape == (N_FRAMES, HEIGHT, WIDTH, 3 if color == "rgb" else 1)
    assert pixels.dtype == np.uint8
    index = np.concatenate([batch.index_B for batch in batches])
    seconds = np.concatenate([batch.seconds_B for batch in batches])
    assert index.tolist() == list(range(N_FRAMES))
    np.testing.assert_allclose(seconds, np.arange(N_FRAMES) / 25, atol=1e-3)
    left = (pixels[:, HEIGHT // 3 + 12, :, 0] > 215).argmax(axis=1)
    np.testing.assert_allclose(left, np.arange(N_FRAMES) * 3, atol=2)
    report = reader.report()
    assert (report.n_frames, report.n_decoded, report.n_damaged) == (N_FRAMES, N_FRAMES, 0)
    assert report.duration_seconds == pytest.approx(N_FRAMES / 25, abs=0.05)
    assert (report.video.height, report.video.width) == (HEIGHT, WIDTH)
    assert report.decoder == reader.name


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_frames_do_not_depend_on_the_size_of_batches(
    decoder: Callable[[], Decoder], source: Path, batch: int
) -> None:
    pixels = joined(list(decoder().frames(source, PixelSpec(), batch)))
    np.testing.assert_array_equal(
        pixels, joined(list(decoder().frames(source, PixelSpec(), 8)))
    )


def test_a_stride_drops_frames_and_counts_them(
    decoder: Callable[[], Decoder], source: Path
) -> None:
    reader = decoder()
    every = joined(list(decoder().frames(source, PixelSpec(), 8)))
    batches = list(reader.frames(source, PixelSpec(stride=5), 8))
    assert np.concatenate([batch.index_B for batch in batches]).tolist() == [0, 5, 10, 15, 20]
    np.testing.assert_array_equal(joined(batches), every[::5])
    assert reader.report().n_decoded == N_FRAMES


@pytest.mark.parametrize(
    "pixels",
    [
        PixelSpec(resize="exact", height=56, width=60),
        PixelSpec(resize="short_side", height=48, color="gray"),
        PixelSpec(resize="short_side", height=120, filter="bicubic"),
        PixelSpec(resize="limit_height", height=40, filter="bilinear"),
        PixelSpec(resize="limit_height", height=400, filter="lanczos", color="gray"),
    ],
)
def test_pictures_have_the_asked_size_and_look_like_a_plain_resize(
    decoder: Callable[[], Decoder], source: Path, pixels: PixelSpec
) -> None:
    full = joined(list(decoder().frames(source, PixelSpec(color=pixels.color), 8)))
    small = joined(list(decoder().frames(source, pixels, 8)))
    height, width = pixels.output_size(HEIGHT, WIDTH)
    assert small.shape[1:3] == (height, width)
    plain = cv2.resize(full[7], (width, height), interpolation=cv2.INTER_AREA).reshape(
        small[7].shape
    )
    assert np.abs(plain.astype(float) - small[7]).mean() < 8


def test_gray_is_the_brightness_of_the_colours(
    decoder: Callable[[], Decoder], source: Path
) -> None:
    gray = joined(list(decoder().frames(source, PixelSpec(color="gray"), 8)))[:, :, :, 0]
    rgb = joined(list(decoder().frames(source, PixelSpec(), 8)))
    expected = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in rgb])
    assert np.abs(gray.astype(float) - expected).mean() < 1.5


def test_what_is_no_video_is_refused_by_name(
    decoder: Callable[[], Decoder], tmp_path: Path
) -> None:
    file = tmp_path / "bad.mp4"
    file.write_bytes(b"0123456789" * 1000)
    for path in (file, tmp_path / "missing"):
        with pytest.raises(VideoError, match=path.name) as raised:
            list(decoder().frames(path, PixelSpec(), 8))
        assert raised.value.code in {"unreadable", "vanished"}


def test_progress_is_told(decoder: Callable[[], Decoder], source: Path) -> None:
    beats: list[int] = []
    list(decoder(lambda: beats.append(1)).frames(source, PixelSpec(stride=1000), 8))  # type: ignore[call-arg]
    assert len(beats) >= N_FRAMES
