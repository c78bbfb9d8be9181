"""What a second decoder sees is compared frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2  # noqa: F401 - before decord, as `decoders.decord` does it
import pytest

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.features.cross_check import is_drawn, second_opinion
from anomaly.features.extract import extract_video
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.storage import open_root
from anomaly.verbs.extract import extract
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find
from anomaly.video.decode import DecodeProcess

pytest.importorskip("decord")
MOTION = recipe("motion")


@pytest.fixture(scope="module")
def decoding() -> Iterator[DecodeProcess]:
    with DecodeProcess() as process:
        yield process


@pytest.fixture
def archive(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    make_video(tmp_path / "archive" / "a.mp4", frames=60)
    return tmp_path / "archive"


def extracted(archive: Path, decoding: DecodeProcess) -> tuple[VideoFile, FeatureGroup]:
    (file,) = find(ArchiveSpec(root=str(archive)), name="t")
    root = open_root(str(archive.parent / "root"))
    outcome = extract_video(root, file, [MOTION], decoding=decoding)
    group = FeatureStore(root).open(MOTION, outcome.content)
    assert group is not None
    return file, group


def test_two_good_decoders_agree_on_every_frame(archive: Path, decoding: DecodeProcess) -> None:
    file, group = extracted(archive, decoding)
    opinion = second_opinion(group, MOTION, Path(file.location), "file", decoding)
    assert opinion is not None
    assert (opinion.decoder, opinion.compared, opinion.disagreeing) == ("decord", 60, 0)


@pytest.mark.parametrize("fault", ["shifted", "repeated", "other"])
def test_wrong_pictures_are_noticed(
    fault: str,
    archive: Path,
    decoding: DecodeProcess,
    make_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    import av

    path = tmp_path / "wrong.mp4"
    with av.open(str(archive / "a.mp4")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if fault == "shifted":
        pictures = pictures[20:] + pictures[:20]
    elif fault == "repeated":
        pictures[30:50] = [pictures[30]] * 20
    else:
        pictures[30:50] = [255 - picture for picture in pictures[30:50]]
    from anomaly.video.encode import write_video

    write_video(path, pictures, 10, crf=18)
    _, group = extracted(archive, decoding)
    opinion = second_opinion(group, MOTION, path, "file", decoding)
    assert opinion is not None
    assert not opinion.is_good
    assert opinion.disagreeing >= (1 if fault == "shifted" else 2)


def test_no_second_opinion_on_frame_folders(
    archive: Path, decoding: DecodeProcess, tmp_path: Path
) -> None:
    _, group = extracted(archive, decoding)
    group.attributes = {**group.attributes, "decoder": "images"}
    assert second_opinion(group, MOTION, tmp_path, "frames", decoding) is None


def test_a_share_of_the_videos_is_drawn_always_the_same_ones() -> None:
    drawn = [content for content in map(str, range(4000)) if is_drawn(content, 0.05)]
    assert 150 < len(drawn) < 250
    assert drawn == [content for content in map(str, range(4000)) if is_drawn(content, 0.05)]
    assert all(is_drawn(content, 1.0) for content in drawn)
    assert not any(is_drawn(content, 0.0) for content in drawn)


def test_the_outcome_and_the_summary_tell(archive: Path, tmp_path: Path) -> None:
    spec = ArchiveSpec(root=str(archive))
    summary = extract(
        str(tmp_path / "root"), spec, [MOTION], cross_check=1.0, fan_out=one_by_one
    )
    assert summary.outcomes[0].frames_compared == 60
    assert summary.to_json()["cross_check"] == {
        "videos": 1,
        "videos_disagreeing": 0,
        "frames": 60,
        "frames_disagreeing": 0,
    }
    again = extract(str(tmp_path / "root"), spec, [MOTION], cross_check=1.0, fan_out=one_by_one)
    assert again.to_json()["cross_check"] is None


@pytest.mark.data
def test_decoders_agree_on_real_videos(
    shared_data: Path, decoding: DecodeProcess, tmp_path: Path
) -> None:
    root = open_root(str(tmp_path / "root"))
    files = find(ArchiveSpec(root=str(shared_data / "fight")), name="t")[::60]
    for file in files:
        outcome = extract_video(root, file, [MOTION], decoding=decoding, cross_check=1.0)
        assert outcome.status == "ok"
        assert outcome.frames_compared == outcome.frames
        assert outcome.frames_disagreeing == 0
