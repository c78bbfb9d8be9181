"""Real files of odd kinds: what comes out is what ffmpeg gets out of them.

The counts were made with ffmpeg 5.1.9 (Debian 12), one file at a time:

    ffmpeg -nostdin -i FILE -map 0:v:0 -fps_mode passthrough -f null -

and reading the last `frame=`; nothing printed counts as 0. Damaged copies are made below, in the same way
whenever the tests run, and were counted with the same command.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anomaly.errors import VideoError
from anomaly.video import DecodeReport, PixelSpec
from anomaly.video.decode import DecodeProcess

pytestmark = pytest.mark.data

SMALL = PixelSpec(color="gray", resize="limit_height", height=120)

FRAMES_OF_FFMPEG = {
    "av1_video.mkv": 125,
    "bbb_sunflower_QCIF_30fps_mp4v_noaudio_1f.mp4": 1,
    "bigbuckbunny.mp4": 132,
    "bikes.mp4": 250,
    "bt709_full_range.mp4": 30,
    "carphone_distorted.mp4": 120,
    "carphone_pristine.mp4": 120,
    "cockatoo.mp4": 280,
    "cockatoo_yuv420.mp4": 280,
    "corrupted.mp4": 49,
    "demo.mp4": 280,
    "flipping_a_pancake.mkv": 310,
    "h264_10bits.mp4": 30,
    "h265_10bits.mp4": 30,
    "h265_video.mp4": 10,
    "hevc_white_frame.mp4": 1,
    "issue53_brightness_change.avi": 59,
    "minimal.mp4": 1,
    "nasa_13013.mp4": 325,
    "realshort.mp4": 36,
    "sample_video.mp4": 290,
    "scene_cuts.mp4": 250,
    "test.avi": 164,
    "test.mp4": 300,
    "test_clip_10s.mp4": 240,
    "test_video.mp4": 3678,
    "test_video_30s.mp4": 720,
    "tiny_av1.mp4": 1,
    "traffic_camera.mp4": 576,
    "traffic_camera_vfr.mp4": 576,
    "unordered.mov": 4,
    "v_GGSY1Qvo990.mp4": 355,
    "video_0.mov": 3,
    "video_180.mov": 3,
    "video_270.mov": 3,
    "video_90.mov": 3,
    "video_rotation_90.mp4": 1,
    "white.mp4": 300,
}
CODES_WHERE_FFMPEG_FINDS_NONE = {
    "bipbop_nonfragment_header.mp4": "no_frame",
    "chunk_out_of_range.mp4": "unreadable",
    "short-cenc.mp4": "encrypted",
}
FRAMES_OF_FFMPEG_WHEN_DAMAGED = {
    "test_clip_10s.mp4": (239, 240),
    "flipping_a_pancake.mkv": (45, 54),
    "bikes.mp4": (248, 248),
    "test.avi": (109, 146),
    "issue53_brightness_change.avi": (58, 59),
    "h265_10bits.mp4": (26, 26),
    "nasa_13013.mp4": (321, 323),
}
LONG = {"test_video.mp4"}


@pytest.fixture(scope="module")
def process() -> Iterator[DecodeProcess]:
    with DecodeProcess() as running:
        yield running


def read(process: DecodeProcess, path: Path) -> tuple[list[int], list[float], DecodeReport]:
    stream = process.frames(path, "file", SMALL)
    index: list[int] = []
    seconds: list[float] = []
    for batch in stream:
        index += batch.index_B.tolist()
        seconds += batch.seconds_B.tolist()
    return index, seconds, stream.report


def damage(source: Path, copy: Path, seed: int) -> Path:
    """Copy a file with 20 stretches of 200 bytes overwritten, none in its first twentieth or last tenth."""
    data = bytearray(source.read_bytes())
    generator = np.random.default_rng(seed)
    for start in generator.integers(len(data) // 20, len(data) * 9 // 10, 20):
        length = min(200, len(data) - start)
        data[start : start + length] = generator.bytes(length)
    copy.write_bytes(data)
    return copy


def test_the_tables_name_every_file(shared_data: Path) -> None:
    there = {path.name for path in (shared_data / "odd_videos").iterdir()}
    assert there == {*FRAMES_OF_FFMPEG, *CODES_WHERE_FFMPEG_FINDS_NONE}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in FRAMES_OF_FFMPEG],
)
def test_as_many_frames_come_out_as_ffmpeg_finds(
    name: str, shared_data: Path, process: DecodeProcess
) -> None:
    index, seconds, report = read(process, shared_data / "odd_videos" / name)
    assert len(index) == FRAMES_OF_FFMPEG[name]
    assert report.n_decoded == len(index)
    assert report.n_damaged == (1 if name == "corrupted.mp4" else 0)
    assert report.n_frames == len(index) + report.n_damaged
    assert seconds[0] == 0
    assert np.all(np.diff(seconds) >= 0)
    assert report.duration_seconds >= seconds[-1]
    assert report.decoder == "pyav"


@pytest.mark.parametrize("name", CODES_WHERE_FFMPEG_FINDS_NONE)
def test_a_file_without_pictures_has_a_reason(
    name: str, shared_data: Path, process: DecodeProcess
) -> None:
    path = shared_data / "odd_videos" / name
    for attempt in (process.probe, lambda path: read(process, path)):
        with pytest.raises(VideoError, match=name) as raised:
            attempt(path)
        assert raised.value.code == CODES_WHERE_FFMPEG_FINDS_NONE[name]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", FRAMES_OF_FFMPEG_WHEN_DAMAGED)
def test_of_a_damaged_file_at_least_what_ffmpeg_recovers_comes_out(
    name: str, seed: int, shared_data: Path, process: DecodeProcess, tmp_path: Path
) -> None:
    broken = damage(shared_data / "odd_videos" / name, tmp_path / name, seed)
    index, _, report = read(process, broken)
    assert len(index) >= 0.95 * FRAMES_OF_FFMPEG_WHEN_DAMAGED[name][seed]
    assert report.n_damaged == report.n_frames - len(index)


def test_a_hole_shifts_no_frame_behind_it(
    shared_data: Path, process: DecodeProcess, tmp_path: Path
) -> None:
    whole = shared_data / "odd_videos" / "test_clip_10s.mp4"
    _, healthy_seconds, _ = read(process, whole)
    index, seconds, report = read(process, damage(whole, tmp_path / "broken.mp4", 0))
    assert report.n_damaged > 0
    assert seconds == [healthy_seconds[place] for place in index]


def test_the_frame_rate_of_a_variable_rate_file_shows_in_its_seconds(
    shared_data: Path, process: DecodeProcess
) -> None:
    _, seconds, report = read(process, shared_data / "odd_videos" / "traffic_camera_vfr.mp4")
    gaps = np.diff(seconds)
    assert gaps.max() > 1.5 * gaps.min() > 0
    assert report.duration_seconds == pytest.approx(34.4, abs=0.3)


@pytest.mark.parametrize(
    ("name", "degrees", "height", "width"),
    [
        ("video_0.mov", 0, 320, 568),
        ("video_90.mov", 90, 568, 320),
        ("video_180.mov", 180, 320, 568),
        ("video_270.mov", 270, 568, 320),
        ("video_rotation_90.mp4", 90, 100, 60),
    ],
)
def test_pictures_are_turned_as_a_player_turns_them(
    name: str, degrees: int, height: int, width: int, shared_data: Path, process: DecodeProcess
) -> None:
    path = shared_data / "odd_videos" / name
    facts = process.probe(path)
    assert (facts.rotation, facts.shown_size) == (degrees, (height, width))
    batch = next(iter(process.frames(path, "file", PixelSpec(color="gray"))))
    assert batch.pixels_BHWC.shape[1:] == (height, width, 1)
