"""Finding videos: what counts, what does not, whose it is and when it began."""

from __future__ import annotations

import csv
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anomaly.errors import SpecError
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find, select, unchanged

TIMED = r"(?P<camera>[^/]+)/.*?(?P<time>\d{8}_\d{6})"


def lay_out(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def uris(root: Path | str, **spec: object) -> list[str]:
    return [file.uri for file in find(ArchiveSpec(root=str(root), **spec), name="a")]  # type: ignore[arg-type]


def test_videos_of_all_folders_are_found_sorted_and_nothing_else(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        *(
            "b/2.MP4",
            "b/1.mkv",
            "a.avi",
            "c/d/e.ts",
            "c/raw.h264",
            "notes.txt",
            "mp4",
            "b/1.mkv.part",
        ),
        *(
            ".hidden/x.mp4",
            "b/.x.mp4",
            "masks/m.mp4",
            "b/masks/m.mp4",
            "t_gt/g.mp4",
            "b/x_gt.mp4",
        ),
    )
    os.mkfifo(tmp_path / "pipe.mp4")
    assert uris(tmp_path) == ["a.avi", "b/1.mkv", "b/2.MP4", "c/d/e.ts", "c/raw.h264"]
    assert uris(tmp_path, exclude=("c/", "b/1*")) == [
        *("a.avi", "b/2.MP4", "b/masks/m.mp4", "b/x_gt.mp4", "masks/m.mp4", "t_gt/g.mp4")
    ]


def test_a_look_never_opens_a_video(tmp_path: Path) -> None:
    lay_out(tmp_path, "cam/a.mp4")
    os.utime(tmp_path / "cam/a.mp4", ns=(1, 1_700_000_000_123_456_789))
    (file,) = find(ArchiveSpec(root=str(tmp_path)), name="halls")
    assert file == VideoFile(
        archive="halls",
        uri="cam/a.mp4",
        location=str(tmp_path / "cam/a.mp4"),
        bytes=9,
        modified="1700000000123456789",
        camera="cam",
        start_time=None,
    )
    assert (tmp_path / "cam/a.mp4").stat().st_atime_ns == 1


def test_a_folder_of_numbered_images_is_one_video(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        *(
            "Test/Test001/001.tif",
            "Test/Test001/002.tif",
            "Test/Test001/003.tif",
            "Test/one/1.jpg",
        ),
        *(
            "Test/Test001_gt/001.bmp",
            "Test/Test001_gt/002.bmp",
            "Test/x/cover.png",
            "Test/x/back.png",
        ),
    )
    (file,) = find(ArchiveSpec(root=str(tmp_path)), name="ucsd")
    assert (file.uri, file.kind, file.camera) == ("Test/Test001", "frames", "Test")
    assert file.bytes == 3 * len("Test/Test001/001.tif")
    assert unchanged(file)
    (tmp_path / "Test/Test001/002.tif").write_bytes(b"other bytes, other size")
    assert not unchanged(file)


def test_a_change_of_a_file_shows_without_reading_it(tmp_path: Path) -> None:
    lay_out(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    a, b, c = find(ArchiveSpec(root=str(tmp_path)), name="x")
    (tmp_path / "a.mp4").write_bytes(b"longer than before")
    os.utime(tmp_path / "b.mp4", ns=(5, 5))
    assert [unchanged(a), unchanged(b), unchanged(c)] == [False, False, True]
    (tmp_path / "c.mp4").unlink()
    assert not unchanged(c)


def test_links_are_followed_and_never_in_circles(tmp_path: Path) -> None:
    outside = lay_out(tmp_path / "outside", "cam/a.mp4")
    archive = lay_out(tmp_path / "archive", "here/b.mp4")
    (archive / "linked").symlink_to(outside)
    (archive / "file.mp4").symlink_to(outside / "cam/a.mp4")
    (archive / "here/up").symlink_to(archive)
    (outside / "cam/self").symlink_to(outside)
    (archive / "broken.mp4").symlink_to(tmp_path / "nowhere")
    assert uris(archive) == ["file.mp4", "here/b.mp4", "linked/cam/a.mp4"]


def test_our_own_results_inside_the_archive_are_left_out(tmp_path: Path) -> None:
    lay_out(tmp_path, "cam/a.mp4", "results/media/clip.mp4")
    spec = ArchiveSpec(root=str(tmp_path))
    found = find(spec, name="a", own_root=str(tmp_path / "results"))
    assert [file.uri for file in found] == ["cam/a.mp4"]
    with pytest.raises(SpecError, match="another --root"):
        find(spec, name="a", own_root=str(tmp_path))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cam*/*.mp4", ["cam1/a.mp4", "cam2/b.mp4"]),
        ("cam1", ["a.mp4", "deep/c.mp4"]),
        ("**/c.mp4", ["cam1/deep/c.mp4"]),
        ("cam[2-9]/*", ["cam2/b.mp4"]),
    ],
)
def test_a_glob_names_videos_below_its_fixed_part(
    pattern: str, expected: list[str], tmp_path: Path
) -> None:
    lay_out(tmp_path, "cam1/a.mp4", "cam1/deep/c.mp4", "cam2/b.mp4", "other/d.mp4")
    assert uris(f"{tmp_path}/{pattern}") == expected


def test_a_folder_whose_name_has_glob_characters_is_a_folder(tmp_path: Path) -> None:
    lay_out(tmp_path / "cams [1]", "a.mp4")
    assert uris(tmp_path / "cams [1]") == ["a.mp4"]


@pytest.mark.parametrize("suffix", ["txt", "csv", "parquet"])
def test_a_list_is_taken_at_its_word(suffix: str, tmp_path: Path) -> None:
    lay_out(tmp_path / "lists/", "masks/a.mp4", "frames/1.jpg", "frames/2.jpg")
    lay_out(tmp_path / "far", "b.mp4")
    listed = ["masks/a.mp4", f"{tmp_path}/far/b.mp4", "gone.mp4", "frames", "masks/a.mp4"]
    path = tmp_path / "lists" / f"wanted.{suffix}"
    if suffix == "txt":
        path.write_text("# for the night\n" + "\n".join(listed) + "\n\n")
    elif suffix == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["note", "uri"], *(["", name] for name in listed)])
    else:
        pq.write_table(pa.table({"video": listed, "note": [""] * len(listed)}), path)
    found = {file.uri: file for file in find(ArchiveSpec(root=str(path)), name="a")}
    outside = f"{tmp_path}/far/b.mp4".lstrip("/")
    assert set(found) == {"masks/a.mp4", outside, "gone.mp4", "frames"}
    assert found["frames"].kind == "frames"
    assert (found["gone.mp4"].bytes, found["gone.mp4"].modified) == (0, "missing")
    assert Path(found[outside].location).read_bytes() == b"b.mp4"
    assert all(unchanged(file) for uri, file in found.items() if uri != "gone.mp4")


def test_camera_and_time_are_read_from_names(tmp_path: Path) -> None:
    lay_out(
        tmp_path, "gate/2026/20260301_080000.mp4", "gate/x.mp4", "lobby_20260301_093000.mp4"
    )
    spec = ArchiveSpec(
        root=str(tmp_path),
        pattern=r"^(?P<camera>[a-z]+)[/_].*?(?P<time>\d{8}_\d{6})",
        time_zone="Europe/Berlin",
    )
    dated, undated, root_level = find(spec, name="a")
    assert (dated.camera, dated.date) == ("gate", "2026-03-01")
    assert dated.start_time == datetime(2026, 3, 1, 7, tzinfo=UTC)
    assert (undated.camera, undated.start_time, undated.date) == ("gate", None, None)
    assert root_level.camera == "lobby"
    assert [file.camera for file in find(ArchiveSpec(root=str(tmp_path)), name="a")] == [
        *("2026", "gate", "default")
    ]


def test_a_time_may_come_in_parts(tmp_path: Path) -> None:
    lay_out(tmp_path, "c/26-03-01/14.mp4")
    pattern = r"(?P<year>\d\d)-(?P<month>\d\d)-(?P<day>\d\d)/(?P<hour>\d\d)"
    (file,) = find(ArchiveSpec(root=str(tmp_path), pattern=pattern), name="a")
    assert file.start_time == datetime(2026, 3, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("clock", "repeated", "utc_hour"),
    [
        ("20261025_013000", "first", "2026-10-24 23:30"),
        ("20261025_023000", "first", "2026-10-25 00:30"),
        ("20261025_023000", "second", "2026-10-25 01:30"),
        ("20261025_033000", "second", "2026-10-25 02:30"),
        ("20260329_013000", "second", "2026-03-29 00:30"),
        ("20260329_023000", "first", "2026-03-29 01:30"),  # an hour that did not exist
        ("20260329_023000", "second", "2026-03-29 01:30"),
    ],
)
def test_an_hour_that_comes_twice_or_never_has_one_meaning(
    clock: str, repeated: str, utc_hour: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, f"cam/{clock}.mp4")
    spec = ArchiveSpec(
        root=str(tmp_path), pattern=TIMED, time_zone="Europe/Berlin", repeated_hour=repeated
    )
    (file,) = find(spec, name="a")
    assert file.start_time is not None
    assert file.start_time.astimezone(UTC).strftime("%Y-%m-%d %H:%M") == utc_hour


def test_globs_select_and_a_miss_names_what_there_is(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/1.mp4", "train/deep/2.mp4", "test/3.mp4")
    files = find(ArchiveSpec(root=str(tmp_path)), name="a")
    assert [f.uri for f in select(files, ["train/*"])] == ["train/1.mp4", "train/deep/2.mp4"]
    assert len(select(files, ["test/*", "*1.mp4"])) == 2
    assert select(files, []) == files
    with pytest.raises(SpecError, match=r"'tran/\*'.*test/3\.mp4"):
        select(files, ["tran/*"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"root": "missing"}, "does not exist"),
        ({"root": "cam/20260301_080000.mp4"}, "is one file"),
        ({"pattern": "("}, "no regular expression"),
        ({"time_zone": "Europe/Berlinn"}, "Did you mean 'Europe/Berlin'"),
        ({"pattern": TIMED, "time_format": "%H:%M"}, "found '20260301_080000'"),
        ({"root": "bad.csv"}, "expected one of video, uri, path"),
        ({"root": "bad.parquet"}, "cannot be read"),
    ],
)
def test_a_wrong_request_is_one_clear_line(
    spec: dict[str, str], message: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, "cam/20260301_080000.mp4", "bad.csv", "bad.parquet")
    root = str(tmp_path / spec.pop("root", ""))
    with pytest.raises(SpecError, match=message) as raised:
        find(ArchiveSpec(root=root, **spec), name="a")  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_names_that_are_no_utf8_can_go_into_tables(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    lay_out(folder, "ü.mp4")
    (file,) = find(ArchiveSpec(root=str(tmp_path)), name="a")
    assert (file.uri, file.camera) == ("caf\\xe9/ü.mp4", "caf\\xe9")
    assert unchanged(file)


def test_many_thousand_files_are_listed_in_a_moment(tmp_path: Path) -> None:
    for camera in range(10):
        (tmp_path / f"cam{camera}").mkdir()
        for number in range(1000):
            (tmp_path / f"cam{camera}/20260301_{number // 60:02}{number % 60:02}00.mp4").touch()
    start = time.process_time()
    assert len(uris(tmp_path, pattern=TIMED)) == 10_000
    assert time.process_time() - start < 2


@pytest.mark.s3
def test_a_prefix_of_s3_is_an_archive(s3_environment: str) -> None:
    import boto3

    client = boto3.client("s3")
    names = ["v/cam1/a.mp4", "v/cam1/masks/m.mp4", "v/.x/b.mp4", "v/own/media/c.mp4", "w/z.mp4"]
    for name in [*names, "v/Test001/1.tif", "v/Test001/2.tif", "v/Test001_gt/1.tif"]:
        client.put_object(Bucket=s3_environment, Key=name, Body=name.encode())
    url = f"s3://{s3_environment}/v"
    files = find(ArchiveSpec(root=url), name="a", own_root=f"{url}/own")
    assert [(file.uri, file.kind) for file in files] == [
        *(("Test001", "frames"), ("cam1/a.mp4", "file"))
    ]
    assert files[1].location == f"{url}/cam1/a.mp4"
    assert files[1].bytes == len("v/cam1/a.mp4")
    assert [file.uri for file in find(ArchiveSpec(root=f"{url}/cam*/*.mp4"), name="a")] == [
        "cam1/a.mp4"
    ]
    assert all(unchanged(file) for file in files)
    for key in ("v/Test001/2.tif", "v/cam1/a.mp4"):
        client.put_object(Bucket=s3_environment, Key=key, Body=b"new")
    assert not any(unchanged(file) for file in files)
    client.delete_object(Bucket=s3_environment, Key="v/cam1/a.mp4")
    assert not unchanged(files[1])
    for missing in (f"s3://{s3_environment}/nothing", f"s3://no-{s3_environment}/x"):
        with pytest.raises(SpecError, match=missing):
            find(ArchiveSpec(root=missing), name="a")
