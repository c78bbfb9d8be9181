"""Pictures and clips of events."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from anomaly.errors import VideoError
from anomaly.report import clip_span
from anomaly.report.media import cut_events
from anomaly.scores.events import Box, Event
from anomaly.storage import open_root
from anomaly.video import VideoFile
from anomaly.video.content import content_of
from anomaly.video.decode import DecodeProcess
from anomaly.video.encode import write_video

RATE = 10


def grey_video(path: Path, frames: int = 120, height: int = 96, width: int = 160) -> VideoFile:
    """Frame k has the grey level 2 k: a picture tells its number."""
    write_video(path, (np.full((height, width), 2 * k, np.uint8) for k in range(frames)), RATE)
    return VideoFile(
        archive="a",
        uri=f"c/{path.name}",
        location=str(path),
        bytes=path.stat().st_size,
        modified="1",
        camera="c",
        start_time=None,
    )


def event(start: int, stop: int, peak: int, **more: Any) -> Event:
    return Event(
        start_frame=start,
        stop_frame=stop,
        peak_frame=peak,
        start_seconds=start / RATE,
        stop_seconds=stop / RATE,
        peak_seconds=peak / RATE,
        score=5.0,
        mean_score=4.0,
        threshold=3.0,
        **more,
    )


def frame_number(picture: np.ndarray) -> float:
    return float(np.median(picture)) / 2


def picture(data: bytes | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(data)))


def clip(data: bytes | None) -> tuple[list[np.ndarray], Any]:
    assert data is not None
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        return [
            f.to_ndarray(format="rgb24") for f in container.decode(video=0)
        ], stream.codec_context


def test_the_pictures_are_of_the_start_the_peak_and_the_end(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    events = [event(30, 60, 40), event(70, 75, 72)]
    cut = cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), events)
    for one in cut:
        wanted = {
            "picture_start": one.start_frame,
            "picture_peak": one.peak_frame,
            "picture_stop": one.stop_frame - 1,
        }
        for name, frame in wanted.items():
            found = frame_number(picture(root.read(getattr(one, name))))
            assert found == pytest.approx(frame, abs=1.5), (name, frame)


def test_time_in_the_clip_is_time_in_the_video(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    (one,) = cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), [event(30, 60, 40)])
    pictures, codec = clip(root.read(one.clip or ""))
    start, stop = clip_span(3.0, 4.0, 6.0)
    assert len(pictures) == pytest.approx((stop - start) * 12, abs=1)
    assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    for number in range(0, len(pictures), 7):
        moment = start + number / 12
        assert frame_number(pictures[number]) == pytest.approx(moment * RATE, abs=2)


def test_a_long_event_gives_eight_seconds_around_its_peak(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    (one,) = cut_events(
        root, file, content_of(tmp_path / "v.mp4", "file"), [event(0, 120, 100)]
    )
    pictures, _ = clip(root.read(one.clip or ""))
    assert len(pictures) <= 8 * 12
    numbers = [frame_number(p) for p in pictures]
    assert min(numbers) < 100 < max(numbers) + 2
    assert frame_number(picture(root.read(one.picture_start or ""))) < 2


def test_the_place_of_the_peak_is_marked_on_its_picture_alone(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    content = content_of(tmp_path / "v.mp4", "file")
    root = open_root(str(tmp_path / "root"))
    (one,) = cut_events(root, file, content, [event(30, 60, 40, place=(2, 3), grid=(6, 10))])
    peak = picture(root.read(one.picture_peak or "")).astype(int)
    amber = (peak[..., 0] - peak[..., 2]) > 90
    rows, columns = np.nonzero(amber)
    middle = (
        (rows.min() + rows.max()) / 2 / peak.shape[0],
        (columns.min() + columns.max()) / 2 / peak.shape[1],
    )
    assert middle == pytest.approx((2.5 / 6, 3.5 / 10), abs=0.03)
    start = picture(root.read(one.picture_start or "")).astype(int)
    assert not ((start[..., 0] - start[..., 2]) > 60).any()


def test_strange_places_are_marked_whole_where_they_are_known(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    with DecodeProcess() as process:
        height, width = process.probe(tmp_path / "v.mp4").shown_size
    box = Box(left=width // 4, top=height // 4, right=width // 2, bottom=height, score=1.0)
    found = event(30, 60, 40, place=(2, 3), grid=(6, 10), boxes=(box,))
    (one,) = cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), [found])
    peak = picture(root.read(one.picture_peak or "")).astype(int)
    rows, columns = np.nonzero((peak[..., 0] - peak[..., 2]) > 90)
    high, wide = peak.shape[:2]
    seen = [columns.min() / wide, rows.min() / high, columns.max() / wide, rows.max() / high]
    assert seen == pytest.approx([0.25, 0.25, 0.5, 1.0], abs=0.03)


def test_cutting_again_gives_the_same_bytes_and_does_not_touch_what_is_there(
    tmp_path: Path,
) -> None:
    file = grey_video(tmp_path / "v.mp4")
    content = content_of(tmp_path / "v.mp4", "file")
    first, second = (open_root(str(tmp_path / name)) for name in ("one", "two"))
    cut = cut_events(first, file, content, [event(30, 60, 40)])
    assert cut_events(second, file, content, [event(30, 60, 40)]) == cut
    keys = first.keys("media")
    assert [first.read(key) for key in keys] == [second.read(key) for key in keys]
    Path(file.location).unlink()
    assert cut_events(first, file, content, [event(30, 60, 40)]) == cut


def test_an_event_near_the_end_is_cut_with_what_there_is(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    (one,) = cut_events(
        root, file, content_of(tmp_path / "v.mp4", "file"), [event(110, 121, 119)]
    )
    assert len(root.keys("media")) == 4
    assert frame_number(picture(root.read(one.picture_stop or ""))) == pytest.approx(
        119, abs=1.5
    )


def test_an_event_beyond_the_end_of_the_video_keeps_no_keys(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    beyond = event(500, 510, 505)
    assert cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), [beyond]) == [beyond]
    assert root.keys("media") == []


def test_a_video_with_another_content_is_not_cut(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(str(tmp_path / "root"))
    with pytest.raises(VideoError, match="changed since"):
        cut_events(root, file, "0" * 32, [event(30, 60, 40)])
    with pytest.raises(VideoError):
        cut_events(
            root, replace(file, location=str(tmp_path / "gone.mp4")), "0" * 32, [event(3, 6, 4)]
        )


def test_large_and_odd_sized_pictures_become_small_playable_clips(tmp_path: Path) -> None:
    file = grey_video(tmp_path / "v.mp4", frames=60, height=722, width=1282)
    root = open_root(str(tmp_path / "root"))
    (one,) = cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), [event(20, 40, 30)])
    pictures, _ = clip(root.read(one.clip or ""))
    assert max(pictures[0].shape) <= 428
    assert len(root.read(one.clip or "") or b"") < 60_000


def test_media_of_a_folder_of_images_is_cut_too(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(60):
        Image.fromarray(np.full((48, 64), 4 * number, np.uint8)).save(
            folder / f"{number:03d}.png"
        )
    file = replace(
        grey_video(tmp_path / "v.mp4"), location=str(folder), uri="frames", kind="frames"
    )
    root = open_root(str(tmp_path / "root"))
    found = replace(event(20, 40, 30), start_seconds=0.8, peak_seconds=1.2, stop_seconds=1.6)
    (one,) = cut_events(root, file, content_of(folder, "frames"), [found])
    assert frame_number(picture(root.read(one.picture_peak or ""))) == pytest.approx(60, abs=2)


@pytest.mark.s3
def test_media_go_to_an_object_store(tmp_path: Path, s3_environment: str) -> None:
    file = grey_video(tmp_path / "v.mp4")
    root = open_root(f"s3://{s3_environment}/root")
    (one,) = cut_events(root, file, content_of(tmp_path / "v.mp4", "file"), [event(30, 60, 40)])
    assert (root.read(one.clip or "") or b"")[4:8] == b"ftyp"
