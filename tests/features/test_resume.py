"""An extraction that was killed goes on where it was, and nobody can tell afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import anomaly.features.store as store_module
from anomaly.features import Backbone, FeatureBlock, FeatureSpec, recipe, vector_block
from anomaly.features.extract import extract_video
from anomaly.features.picture import STATISTICS, Picture
from anomaly.features.resume import GoingOn
from anomaly.features.store import FeatureStore, FeatureWriter, group_key
from anomaly.storage import Root, open_root
from anomaly.video import ArchiveSpec, DecodeReport, FrameBatch, PixelSpec, Video, VideoFile
from anomaly.video.archive import find
from tests.end_to_end.story import stored

N_ROWS = 90
SPEC = FeatureSpec(backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec())
REPORT = DecodeReport(
    video=Video(n_frames=None, rate=Fraction(25), height=4, width=4, codec="h264", rotation=0),
    n_frames=N_ROWS,
    n_decoded=N_ROWS,
    n_damaged=0,
    duration_seconds=3.6,
    decoder="pyav",
)


class Echo(Backbone):
    """Rows that depend on the two before; plain vectors, or up to three cells each."""

    version = 1

    def __init__(self, cells: bool, block_rows: int = 7) -> None:
        self.cells, self.block_rows = cells, block_rows
        self.n_given = 0

    pixels = PixelSpec()
    weights = ""
    dimension = 2

    def restart_row(self, row: int) -> int:
        return max(0, row - 2)

    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        rows: list[tuple[int, float, np.ndarray]] = []
        past = [0, 0]
        for batch in batches:
            for index, seconds, pixel in zip(
                batch.index_B, batch.seconds_B, batch.pixels_BHWC[:, 0, 0, 0], strict=True
            ):
                self.n_given += 1
                past = [*past[-1:], int(pixel)]
                n_cells = int(pixel) % 4 if self.cells else 1
                rows.append((index, seconds, np.full((n_cells, 2), sum(past), np.float32)))
                if len(rows) == self.block_rows:
                    yield self._block(rows)
                    rows = []
        if rows:
            yield self._block(rows)

    def _block(self, rows: Sequence[tuple[int, float, np.ndarray]]) -> FeatureBlock:
        index_T = np.array([row[0] for row in rows])
        seconds_T = np.array([row[1] for row in rows])
        values_ND = np.concatenate([row[2] for row in rows])
        if not self.cells:
            return vector_block(index_T, seconds_T, values_ND)
        offsets_S = np.concatenate([[0], np.cumsum([len(row[2]) for row in rows])])
        place_N2 = (values_ND % 5).astype(np.int16)
        return FeatureBlock(index_T, seconds_T, values_ND, offsets_S, place_N2, (5, 5))


def batches(size: int) -> Iterator[FrameBatch]:
    pixels = np.random.default_rng(0).integers(0, 99, (N_ROWS, 1, 1, 1)).astype(np.uint8)
    index = np.arange(N_ROWS)
    for start in range(0, N_ROWS, size):
        rows = slice(start, start + size)
        yield FrameBatch(pixels[rows], index[rows], index[rows] / 25)


def until(
    writer: FeatureWriter, backbone: Echo, n_batches: int, size: int = 8
) -> FeatureWriter:
    """Write what comes of the first batches."""

    def told() -> Iterator[FrameBatch]:
        for number, batch in enumerate(batches(size)):
            if number == n_batches:
                return
            statistics = np.repeat(batch.pixels_BHWC[:, 0, 0], len(STATISTICS), axis=1)
            views = np.full((1, 2, 2), number, np.uint8)
            writer.append_picture(
                Picture(statistics.astype(np.float32), views, np.array([float(number)]))
            )
            yield batch

    for block in GoingOn(backbone, writer).extract(told()):
        writer.append(block)
    return writer


@pytest.mark.parametrize("cells", [False, True], ids=["vectors", "cells"])
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kills=st.lists(st.integers(1, 11), min_size=1, max_size=2), chunk_bytes=st.integers(24, 200)
)
def test_whenever_it_is_killed_the_group_is_that_of_an_undisturbed_writer(
    cells: bool, kills: list[int], chunk_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("resume")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(store_module, "_SMALLER", 1)
        plain = FeatureStore(open_root(str(folder / "plain")))
        until(plain.writer(SPEC, "c"), Echo(cells), 99).close(REPORT)
        store = FeatureStore(open_root(str(folder / "killed")))
        for n_batches in kills:
            until(store.writer(SPEC, "c", decoder="pyav"), Echo(cells), n_batches)
        until(store.writer(SPEC, "c", decoder="pyav"), Echo(cells), 99).close(REPORT)
    assert stored(folder / "killed", "features") == stored(folder / "plain", "features")
    shutil.rmtree(folder)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK_BYTES", 120)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    if request.param == "local":
        return open_root(str(tmp_path / "root"))
    return open_root(f"s3://{request.getfixturevalue('s3_environment')}/root")


@pytest.mark.parametrize("cells", [False, True], ids=["vectors", "cells"])
def test_only_what_is_missing_is_forwarded(root: Root, cells: bool, small_chunks: None) -> None:
    store = FeatureStore(root)
    until(store.writer(SPEC, "c", decoder="pyav"), Echo(cells), 8)
    backbone = Echo(cells)
    writer = store.writer(SPEC, "c", decoder="pyav")
    kept = writer.n_rows
    assert 20 < kept <= 64
    group = until(writer, backbone, 99).close(REPORT)
    assert backbone.n_given == N_ROWS - kept + 2
    assert group.index_T().tolist() == list(range(N_ROWS))
    np.testing.assert_allclose(group.seconds_T(), np.arange(N_ROWS) / 25)


def test_half_a_chunk_is_written_again(tmp_path: Path, small_chunks: None) -> None:
    root = open_root(str(tmp_path / "root"))
    store = FeatureStore(root)
    until(store.writer(SPEC, "c", decoder="pyav"), Echo(cells=False), 8)
    chunks = tmp_path / "root" / group_key(SPEC, "c") / "features" / "c"
    (chunks / "1" / "0").write_bytes((chunks / "1" / "0").read_bytes()[:5])
    writer = store.writer(SPEC, "c", decoder="pyav")
    assert writer.n_rows == 120 // 4
    until(writer, Echo(cells=False), 99).close(REPORT)
    plain = FeatureStore(open_root(str(tmp_path / "plain")))
    until(plain.writer(SPEC, "c"), Echo(cells=False), 99).close(REPORT)
    assert stored(tmp_path / "root", "features") == stored(tmp_path / "plain", "features")


def test_frames_of_two_decoders_are_never_mixed(tmp_path: Path, small_chunks: None) -> None:
    root = open_root(str(tmp_path))
    store = FeatureStore(root)
    until(store.writer(SPEC, "c", decoder="decord"), Echo(cells=False), 8)
    assert store.writer(SPEC, "c", decoder="pyav").n_rows == 0
    assert not [key for key in root.keys(group_key(SPEC, "c")) if "/features/c/" in key]


EXTRACT = """
import sys
import anomaly.features.store as store
from anomaly.features import recipe
from anomaly.features.extract import extract_video
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec
from anomaly.video.archive import find
store.CHUNK_BYTES = int(sys.argv[4])
(file,) = find(ArchiveSpec(root=sys.argv[1]), name="t")
made = recipe(sys.argv[3], {"model": "test_vit", "weights": "random:0"} if "timm" in sys.argv[3] else {})
print(extract_video(open_root(sys.argv[2]), file, [made]).status)
"""
CHUNK_BYTES = 2000


def started(archive: Path, root: Root, backbone: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        EXTRACT,
        str(archive),
        root.url,
        backbone,
        str(CHUNK_BYTES),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def one_video(archive: Path) -> VideoFile:
    (file,) = find(ArchiveSpec(root=str(archive)), name="t")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "n_frames", "kills"),
    [("motion", 900, (4, 40)), ("timm_frames", 200, (6,))],
)
def test_a_long_video_that_was_killed_is_bit_for_bit_the_same(
    backbone: str,
    n_frames: int,
    kills: tuple[int, ...],
    make_video: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "CHUNK_BYTES", CHUNK_BYTES)
    make_video(tmp_path / "archive" / "a.mp4", frames=n_frames, height=120, width=160)
    file = one_video(tmp_path / "archive")
    options = {"model": "test_vit", "weights": "random:0"} if "timm" in backbone else {}
    made = recipe(backbone, options)
    extract_video(open_root(str(tmp_path / "alone")), file, [made])
    root = open_root(str(tmp_path / "root"))
    for n_chunks in kills:
        process = started(tmp_path / "archive", root, backbone)
        while process.poll() is None and n_chunks > sum(
            "/features/c/" in key for key in root.keys("features")
        ):
            time.sleep(0.002)
        assert process.poll() is None, "it was too quick to be killed, or failed"
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    content = root.folders(f"features/{root.folders('features')[0]}")[0]
    kept = FeatureStore(root).writer(made, content, decoder="pyav").n_rows
    assert 0 < kept < n_frames
    outcome = extract_video(root, file, [made])
    assert (outcome.status, outcome.frames) == ("ok", n_frames)
    assert stored(tmp_path / "root", "features") == stored(tmp_path / "alone", "features")
