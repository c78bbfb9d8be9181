"""Slopes where rows are made of cells, and where networks see changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomaly.detectors import FitContext, detectors
from anomaly.explain.slopes import row_tensor, slopes
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.scores.merge import merge
from anomaly.training.rows import row_vectors, seen_as
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

SPEC = FeatureSpec(backbone="motion", parameters={}, version=1, weights="", pixels=PixelSpec())
VIEWS = ["vectors", "changes", "both", "amount"]


def video(seed, label=0, n_rows=30):
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 4, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = generator.normal(label, 1, (offsets[-1], 3)).astype(np.float32)
    place = generator.integers(0, (4, 5), (offsets[-1], 2)).astype(np.int16)
    index = np.arange(n_rows)
    block = FeatureBlock(index, index / 10, values, offsets, place, (4, 5))
    return Bag(f"{seed}.mp4", "cam", {"features": MemorySource(block)}, label=label)


@pytest.mark.parametrize("view", VIEWS)
def test_rows_are_made_of_cells_as_the_networks_get_them(view):
    bag = video(0)
    block = bag.sources["features"].block
    made = row_tensor(torch.from_numpy(block.values_ND), block, view).numpy()
    shown = seen_as(view, bag)
    np.testing.assert_allclose(
        made, row_vectors(shown, shown.read("features", 0, 30)), atol=1e-6
    )


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_the_slope_that_small_steps_show(view):
    quick = {"epochs": 4, "patience": 4, "batch": 8, "learning_rate": 5e-3}
    cls = detectors().get("gru")
    detector = cls.build({"view": view, "rows": 6, "training": quick}, {"features": SPEC})
    context = FitContext(np.random.default_rng(0))
    detector.fit([video(n, n % 2) for n in range(6)], validation=[], context=context)
    bag, row = video(9), 14
    found = merge(detector.score(bag), 30).raw_R
    weights = [0.25, 0.5, 0.25]
    told = slopes(detector, bag, [row - 1, row, row + 1], weights)
    assert told.score == pytest.approx(
        float(np.dot(weights, found[row - 1 : row + 2])), abs=1e-5
    )
    steep = float(np.linalg.norm(told.slope_ND))
    assert steep > 0
    ends = []
    for step in (-5e-3, 5e-3):
        block = bag.sources["features"].block
        values_ND = block.values_ND.copy()
        begin = block.offsets_S[told.first_row]
        values_ND[begin : begin + len(told.slope_ND)] += step * told.slope_ND / steep
        moved = replace(
            bag, sources={"features": MemorySource(replace(block, values_ND=values_ND))}
        )
        ends.append(np.dot(weights, merge(detector.score(moved), 30).raw_R[row - 1 : row + 2]))
    assert (ends[1] - ends[0]) / 1e-2 == pytest.approx(steep, rel=0.05, abs=1e-3)


def test_rows_that_have_no_score_of_their_own_are_left_out():
    quick = {"epochs": 2, "patience": 2, "batch": 8}
    cls = detectors().get("predictor")
    detector = cls.build({"rows": 5, "training": quick}, {"features": SPEC})
    context = FitContext(np.random.default_rng(0))
    detector.fit([video(n) for n in range(3)], validation=[], context=context)
    bag = video(9)
    found = merge(detector.score(bag), 30).raw_R
    assert np.isnan(found[2])
    assert slopes(detector, bag, [1, 2], [0.5, 0.5]) is None
    told = slopes(detector, bag, [4, 5], [0.5, 0.5])
    assert told.score == pytest.approx(found[5], rel=1e-5)
