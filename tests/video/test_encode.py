"""Videos that we write ourselves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anomaly.errors import SpecError
from anomaly.video.encode import write_video


def pictures(*shape: int, count: int = 30) -> np.ndarray:
    ramp = np.linspace(0, 200, int(np.prod(shape))).reshape(shape)
    return np.stack([ramp + number for number in range(count)]).astype(np.uint8)


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64, 1), (48, 64), (47, 63, 3), (47, 63)])
def test_every_browser_can_play_what_is_written(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clip.mp4"
    assert write_video(path, pictures(*shape), Fraction(25, 2)) == 30
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.profile, stream.average_rate, stream.frames) == (
            "Main",
            Fraction(25, 2),
            30,
        )
        assert (stream.height, stream.width) == (48, 64)
        shown = np.stack(
            [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
        )
    written = pictures(*shape).reshape(30, *shape[:2], -1).mean(axis=3)
    assert np.abs(shown[:, : shape[0], : shape[1]] - written).mean() < 4
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, iter(pictures(48, 64)), 10, crf=30)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_pictures_are_taken_one_at_a_time(tmp_path: Path) -> None:
    alive: list[int] = []

    def endless() -> object:
        for number in range(200):
            alive.append(number)
            yield np.full((32, 32), number, np.uint8)

    assert write_video(tmp_path / "a.mp4", endless(), 25) == 200  # type: ignore[arg-type]
    assert alive == list(range(200))


def test_nothing_or_mixed_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No frame"):
        write_video(tmp_path / "a.mp4", [], 25)
    assert not (tmp_path / "a.mp4").exists()
    mixed = [np.zeros((32, 32), np.uint8), np.zeros((32, 34), np.uint8)]
    with pytest.raises(SpecError, match=r"Frame 1 .*\(32, 34\), the first \(32, 32\)"):
        write_video(tmp_path / "b.mp4", mixed, 25)
