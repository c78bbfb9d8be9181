"""Every decode process reads a clip of known pictures before it reads anything else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2  # noqa: F401 - before decord, as `decoders.decord` does it
import numpy as np
import pytest
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.registry import Registry
from anomaly.video import PixelSpec
from anomaly.video.decode import DecodeProcess
from anomaly.video.decoders import Picture, decoders
from anomaly.video.decoders.pyav import PyavDecoder
from anomaly.video.golden import GOLDEN, N_FRAMES, check_decoder, write_golden
from tests.video.usable import skip_unless_usable


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    check_decoder.cache_clear()
    yield
    check_decoder.cache_clear()


@pytest.mark.parametrize("name", decoders().names())
def test_every_decoder_passes_quickly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_usable(name, monkeypatch)
    check_decoder(name)
    check_decoder.cache_clear()
    begun = time.process_time()
    check_decoder(name)
    assert time.process_time() - begun < 0.5


def test_the_clip_is_the_one_that_is_written_today(tmp_path: Path) -> None:
    write_golden(tmp_path / "golden.mp4")
    readers = [PyavDecoder(), PyavDecoder()]
    kept, written = (
        next(reader.frames(path, PixelSpec(), N_FRAMES))
        for reader, path in zip(readers, (GOLDEN, tmp_path / "golden.mp4"), strict=True)
    )
    difference = kept.pixels_BHWC.astype(float) - written.pixels_BHWC
    assert np.abs(difference).mean() < 2


def test_the_clip_has_frames_that_refer_to_later_ones() -> None:
    import av

    with av.open(str(GOLDEN)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    shown = [packet.pts for packet in packets]
    assert shown != sorted(shown)
    assert sum(packet.is_keyframe for packet in packets) == 2


def _swapped(pictures: list[Picture]) -> list[Picture]:
    first, second = pictures[4], pictures[5]
    pictures[4] = Picture(second.pixels_HWC, 4, first.seconds)
    pictures[5] = Picture(first.pixels_HWC, 5, second.seconds)
    return pictures


def _repeated(pictures: list[Picture]) -> list[Picture]:
    return [
        Picture(pictures[max(0, p.index - 1)].pixels_HWC, p.index, p.seconds) for p in pictures
    ]


def _red_is_blue(pictures: list[Picture]) -> list[Picture]:
    return [Picture(p.pixels_HWC[:, :, ::-1], p.index, p.seconds) for p in pictures]


def _one_short(pictures: list[Picture]) -> list[Picture]:
    return pictures[:-1]


@pytest.mark.parametrize("fault", [_swapped, _repeated, _red_is_blue, _one_short])
def test_a_decoder_that_gives_wrong_pictures_is_refused(
    fault: Callable[[list[Picture]], list[Picture]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(PyavDecoder):
        @override
        def pictures(self, path: Path, pixels: PixelSpec) -> Iterator[Picture]:
            yield from fault(list(super().pictures(path, pixels)))

    monkeypatch.setattr(Registry, "get", lambda self, name: Faulty)
    with pytest.raises(SpecError, match="'pyav' fails on the clip"):
        check_decoder("pyav")


def test_a_faulty_decoder_ends_the_run_before_it_reads_a_video(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4")
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import anomaly.video.golden as golden
        golden._MOST_LEVELS_OFF = 0.0
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with DecodeProcess() as process, pytest.raises(SpecError, match="levels off"):
        list(process.frames(path, "file", PixelSpec()))


def test_pictures_in_png_are_read_after_decord_was_loaded() -> None:
    pytest.importorskip("decord")
    code = (
        "from anomaly.video.golden import check_decoder\n"
        "for name in ('decord', 'images'): check_decoder(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
