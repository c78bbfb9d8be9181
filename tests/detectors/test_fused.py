"""Parts that are joined: the surest speaks, wherever it stands, and a quiet one costs nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

GRID = (5, 7)


def recipe(stride=1):
    return FeatureSpec(
        backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec(stride=stride)
    )


def block(seed, scale, n_rows=120, dimension=3):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 4, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = generator.normal(0, scale, (offsets[-1], dimension)).astype(np.float32)
    place = generator.integers(0, GRID, (offsets[-1], 2)).astype(np.int16)
    return FeatureBlock(np.arange(n_rows), np.arange(n_rows) / 10, values, offsets, place, GRID)


def bag(seed, **planted):
    """One video of two inputs; `planted` puts an outlier into the first cell of a row of an input."""
    blocks = {"loud": block(seed, 1000.0), "faint": block(seed + 500, 0.001, dimension=4)}
    for name, row in planted.items():
        blocks[name].values_ND[blocks[name].offsets_S[row]] *= 40
    return Bag(f"{seed}", "cam", {name: MemorySource(one) for name, one in blocks.items()})


@pytest.fixture(scope="module")
def fused():
    built = detectors().get("fused").build({}, {"loud": recipe(), "faint": recipe()})
    context = FitContext(np.random.default_rng(0))
    return built.fit([bag(number) for number in range(6)], validation=(), context=context)


def scores(detector, video):
    return np.concatenate([one.scores_NL[:, 0] for one in detector.score(video)])


@pytest.mark.parametrize("part", ["loud", "faint"])
def test_either_part_raises_a_row_whatever_the_units_of_its_features(fused, part):
    found = scores(fused, bag(77, **{part: 60}))
    assert found.argmax() == 60


def test_what_the_second_part_is_sure_of_scores_as_what_is_as_rare_in_the_first(fused):
    normal = np.concatenate([scores(fused, bag(number)) for number in range(100, 140)])
    found = scores(fused, bag(77, faint=60))
    assert found[60] > np.quantile(normal, 0.999)


def test_the_cells_of_all_that_is_heard_are_told_and_the_best_one_is_the_score(fused):
    video = bag(77, faint=60)
    (one,) = fused.score(video)
    rows, places, found = one.cells
    heard = video.sources["loud"].block.offsets_S[-1]
    assert heard < len(rows) < heard + 6
    best = np.zeros(video.n_rows)
    np.maximum.at(best, rows, found)
    np.testing.assert_array_equal(best, one.scores_NL[:, 0])
    place = video.sources["faint"].block.place_N2[video.sources["faint"].block.offsets_S[60]]
    assert places[found.argmax()].tolist() == place.tolist()


@pytest.mark.parametrize(("part", "number"), [("loud", 0), ("faint", 1)])
def test_a_row_tells_which_part_spoke(fused, part, number):
    (found,) = fused.score(bag(77, **{part: 60}))
    assert found.part_N[60] == number


def test_a_part_that_is_not_sure_changes_nothing():
    """The second part is as noisy in every video; the first alone decides."""
    context = FitContext(np.random.default_rng(0))
    inputs = {"loud": recipe(), "faint": recipe()}
    both = detectors().get("fused").build({}, inputs)
    both.fit([bag(number) for number in range(6)], validation=(), context=context)
    alone = detectors().get("fused").build({}, {"loud": recipe()})
    alone.fit(
        [_only(bag(number)) for number in range(6)],
        validation=(),
        context=FitContext(np.random.default_rng(0)),
    )
    for number in range(100, 110):
        video = bag(number)
        np.testing.assert_array_equal(scores(both, video), scores(alone, _only(video)))


def _only(video):
    return replace(video, sources={"loud": video.sources["loud"]})


def test_what_is_left_out_is_scored_as_if_it_had_not_been_learnt_from(fused):
    """And, as nobody else has anything like it, an outlier is not made normal by being learnt."""
    bags = [bag(number) for number in range(5)] + [bag(5, loud=60)]
    context = FitContext(np.random.default_rng(0))
    built = detectors().get("fused").build({}, {"loud": recipe(), "faint": recipe()})
    built.fit(bags, validation=(), context=context)
    left_out = {one.video: blocks for one, blocks in built.left_out(bags)}
    assert sorted(left_out) == [str(number) for number in range(6)]
    honest = np.concatenate([block.scores_NL[:, 0] for block in left_out["5"]])
    assert honest.argmax() == 60
    assert scores(built, bags[5]).argmax() == 60


def test_parts_that_are_read_in_blocks_of_different_length_give_the_same_scores(
    fused, monkeypatch
):
    video = bag(77, loud=33)
    whole = scores(fused, video)
    monkeypatch.setattr("anomaly.windows.bags.BLOCK_BYTES", 7 * 4 * GRID[0] * GRID[1] * 3)
    np.testing.assert_array_equal(scores(fused, video), whole)


def test_inputs_of_different_stride_are_refused():
    with pytest.raises(SpecError, match=r"every \[1, 2\] frames"):
        detectors().get("fused").build({}, {"a": recipe(1), "b": recipe(2)})


def test_a_part_that_cannot_leave_out_what_it_learnt_is_refused():
    with pytest.raises(SpecError, match=r"cannot leave out what it learnt"):
        detectors().get("fused").build({"part": "predictor"}, {"a": recipe()})
