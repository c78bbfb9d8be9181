"""Damaged files: each ends somewhere, what ffmpeg finds is found, and neighbours are left alone."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.odd_videos import ffmpeg_frames
from tests.end_to_end.story import anomaly, done

Mutation = Callable[[bytearray, np.random.Generator], bytes | bytearray]

CLIPS = (
    "odd_videos/h264_10bits.mp4",
    "fight/fight/fi001.mp4",
    "odd_videos/av1_video.mkv",
    "odd_videos/bigbuckbunny.mp4",
    "odd_videos/bt709_full_range.mp4",
    "odd_videos/carphone_distorted.mp4",
    "odd_videos/corrupted.mp4",
    "odd_videos/h265_10bits.mp4",
    "odd_videos/h265_video.mp4",
    "odd_videos/issue53_brightness_change.avi",
    "odd_videos/realshort.mp4",
    "odd_videos/test.avi",
    "odd_videos/unordered.mov",
    "odd_videos/video_90.mov",
    "fight/fight/fi048.mp4",
    "fight/fight/fi111.mp4",
    "fight/noFight/nofi013.mp4",
    "fight/noFight/nofi080.mp4",
    "fight/noFight/nofi020.mp4",
    "fight/noFight/nofi040.mp4",
)
NEIGHBOURS = CLIPS[:2]


def _stretches(
    data: bytearray, generator: np.random.Generator, count: int, length: int
) -> None:
    for start in generator.integers(len(data) // 20, len(data) * 9 // 10, count):
        stretch = min(length, len(data) - start)
        data[start : start + stretch] = generator.bytes(stretch)


def _overwritten(data: bytearray, generator: np.random.Generator) -> bytearray:
    _stretches(data, generator, 20, 200)
    return data


def _one_long_hole(data: bytearray, generator: np.random.Generator) -> bytearray:
    _stretches(data, generator, 1, len(data) // 10)
    return data


def _zeroed_sectors(data: bytearray, generator: np.random.Generator) -> bytearray:
    for start in generator.integers(1, max(2, len(data) // 512), 6) * 512:
        data[start : start + 512] = bytes(len(data[start : start + 512]))
    return data


def _flipped_bits(data: bytearray, generator: np.random.Generator) -> bytearray:
    for place in generator.integers(len(data) // 20, len(data), max(1, len(data) // 10_000)):
        data[place] ^= 1 << int(generator.integers(8))
    return data


def _bytes_lost(data: bytearray, generator: np.random.Generator) -> bytearray:
    start = int(generator.integers(len(data) // 4, len(data) // 2))
    del data[start : start + 1000]
    return data


def _bytes_added(data: bytearray, generator: np.random.Generator) -> bytearray:
    start = int(generator.integers(len(data) // 4, len(data) // 2))
    data[start:start] = generator.bytes(1000)
    return data


MUTATIONS: dict[str, Mutation] = {
    "first_half": lambda data, _: data[: len(data) // 2],
    "without_the_end": lambda data, _: data[: len(data) * 9 // 10],
    "without_the_start": lambda data, _: data[len(data) // 10 :],
    "no_header": lambda data, _: bytes(64) + data[64:],
    "overwritten": _overwritten,
    "one_long_hole": _one_long_hole,
    "zeroed_sectors": _zeroed_sectors,
    "flipped_bits": _flipped_bits,
    "bytes_lost": _bytes_lost,
    "bytes_added": _bytes_added,
}


def damaged_archive(shared_data: Path, folder: Path, clips: tuple[str, ...]) -> list[str]:
    """Put a copy of each clip with each kind of damage beside sound neighbours; return the damaged."""
    for neighbour in NEIGHBOURS:
        (folder / "sound").mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / neighbour, folder / "sound")
    uris = []
    for clip in clips:
        source = shared_data / clip
        for name, mutation in MUTATIONS.items():
            generator = np.random.default_rng(zlib.crc32(f"{clip} {name}".encode()))
            uri = f"{name}/{source.name}"
            (folder / name).mkdir(exist_ok=True)
            (folder / uri).write_bytes(mutation(bytearray(source.read_bytes()), generator))
            uris.append(uri)
    return uris


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    "clips", [CLIPS[:2], pytest.param(CLIPS, marks=pytest.mark.soak)], ids=["20", "200"]
)
def test_of_damaged_files_comes_what_ffmpeg_finds_and_neighbours_are_left_alone(
    clips: tuple[str, ...], shared_data: Path, tmp_path: Path
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    archive = tmp_path / "archive"
    damaged = damaged_archive(shared_data, archive, clips)
    here = ("--root", tmp_path / "root", "--json")
    sound = done("extract", archive, "--root", tmp_path / "root", "--videos", "sound/*")
    assert (sound["ok"], sound["troubled"]) == (2, [])
    answer = anomaly("extract", archive, *here)
    assert answer.status in {0, 3}, answer.err
    assert "Traceback" not in answer.err
    assert answer.json["skipped"] == 2
    query = "SELECT uri, status, code, message, n_frames, frames_lost FROM catalog"
    rows = {row["uri"]: row for row in done("query", "--root", tmp_path / "root", query)}
    found, expected = {}, {uri: ffmpeg_frames(archive / uri) for uri in damaged}
    for uri in damaged:
        row = rows[uri]
        assert row["status"] in {"ok", "partial", "quarantined"}, row
        assert (row["status"] == "ok") == (row["code"] is None), row
        found[uri] = (row["n_frames"] or 0) - (row["frames_lost"] or 0)
    lost = [u for u in damaged if rows[u]["status"] == "quarantined" and expected[u]]
    recovered = sum(min(found[u], expected[u]) for u in damaged) / sum(expected.values())
    short = {u: (found[u], expected[u]) for u in damaged if found[u] < expected[u]}
    print(f"{len(damaged)} files, {100 * recovered:.2f} % of ffmpeg's frames; fewer: {short}")
    assert lost == []
    assert recovered >= 0.95, short
