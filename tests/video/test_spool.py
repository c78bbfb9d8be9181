"""Content hashes and local copies, of files, frame folders and S3 objects."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.errors import VideoError
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find
from anomaly.video.content import content_of, numbered_images
from anomaly.video.spool import local_copy


def only(root: Path | str) -> VideoFile:
    (file,) = find(ArchiveSpec(root=str(root)), name="a")
    return file


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def frames(folder: Path) -> Path:
    for number in range(1, 12):
        write(folder / f"{number}.jpg", bytes([number]) * number)
    return folder


def test_equal_bytes_have_equal_content_under_any_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a.mp4", b"x" * 3_000_000)
    content = content_of(first)
    assert len(content) == 32
    assert int(content, 16) >= 0
    assert content_of(first.rename(tmp_path / "renamed.mp4")) == content
    assert content_of(write(tmp_path / "b.mp4", b"x" * 2_999_999 + b"y")) != content


def test_content_of_a_frame_folder_tells_names_and_bytes_apart(tmp_path: Path) -> None:
    folder = frames(tmp_path / "one")
    content = content_of(folder, "frames")
    assert content_of(Path(shutil.copytree(folder, tmp_path / "two")), "frames") == content
    write(folder / "notes.txt", b"does not count")
    assert content_of(folder, "frames") == content
    (folder / "3.jpg").rename(folder / "12.jpg")
    assert content_of(folder, "frames") != content


def test_images_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [image.stem for image in numbered_images(frames(tmp_path))]
    assert names == [str(number) for number in range(1, 12)]


def test_hashing_takes_constant_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "big.mp4", bytes(50_000_000))
    tracemalloc.start()
    content_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_local_video_stays_where_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", b"video")
    with local_copy(only(tmp_path)) as (copy, content):
        assert (copy, content) == (path, content_of(path))
    assert path.exists()


def test_a_video_without_bytes_says_so(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", b"")
    with pytest.raises(VideoError, match="size of 0") as raised, local_copy(only(tmp_path)):
        pass
    assert raised.value.code == "empty"


@pytest.mark.parametrize(
    "make", [lambda root: write(root / "v/a.mp4", b"x"), lambda root: frames(root / "v")]
)
def test_a_video_that_goes_between_look_and_use_says_so(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    make(tmp_path)
    file = only(tmp_path)
    shutil.rmtree(tmp_path / "v")
    with pytest.raises(VideoError, match="no longer there") as raised, local_copy(file):
        pass
    assert raised.value.code == "vanished"


@pytest.mark.s3
def test_an_object_is_copied_hashed_and_gone_afterwards(
    s3_environment: str, tmp_path: Path
) -> None:
    import boto3

    data = np.random.default_rng(0).bytes(20_000_000)
    client = boto3.client("s3")
    client.put_object(Bucket=s3_environment, Key="v/cam/a.mp4", Body=data)
    local = write(tmp_path / "here/a.mp4", data)
    file = only(f"s3://{s3_environment}/v")
    spool = tmp_path / "spool"
    spool.mkdir()
    with local_copy(file, folder=spool) as (copy, content):
        assert content == content_of(local)
        assert copy.read_bytes() == data
        assert copy.is_relative_to(spool)
    assert list(spool.iterdir()) == []
    with local_copy(file, spool_bytes=10**6) as (source, content):
        assert (str(source), content[:5]) == (file.location, "etag-")
    client.put_object(Bucket=s3_environment, Key="v/cam/a.mp4", Body=b"")
    with pytest.raises(VideoError) as raised, local_copy(only(f"s3://{s3_environment}/v")):
        pass
    assert raised.value.code == "empty"
    client.delete_object(Bucket=s3_environment, Key="v/cam/a.mp4")
    with pytest.raises(VideoError) as raised, local_copy(file, folder=spool):
        pass
    assert raised.value.code == "vanished"
    assert list(spool.iterdir()) == []


@pytest.mark.s3
def test_a_frame_folder_of_s3_has_the_content_of_the_same_folder_here(
    s3_environment: str, tmp_path: Path
) -> None:
    import boto3

    folder = frames(tmp_path / "f")
    for image in folder.iterdir():
        key = f"v/f/{image.name}"
        boto3.client("s3").put_object(Bucket=s3_environment, Key=key, Body=image.read_bytes())
    with local_copy(only(f"s3://{s3_environment}/v")) as (copy, content):
        assert content == content_of(folder, "frames")
        assert [image.name for image in numbered_images(copy)] == [
            image.name for image in numbered_images(folder)
        ]
