"""Stored features: whole or invisible, lazily read, on disk and S3."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import anomaly.features.store as store_module
from anomaly.errors import StoreError, TransientError
from anomaly.features import FeatureBlock, FeatureSpec, concatenate, vector_block
from anomaly.features.picture import STATISTICS, Picture
from anomaly.features.store import FeatureGroup, FeatureStore, group_key
from anomaly.storage import Root, open_root
from anomaly.video import DecodeReport, PixelSpec, Video

READ = """
import pickle, sys
group = pickle.loads(bytes.fromhex(sys.argv[1]))
print(round(float(group.read(0, group.n_rows).values_ND.sum()), 3))
"""


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    if request.param == "local":
        return open_root(str(tmp_path))
    return open_root(f"s3://{request.getfixturevalue('s3_environment')}/root")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK_BYTES", 600)


def spec_of(**changes: object) -> FeatureSpec:
    values: dict[str, object] = {
        "backbone": "test",
        "parameters": {},
        "version": 1,
        "weights": "",
        "pixels": PixelSpec(),
    }
    return FeatureSpec(**{**values, **changes})  # type: ignore[arg-type]


def report(n_frames: int) -> DecodeReport:
    video = Video(
        n_frames=n_frames, rate=Fraction(25, 2), height=48, width=64, codec="h264", rotation=0
    )
    return DecodeReport(
        video=video,
        n_frames=n_frames,
        n_decoded=n_frames - 1,
        n_damaged=1,
        duration_seconds=n_frames / 12.5,
        decoder="pyav",
        restarts=1,
    )


def grid_block(n_rows: int, seed: int, first: int = 0, empty: bool = False) -> FeatureBlock:
    generator = np.random.default_rng(seed)
    counts = np.zeros(n_rows, np.int64) if empty else generator.integers(0, 5, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = generator.normal(size=(offsets[-1], 3)).astype(np.float16).astype(np.float32)
    places = generator.integers(0, 9, (offsets[-1], 2)).astype(np.int16)
    index = np.arange(first, first + n_rows)
    return FeatureBlock(index, index / 25, values, offsets, places, (9, 9))


def picture(n_rows: int) -> Picture:
    views = np.full((2, 6, 8), 7, np.uint8)
    return Picture(np.ones((n_rows, len(STATISTICS)), np.float32), views, np.arange(2.0))


def vectors(n_rows: int, seed: int, first: int = 0) -> FeatureBlock:
    values = np.random.default_rng(seed).normal(size=(n_rows, 5)).astype(np.float16)
    index = np.arange(first, first + n_rows)
    return vector_block(index, index / 25, values.astype(np.float32))


def write(root: Root, blocks: list[FeatureBlock], content: str = "c") -> FeatureGroup:
    writer = FeatureStore(root).writer(spec_of(), content)
    for block in blocks:
        writer.append_picture(picture(len(block)))
        writer.append(block)
    return writer.close(report(sum(len(block) for block in blocks)))


def assert_same(found: FeatureBlock, expected: FeatureBlock) -> None:
    assert found.grid == expected.grid
    for name in ("index_T", "seconds_T", "values_ND", "offsets_S"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    if expected.place_N2 is not None:
        np.testing.assert_array_equal(found.place_N2, expected.place_N2)


@pytest.mark.parametrize("make", [grid_block, vectors])
def test_what_was_appended_comes_back_from_any_stretch(
    root: Root, make: object, small_chunks: None
) -> None:
    blocks = [make(7, 1), make(40, 2, 7), make(1, 3, 47), make(60, 4, 48)]  # type: ignore[operator]
    write(root, blocks)
    group = FeatureStore(root).open(spec_of(), "c")
    assert group is not None
    together = concatenate(blocks)
    assert (group.n_rows, group.dimension) == (108, together.values_ND.shape[1])
    assert group.grid == together.grid
    for start, stop in [(0, 108), (0, 1), (50, 50), (3, 60), (60, 108), (10, 20), (107, 108)]:
        assert_same(group.read(start, stop), together.rows(start, stop))
    np.testing.assert_array_equal(group.index_T(), together.index_T)
    np.testing.assert_array_equal(group.seconds_T(), together.seconds_T)
    np.testing.assert_array_equal(group.brightness_T(), np.ones(108))


def test_a_video_in_which_nothing_ever_moves_is_stored_and_read(root: Root) -> None:
    write(root, [grid_block(4, 0, empty=True), grid_block(3, 0, 4, empty=True)])
    group = FeatureStore(root).open(spec_of(), "c")
    assert group is not None
    block = group.read(0, 7)
    assert block.values_ND.shape == (0, 3)
    assert block.place_N2 is not None
    assert block.place_N2.shape == (0, 2)
    assert block.offsets_S.tolist() == [0] * 8


def test_the_pictures_last_asked_for_are_kept_and_no_more_than_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = open_root(str(tmp_path))
    for content in "abc":
        write(root, [grid_block(4, 0)], content)
    store = FeatureStore(root)
    first = store.picture(spec_of(), "a")
    assert first is not None
    np.testing.assert_array_equal(first.views_VHW, picture(4).views_VHW)
    assert store.picture(spec_of(), "a") is first
    assert store.picture(spec_of(), "none") is None
    monkeypatch.setattr(store_module, "_PICTURE_BYTES_KEPT", 2 * first.n_bytes)
    store.picture(spec_of(), "b")
    store.picture(spec_of(), "c")
    assert store.picture(spec_of(), "a") is not first


def test_a_group_is_invisible_until_it_is_closed(root: Root) -> None:
    store = FeatureStore(root)
    writer = store.writer(spec_of(), "c")
    writer.append(vectors(3, 0))
    assert store.open(spec_of(), "c") is None
    assert store.complete(spec_of(), ["c"]) == set()
    writer.close(report(3))
    assert store.complete(spec_of(), ["c", "unknown"]) == {"c"}


def test_facts_of_the_video_come_back(root: Root) -> None:
    write(root, [vectors(3, 0)])
    group = FeatureStore(root).open(spec_of(), "c")
    assert group is not None
    assert group.catalog_facts() == {
        "n_frames": 3,
        "rate": 12.5,
        "height": 48,
        "width": 64,
        "codec": "h264",
        "duration_seconds": 0.24,
        "frames_lost": 1,
    }
    assert (group.n_frames, group.duration_seconds) == (3, 0.24)
    assert (group.attributes["decoder"], group.attributes["restarts"]) == ("pyav", 1)


def test_recipes_do_not_mix_and_are_written_out(root: Root) -> None:
    write(root, [vectors(3, 0)])
    other = spec_of(weights="random:1")
    assert FeatureStore(root).open(other, "c") is None
    found = root.read_json(f"{group_key(spec_of(), '').rstrip('/')}/recipe.json")
    assert found["backbone"] == "test"


def test_a_killed_writers_left_overs_are_wiped(root: Root, small_chunks: None) -> None:
    store = FeatureStore(root)
    store.writer(spec_of(), "c").append(vectors(500, 0))
    write(root, [vectors(2, 1)])
    group = store.open(spec_of(), "c")
    assert group is not None
    assert_same(group.read(0, 2), vectors(2, 1))
    chunks = [key for key in root.keys(group.key) if "/features/c/" in key]
    assert len(chunks) == 1


def test_of_two_writers_of_one_group_only_the_later_may_close(root: Root) -> None:
    store = FeatureStore(root)
    early, late = store.writer(spec_of(), "c"), store.writer(spec_of(), "c")
    early.append(vectors(2, 0))
    with pytest.raises(TransientError, match="taken over by another writer"):
        early.close(report(2))
    early.discard()
    late.append(vectors(3, 1))
    late.close(report(3))
    group = store.open(spec_of(), "c")
    assert group is not None
    assert_same(group.read(0, 3), vectors(3, 1))


def test_a_discarded_group_leaves_nothing(root: Root) -> None:
    store = FeatureStore(root)
    writer = store.writer(spec_of(), "c")
    writer.append(vectors(2, 0))
    writer.discard()
    assert root.keys(writer.key) == []


def test_a_group_is_read_in_another_process(root: Root) -> None:
    group = write(root, [vectors(20, 3)])
    group.read(0, 5)
    sent = pickle.dumps(FeatureStore(root).open(spec_of(), "c")).hex()
    printed = subprocess.run(
        [sys.executable, "-c", READ, sent], capture_output=True, text=True, check=True
    ).stdout
    expected = round(float(vectors(20, 3).values_ND.sum()), 3)
    assert float(printed) == pytest.approx(expected, abs=2e-3)


def test_values_too_large_for_the_stored_type_become_its_largest(tmp_path: Path) -> None:
    block = vector_block(
        np.arange(2), np.arange(2.0), np.array([[1e9, -1e9], [1.0, 0.5]], np.float32)
    )
    group = write(open_root(str(tmp_path)), [block])
    assert group.read(0, 2).values_ND.tolist() == [[65504.0, -65504.0], [1.0, 0.5]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    writer = FeatureStore(open_root(str(tmp_path))).writer(spec_of(), "c")
    with pytest.raises(StoreError, match="not finite"):
        writer.append(vector_block(np.arange(1), np.zeros(1), np.array([[bad]], np.float32)))


def test_blocks_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    writer = FeatureStore(open_root(str(tmp_path))).writer(spec_of(), "c")
    with pytest.raises(StoreError, match="no row was written"):
        writer.close(report(1))
    writer.append(vectors(2, 0))
    with pytest.raises(StoreError, match=r"expected \(N, 5\)"):
        writer.append(vector_block(np.arange(1), np.zeros(1), np.zeros((1, 4), np.float32)))


def test_rows_that_are_not_there_are_refused(tmp_path: Path) -> None:
    group = write(open_root(str(tmp_path)), [vectors(3, 0)])
    for start, stop in [(0, 4), (-1, 2), (2, 1)]:
        with pytest.raises(StoreError, match="has 3 rows"):
            group.read(start, stop)


def test_a_lost_chunk_is_noticed(tmp_path: Path, small_chunks: None) -> None:
    root = open_root(str(tmp_path))
    group = write(root, [grid_block(200, 0)])
    for name in ("features", "place", "offsets", "frame_index"):
        chunks = f"{group.key}/{name}/c"
        chunk = next(key for key in root.keys(chunks) if key.startswith(f"{chunks}/1"))
        data = root.read(chunk)
        assert data is not None
        root.delete(chunk)
        fresh = FeatureStore(root).open(spec_of(), "c")
        assert fresh is not None
        with pytest.raises(StoreError, match=f"/{name} has lost stored data"):
            fresh.read(0, 200)
        root.publish(chunk, data)


def test_groups_expire_by_age_and_so_do_left_overs(root: Root) -> None:
    store = FeatureStore(root)
    write(root, [vectors(2, 0)], "kept")
    write(root, [vectors(2, 0)], "old")
    store.writer(spec_of(), "pending")
    now = datetime.now(UTC)
    for content in ("old", "pending"):
        key = f"{group_key(spec_of(), content)}/zarr.json"
        metadata = root.read_json(key)
        metadata["attributes"]["written_at"] = (now - timedelta(days=8)).isoformat()
        root.publish_json(key, metadata)
    root.publish(f"{group_key(spec_of(), 'half-removed')}/features/c/0/0", b"x")
    gone = store.expire(nights=7, now=now)
    assert [key.rsplit("/", 1)[1] for key in gone] == ["half-removed", "old", "pending"]
    assert store.complete(spec_of(), ["kept", "old"]) == {"kept"}
    assert store.expire(nights=7, now=now) == []
    assert root.exists(f"{group_key(spec_of(), 'kept').rsplit('/', 1)[0]}/recipe.json")


def test_bytes_stored_are_the_bytes_of_all_files(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    write(root, [vectors(20, 0)])
    on_disk = sum(
        path.stat().st_size for path in (tmp_path / "features").rglob("*") if path.is_file()
    )
    assert FeatureStore(root).bytes_stored() == on_disk


def test_plain_zarr_opens_a_group_with_consolidated_metadata(tmp_path: Path) -> None:
    import zarr

    group = write(open_root(str(tmp_path)), [grid_block(5, 0)])
    opened = zarr.open_consolidated(str(tmp_path / group.key))
    of_cells, of_rows = {"features", "place"}, {"offsets", "frame_index", "seconds", "picture"}
    assert set(opened.array_keys()) == of_cells | of_rows | {"views", "view_seconds"}
    assert opened.attrs["complete"] is True
    assert json.loads((tmp_path / group.key / "zarr.json").read_text())["zarr_format"] == 3


class _CountingArray:
    """Counts how often entries of an array are decoded."""

    def __init__(self, array: object) -> None:
        self.array = array
        self.decoded = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.array, name)

    def __getitem__(self, stretch: slice) -> np.ndarray:
        self.decoded += stretch.stop - stretch.start
        return self.array[stretch]  # type: ignore[index]


def test_reading_block_after_block_decodes_every_entry_once(
    tmp_path: Path, small_chunks: None
) -> None:
    group = write(open_root(str(tmp_path)), [vectors(1000, 0)])
    column = group._columns["features"]
    counting = column.array = _CountingArray(column.array)
    for start in range(0, 1000, 7):
        group.read(start, min(start + 7, 1000))
    assert counting.decoded == 1000


def test_memory_of_a_writer_does_not_grow_with_the_video(tmp_path: Path) -> None:
    import tracemalloc

    def blocks() -> Iterator[FeatureBlock]:
        for first in range(0, 60_000, 1000):
            yield vectors(1000, 0, first)

    store = FeatureStore(open_root(str(tmp_path)))
    writer = store.writer(spec_of(dtype="float32"), "c")
    peaks = []
    tracemalloc.start()
    for number, block in enumerate(blocks()):
        wide = np.tile(block.values_ND, (1, 100))
        writer.append(vector_block(block.index_T, block.seconds_T, wide))
        if number in {20, 59}:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert store.open(spec_of(), "c") is None
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 40 * 2**20
