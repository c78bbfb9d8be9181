"""nvdec reads what it reads faster; PyAV reads the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from anomaly.errors import SpecError, VideoError
from anomaly.video import PixelSpec
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.video.decoders import Decoder, Picture, decoders, nvdec
from anomaly.video.decoders.pyav import PyavDecoder
from anomaly.video.race import Race
from tests.video.usable import skip_unless_usable

GRAY = PixelSpec(color="gray")


@pytest.fixture
def video(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    return make_video(tmp_path / "square.mp4", frames=40, height=96, width=128, rate=25)


class Asked(PyavDecoder):
    """Takes part in a race with the real PyAV; how quick it is, a test says."""

    name = "asked"
    rival = "pyav"


class Unable(Asked):
    @override
    def pictures(self, path: Path, pixels: PixelSpec) -> Iterator[Picture]:  # type: ignore[override]
        raise VideoError("unreadable", "no such codec in the engine")
        yield


def paces(monkeypatch: pytest.MonkeyPatch, seconds: dict[type[Decoder], float]) -> list[str]:
    """Let decoders take so many seconds a frame; return the list of those that were timed."""
    timed: list[str] = []

    def pace(path: Path, pixels: PixelSpec, decoder: Decoder) -> float:
        del path, pixels
        timed.append(decoder.name)
        return seconds[type(decoder)]

    monkeypatch.setattr("anomaly.video.race._seconds_a_frame", pace)
    return timed


@pytest.mark.parametrize(("slow", "winner"), [(0.5, "asked"), (2.0, "pyav")])
def test_the_faster_one_reads_every_video_of_a_kind_and_is_found_once(
    video: Path, monkeypatch: pytest.MonkeyPatch, slow: float, winner: str
) -> None:
    timed = paces(monkeypatch, {Asked: slow, PyavDecoder: 1.0})
    race = Race()
    assert race.winner(video, GRAY, Asked, PyavDecoder) == winner
    assert race.winner(video, GRAY, Asked, PyavDecoder) == winner
    assert timed == ["asked", "pyav"]
    race.winner(video, PixelSpec(), Asked, PyavDecoder)
    assert len(timed) == 4


def test_a_race_over_real_frames_has_a_winner(video: Path) -> None:
    assert Race().winner(video, GRAY, Asked, PyavDecoder) in {"asked", "pyav"}


def test_one_that_cannot_read_a_video_loses_by_that_video_alone(video: Path) -> None:
    race = Race()
    assert race.winner(video, GRAY, Unable, PyavDecoder) == "pyav"
    assert race._winners == {}


def test_without_a_gpu_the_request_is_refused_in_words(video: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with (
        DecodeProcess() as process,
        pytest.raises(SpecError, match=r"nvdec.*se --decoder pyav"),
    ):
        process.decode(video, "file", GRAY, list, decoder="nvdec")


def test_a_video_that_nvdec_gives_up_is_read_by_pyav(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = DecodeProcess()
    monkeypatch.setattr(process, "_winner", lambda *_: "nvdec")
    asked: list[str] = []

    def read(stream: FrameStream) -> int:
        asked.append(stream.decoder)
        if stream.decoder == "nvdec":
            raise VideoError("unreadable", "an error in the middle")
        return sum(map(len, stream))

    with process:
        assert process.decode(video, "file", GRAY, read, decoder="nvdec") == 40
        assert asked == ["nvdec", "pyav"]
        assert process.decode(video, "file", GRAY, read, decoder="nvdec", only=(7,)) == 1
    assert asked[2:] == ["pyav"]


def test_its_frames_are_those_of_pyav(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_usable("nvdec", monkeypatch)
    pixels = PixelSpec(color="gray", resize="limit_height", height=48, stride=3)
    ours, theirs = (
        next(iter(decoders().get(name)().frames(video, pixels, 64)))
        for name in ("nvdec", "pyav")
    )
    np.testing.assert_array_equal(ours.index_B, theirs.index_B)
    np.testing.assert_array_equal(ours.seconds_B, theirs.seconds_B)
    assert np.abs(ours.pixels_BHWC.astype(float) - theirs.pixels_BHWC).mean() < 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_frames_from_content": 39}, "finds 39 frames for 40 packets"),
        ({"rotation": 90.0}, "pictures are turned"),
    ],
)
def test_what_it_might_read_otherwise_is_left_to_pyav(
    video: Path, change: dict[str, object], words: str
) -> None:
    from types import SimpleNamespace

    from anomaly.video.decoders.pyav import read_timeline

    metadata = SimpleNamespace(**{"num_frames_from_content": 40, "rotation": None, **change})
    with pytest.raises(VideoError, match=words):
        nvdec._facts(video, metadata, read_timeline(video))
