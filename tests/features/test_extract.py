"""One video from file to features: once, whole, and with an outcome whatever the file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anomaly.features.extract as extract_module
from anomaly.errors import SpecError
from anomaly.features import FeatureSpec, recipe
from anomaly.features.backbones import backbones
from anomaly.features.extract import extract_video, in_turn
from anomaly.features.store import FeatureStore, group_key
from anomaly.storage import Root, open_root
from anomaly.video import ArchiveSpec, FrameBatch, VideoFile
from anomaly.video.archive import find
from anomaly.video.decode import DecodeProcess, FrameStream

MakeVideo = Callable[..., Path]

EXTRACT = """
import pickle, sys
from anomaly.features.backbones import backbones
from anomaly.features.extract import extract_video, in_turn
from anomaly.storage import open_root
file, recipes = pickle.loads(bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
print(extract_video(open_root(sys.argv[1]), file, recipes).status, flush=True)
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(str(tmp_path / "root"))


@pytest.fixture
def motion() -> FeatureSpec:
    return recipe("motion")


@pytest.fixture(autouse=True)
def end_decoding() -> Iterator[None]:
    yield
    extract_module._decode_process().close()


def look(archive: Path | str, uri: str = "a.mp4") -> VideoFile:
    return next(f for f in find(ArchiveSpec(root=str(archive)), name="test") if f.uri == uri)


def snapshot(folder: Path) -> dict[str, bytes]:
    """All chunks (not the metadata, which say when they were written)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "features").rglob("*"))
        if path.is_file() and path.name != "zarr.json"
    }


def started(root: Root, file: VideoFile, recipes: list[FeatureSpec]) -> subprocess.Popen[str]:
    import pickle

    sent = pickle.dumps((file, recipes)).hex()
    process = subprocess.Popen(
        [sys.executable, "-c", EXTRACT, root.url, sent], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_features_are_stored_once_and_the_second_time_is_skipped(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    make_video(archive / "a.mp4", frames=30)
    first = extract_video(root, look(archive), [motion])
    assert (first.status, first.frames, first.frames_lost) == ("ok", 30, 0)
    assert first.duration_seconds == pytest.approx(3.0, abs=0.15)
    assert first.bytes_written > 0
    again = extract_video(root, look(archive), [motion])
    assert (again.status, again.frames, again.bytes_written) == ("skipped", 30, 0)
    assert again.content == first.content
    group = FeatureStore(root).open(motion, first.content)
    assert group is not None
    assert group.index_T().tolist() == list(range(30))
    assert group.n_frames == 30
    assert len(group.read(0, 30).values_ND) > 0


def test_light_of_each_row_is_brightness_and_change_of_its_picture(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    path = make_video(archive / "a.mp4", frames=6)
    outcome = extract_video(root, look(archive), [motion])
    group = FeatureStore(root).open(motion, outcome.content)
    assert group is not None
    with DecodeProcess() as decoding:
        batches = list(decoding.frames(path, "file", motion.pixels))
    pictures = np.concatenate([batch.pixels_BHWC for batch in batches]).astype(np.float64)
    np.testing.assert_allclose(group.brightness_T(), pictures.mean((1, 2, 3)), rtol=1e-5)
    changes = np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3))
    np.testing.assert_allclose(group.difference_T(), [0, *changes], rtol=1e-5)
    picture = group.picture()
    assert picture is not None
    assert (len(picture.statistics_TK), len(picture.views_VHW)) == (6, 1)


def test_a_copy_and_a_renamed_video_are_recognised(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    path = make_video(archive / "a.mp4")
    first = extract_video(root, look(archive), [motion])
    shutil.copy(path, archive / "b.mp4")
    second = extract_video(root, look(archive, "b.mp4"), [motion])
    assert (second.status, second.content) == ("skipped", first.content)


def test_a_second_recipe_is_added_without_touching_the_first(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    make_video(archive / "a.mp4")
    extract_video(root, look(archive), [motion])
    before = snapshot(tmp_path / "root")
    coarse = recipe("motion", {"stride": 3})
    outcome = extract_video(root, look(archive), [motion, coarse])
    assert outcome.status == "ok"
    after = snapshot(tmp_path / "root")
    assert {name: after[name] for name in before} == before
    group = FeatureStore(root).open(coarse, outcome.content)
    assert group is not None
    assert group.index_T().tolist() == list(range(0, 30, 3))
    assert group.n_frames == 30


class CountingDecodes(DecodeProcess):
    """A decode process that counts how often it was given a video."""

    n_passes = 0

    def frames(self, *arguments: Any, **more: Any) -> FrameStream:
        self.n_passes += 1
        return super().frames(*arguments, **more)


SMALL = {"model": "test_vit", "weights": "random:0"}


def test_recipes_that_want_the_same_pixels_share_one_decode_and_change_no_bit(
    archive: Path, root: Root, make_video: MakeVideo, tmp_path: Path
) -> None:
    make_video(archive / "a.mp4", frames=80)
    gray = [recipe("motion"), recipe("static"), recipe("motion", {"smoothing_seconds": 0.0})]
    colour = [recipe("timm_frames", SMALL), recipe("timm_frames", {**SMALL, "grid": 2})]
    with CountingDecodes() as decoding:
        outcome = extract_video(root, look(archive), [*gray, *colour], decoding=decoding)
        assert decoding.n_passes == 2
        alone = open_root(str(tmp_path / "alone"))
        written = [
            extract_video(alone, look(archive), [one], decoding=decoding).bytes_written
            for one in (*gray, *colour)
        ]
    assert outcome.status == "ok"
    assert outcome.bytes_written == pytest.approx(sum(written), rel=0.01)
    assert snapshot(tmp_path / "root") == snapshot(tmp_path / "alone")


def test_only_missing_recipes_are_extracted_and_those_of_others_are_waited_for(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    make_video(archive / "a.mp4")
    file, static = look(archive), recipe("static")
    content = extract_video(open_root(f"{root.url}-other"), file, [motion]).content
    with root.lease(group_key(motion, content)) as held:
        assert held
        outcome = extract_video(root, file, [motion, static], wait_seconds=0.0)
    assert (outcome.status, outcome.code) == ("failed", "leased")
    assert FeatureStore(root).open(static, content) is not None
    with CountingDecodes() as decoding:
        assert extract_video(root, file, [motion, static], decoding=decoding).status == "ok"
        assert decoding.n_passes == 1


def test_backbones_that_share_a_stream_hold_few_frames_whatever_their_blocks() -> None:
    import weakref

    born, gone, most = 0, [], 0

    def stream(n_batches: int) -> Iterator[FrameBatch]:
        nonlocal born, most
        for number in range(n_batches):
            pixels = np.zeros((4, 32, 32, 1), np.uint8)
            weakref.finalize(pixels, gone.append, number)
            born += 1
            most = max(most, born - len(gone))
            index = np.arange(4 * number, 4 * number + 4)
            yield FrameBatch(pixels, index, index / 25.0)

    built = [backbones().get(name).build({}) for name in ("motion", "static")]
    built.append(backbones().get("motion").build({"smoothing_seconds": 2.0}))
    rows = [0, 0, 0]
    for number, block in in_turn(built, stream(500)):
        rows[number] += len(block)
    assert rows == [2000] * 3
    assert most <= (256 + 64) // 4 + 4


def test_a_file_that_is_bad_leaves_nothing_of_any_recipe(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    path = make_video(archive / "a.mp4", frames=200)
    listed = look(archive)
    os.utime(path, (1, 1))
    outcome = extract_video(root, listed, [motion, recipe("static")])
    assert (outcome.status, outcome.code) == ("failed", "changing")
    assert not [key for key in root.keys("features") if not key.endswith("recipe.json")]


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "empty"), (b"this is no video" * 100, None)], ids=["empty", "text"]
)
def test_a_bad_file_is_quarantined_with_a_code_and_leaves_nothing(
    archive: Path, root: Root, motion: FeatureSpec, data: bytes, code: str | None
) -> None:
    archive.mkdir()
    (archive / "a.mp4").write_bytes(data)
    outcome = extract_video(root, look(archive), [motion])
    assert outcome.status == "quarantined"
    assert outcome.code == (code or outcome.code) != ""
    assert outcome.message
    assert not [key for key in root.keys("features") if not key.endswith("recipe.json")]


def test_a_damaged_video_is_partial_and_its_frames_keep_their_numbers(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    import av

    path = make_video(archive / "a.mp4", frames=90)
    with av.open(str(path)) as container:
        packets = [
            (packet.pos, packet.size) for packet in container.demux(video=0) if packet.size
        ]
    data = bytearray(path.read_bytes())
    for position, size in packets[40:43]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    outcome = extract_video(root, look(archive), [motion])
    assert (outcome.status, outcome.code) == ("partial", "frames_lost")
    assert outcome.frames_lost >= 3
    group = FeatureStore(root).open(motion, outcome.content)
    assert group is not None
    assert group.n_frames == 90
    assert len(group.index_T()) == 90 - outcome.frames_lost


def test_a_file_that_changes_meanwhile_fails_and_leaves_nothing_visible(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    path = make_video(archive / "a.mp4")
    listed = look(archive)
    with path.open("ab") as file:
        file.write(b"more")
    outcome = extract_video(root, listed, [motion])
    assert (outcome.status, outcome.code) == ("failed", "changing")
    assert not [key for key in root.keys("features") if not key.endswith("recipe.json")]


def test_a_file_that_vanished_fails_and_is_not_quarantined(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    path = make_video(archive / "a.mp4")
    listed = look(archive)
    path.unlink()
    outcome = extract_video(root, listed, [motion])
    assert (outcome.status, outcome.code) == ("failed", "changing")


def test_a_video_that_another_process_extracts_is_waited_for_and_not_done_twice(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    make_video(archive / "a.mp4", frames=20)
    file = look(archive)
    content = extract_video(open_root(f"{root.url}-other"), file, [motion]).content
    with root.lease(group_key(motion, content)) as held:
        assert held
        outcome = extract_video(root, file, [motion], wait_seconds=0.0)
        assert (outcome.status, outcome.code) == ("failed", "leased")
        waiting: list[str] = []
        thread = threading.Thread(
            target=lambda: waiting.append(extract_video(root, file, [motion]).status)
        )
        thread.start()
        time.sleep(1.0)
        assert waiting == []
    thread.join(60)
    assert waiting == ["ok"]


def test_two_processes_at_once_store_one_group_equal_to_an_undisturbed_one(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    make_video(archive / "a.mp4", frames=200, height=240, width=320)
    file = look(archive)
    both = [started(root, file, [motion]) for _ in range(2)]
    statuses = []
    for process in both:
        assert process.stdout is not None
        statuses.append(process.stdout.readline().strip())
        process.wait()
        process.stdout.close()
    assert sorted(statuses) == ["ok", "skipped"]
    extract_video(open_root(str(tmp_path / "alone")), file, [motion])
    assert snapshot(tmp_path / "root") == snapshot(tmp_path / "alone")


def test_an_extraction_that_was_killed_is_resumed_bit_for_bit(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    make_video(archive / "a.mp4", frames=600, height=240, width=320)
    file = look(archive)
    process = started(root, file, [motion])
    while not root.keys("features"):
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    outcome = extract_video(root, file, [motion])
    assert outcome.status == "ok"
    extract_video(open_root(str(tmp_path / "alone")), file, [motion])
    assert snapshot(tmp_path / "root") == snapshot(tmp_path / "alone")


def test_a_folder_of_images_is_a_video(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    import av

    with av.open(str(make_video(tmp_path / "v.mp4", frames=5))) as container:
        (archive / "cam" / "frames").mkdir(parents=True)
        for number, frame in enumerate(container.decode(video=0)):
            frame.to_image().save(archive / "cam" / "frames" / f"{number:03}.png")
    file = next(iter(find(ArchiveSpec(root=str(archive)), name="t")))
    assert file.kind == "frames"
    outcome = extract_video(root, file, [motion])
    assert (outcome.status, outcome.frames) == ("ok", 5)


@pytest.mark.s3
def test_features_go_from_s3_to_s3(
    s3_environment: str, make_video: MakeVideo, motion: FeatureSpec, tmp_path: Path
) -> None:
    import boto3

    path = make_video(tmp_path / "a.mp4", frames=20)
    boto3.client("s3").upload_file(str(path), s3_environment, "archive/cam/a.mp4")
    file = look(f"s3://{s3_environment}/archive", "cam/a.mp4")
    root = open_root(f"s3://{s3_environment}/root")
    outcome = extract_video(root, file, [motion])
    assert (outcome.status, outcome.frames) == ("ok", 20)
    local = extract_video(open_root(str(tmp_path / "root")), look(tmp_path), [motion])
    assert local.content == outcome.content
    remote_group = FeatureStore(root).open(motion, outcome.content)
    local_group = FeatureStore(open_root(str(tmp_path / "root"))).open(motion, outcome.content)
    assert remote_group is not None
    assert local_group is not None
    np.testing.assert_array_equal(
        remote_group.read(0, 20).values_ND, local_group.read(0, 20).values_ND
    )
    assert extract_video(root, file, [motion]).status == "skipped"


def test_a_recipe_whose_backbone_has_changed_is_refused(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    make_video(archive / "a.mp4")
    with pytest.raises(SpecError, match=f"version: found {motion.version}, expected 99"):
        extract_video(root, look(archive), [replace(motion, version=99)])


def test_extraction_runs_in_spawned_workers(
    archive: Path, root: Root, make_video: MakeVideo, motion: FeatureSpec
) -> None:
    import functools
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    for name in "abc":
        make_video(archive / f"{name}.mp4", frames=10, seed=ord(name))
    files = find(ArchiveSpec(root=str(archive)), name="t")
    work = functools.partial(extract_video, root, recipes=(motion,))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        outcomes = list(pool.map(work, files))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3


def test_videos_extracted_beside_each_other_share_one_network_and_change_no_bit(
    archive: Path, tmp_path: Path, make_video: MakeVideo
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for name in "abc":
        make_video(archive / f"{name}.mp4", frames=10, seed=ord(name))
    files = find(ArchiveSpec(root=str(archive)), name="t")
    made = recipe("timm_frames", {"model": "test_efficientnet", "weights": "random:5"})
    alone, together = (open_root(str(tmp_path / name)) for name in ("alone", "together"))
    before = extract_module._backbone.cache_info().misses
    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(lambda file: extract_video(together, file, [made]), files))
    assert extract_module._backbone.cache_info().misses == before + 1
    for file, outcome in zip(files, outcomes, strict=True):
        assert extract_video(alone, file, [made]).status == outcome.status == "ok"
        one, other = (
            FeatureStore(root).open(made, outcome.content) for root in (alone, together)
        )
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.read(0, 10).values_ND, other.read(0, 10).values_ND)


def test_a_network_runs_over_a_video_too(
    archive: Path, root: Root, make_video: MakeVideo
) -> None:
    make_video(archive / "a.mp4", frames=10)
    made = recipe("timm_frames", {"model": "test_vit", "weights": "random:0", "grid": 2})
    outcome = extract_video(root, look(archive), [made])
    assert outcome.status == "ok"
    group = FeatureStore(root).open(made, outcome.content)
    assert group is not None
    assert group.read(2, 4).values_ND.shape == (8, 64)
