"""A bag reads lazily and in blocks of bounded size."""

from __future__ import annotations

import numpy as np

from anomaly.features import FeatureBlock, vector_block
from anomaly.windows.bags import BLOCK_BYTES, Bag, MemorySource


def test_blocks_are_short_where_rows_are_large():
    index = np.arange(5)
    plain = vector_block(index, index / 10, np.zeros((5, 8), np.float32))
    place = np.zeros((5, 2), np.int16)
    large = FeatureBlock(index, index / 10, plain.values_ND, plain.offsets_S, place, (40, 50))
    bag = Bag("v", "c", {"plain": MemorySource(plain), "grid": MemorySource(large)})
    assert bag.block_rows("plain") == 4096
    assert bag.block_rows("grid") == BLOCK_BYTES // (40 * 50 * 8 * 4)


def test_usable_blocks_show_the_usable_rows_only():
    index = np.arange(50)
    block = vector_block(index, index / 10, index[:, None].astype(np.float32))
    bag = Bag("v", "c", {"features": MemorySource(block)}, ((3, 9), (20, 21)))
    shown = np.concatenate([b.index_T for b in bag.usable_blocks("features", rows=4)])
    assert shown.tolist() == [3, 4, 5, 6, 7, 8, 20]
    assert bag.n_usable == 7
    assert bag.restrict(5, 20).usable_ranges == ((5, 9),)


def test_rows_within_the_margin_of_abnormal_ones_are_not_known_to_be_normal():
    index = np.arange(12)
    block = vector_block(index, index / 10, index[:, None].astype(np.float32))
    labels_T = np.array([0, 0, 0, 0, 2, 0, 0, 0, -1, 0, 0, 0], np.int16)
    bag = Bag("v", "c", {"x": MemorySource(block)}, ((0, 11),), label=2, labels_T=labels_T)
    assert np.flatnonzero(bag.normal_rows(2)).tolist() == [0, 1, 7, 9, 10]
    assert np.flatnonzero(bag.normal_rows()).tolist() == [0, 1, 2, 3, 5, 6, 7, 9, 10]


def test_no_row_of_a_video_labelled_abnormal_as_a_whole_is_known_to_be_normal():
    index = np.arange(4)
    source = {"x": MemorySource(vector_block(index, index / 10, np.zeros((4, 1), np.float32)))}
    assert Bag("v", "c", source).normal_rows().all()
    assert Bag("v", "c", source, label=0).normal_rows().all()
    assert not Bag("v", "c", source, label=3).normal_rows().any()


def test_a_stretch_counts_its_rows_from_zero_and_keeps_what_is_known_of_them():
    index = np.arange(50)
    block = vector_block(index, index / 10, index[:, None].astype(np.float32))
    labels_T = (index > 30).astype(np.int16)
    bag = Bag(
        "v", "c", {"features": MemorySource(block)}, ((3, 25), (28, 45)), labels_T=labels_T
    )
    part = bag.stretch(20, 40)
    assert part.n_rows == 20
    assert part.usable_ranges == ((0, 5), (8, 20))
    assert part.read("features", 1, 3).index_T.tolist() == [21, 22]
    assert part.labels_T.tolist() == labels_T[20:40].tolist()
    assert part.stretch(5, 9).read("features", 0, 1).index_T.tolist() == [25]
