"""Several detectors in one: each made comparable on normal video, then added up or the highest taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError, StoreError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

QUICK = {"training": {"epochs": 2}}
PARTS = [
    {"detector": "gaussian", "input": "loud"},
    {"detector": "knn", "input": "faint"},
    {"detector": "predictor", "input": "faint", "options": QUICK},
]


def recipe(stride=1):
    return FeatureSpec(
        backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec(stride=stride)
    )


def block(seed, scale, n_rows, grid):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 4, n_rows) if grid else np.ones(n_rows, int)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = generator.normal(0, scale, (offsets[-1], 3)).astype(np.float32)
    place = generator.integers(0, grid, (offsets[-1], 2)).astype(np.int16) if grid else None
    return FeatureBlock(np.arange(n_rows), np.arange(n_rows) / 10, values, offsets, place, grid)


def bag(seed, n_rows=150, **planted):
    """One video of two inputs; `planted` makes a row of an input an outlier."""
    blocks = {
        "loud": block(seed, 1000.0, n_rows, (5, 7)),
        "faint": block(seed + 500, 0.001, n_rows, None),
    }
    for name, row in planted.items():
        blocks[name].values_ND[blocks[name].offsets_S[row]] *= 40
    return Bag(f"{seed}", "cam", {name: MemorySource(one) for name, one in blocks.items()})


def fitted(join):
    inputs = {"loud": recipe(), "faint": recipe()}
    built = detectors().get("ensemble").build({"parts": PARTS, "join": join}, inputs)
    return built.fit(
        [bag(number) for number in range(6)],
        validation=[bag(number) for number in range(6, 9)],
        context=FitContext(np.random.default_rng(0), resume_key="key"),
    )


@pytest.fixture(scope="module")
def by_sum():
    return fitted("sum")


@pytest.fixture(scope="module")
def by_max():
    return fitted("max")


def scores(detector, video):
    found = np.full(video.n_rows, np.nan)
    for one in detector.score(video):
        found[one.rows_NL[:, 0]] = one.scores_NL[:, 0]
    return found


@pytest.mark.parametrize("name", ["loud", "faint"])
@pytest.mark.parametrize("join", ["by_sum", "by_max"])
def test_what_one_part_finds_odd_is_odd_whatever_its_units(name, join, request):
    found = scores(request.getfixturevalue(join), bag(77, **{name: 60}))
    assert np.nanargmax(found) == 60


def test_the_sum_is_that_of_the_rarities_of_all_parts_and_the_maximum_their_highest(
    by_sum, by_max
):
    video = bag(78)
    alone = []
    for part, level in zip(by_sum._parts, by_sum._levels, strict=True):
        total, count = np.zeros(video.n_rows), np.zeros(video.n_rows)
        for one in part.score(video.only(part.input)):
            np.add.at(total, one.rows_NL, one.scores_NL)
            np.add.at(count, one.rows_NL, 1)
        with np.errstate(invalid="ignore"):
            alone.append(np.maximum(level(total / count), 0))
    assert np.allclose(scores(by_sum, video), np.sum(alone, axis=0), equal_nan=True)
    assert np.allclose(scores(by_max, video), np.max(alone, axis=0), equal_nan=True)


def test_normal_rows_are_about_as_rare_as_they_are_said_to_be(by_max):
    found = np.concatenate([scores(by_max, bag(number)) for number in range(100, 120)])
    beyond = (found[np.isfinite(found)] > 2).mean()
    assert 0.01 < beyond < 0.08  # each of three parts says so once in 100 rows


def test_a_row_tells_the_input_that_found_it_odd(by_max):
    for index, name in enumerate(("loud", "faint")):
        for one in by_max.score(bag(79, **{name: 60})):
            assert one.part_N[one.rows_NL[:, 0].tolist().index(60)] == index


def test_joined_scores_do_not_depend_on_how_many_rows_are_joined_at_a_time(by_sum, monkeypatch):
    from anomaly.detectors import ensemble

    video = bag(80)
    whole = scores(by_sum, video)
    monkeypatch.setattr(ensemble, "_PIECE_ROWS", 7)
    assert np.array_equal(scores(by_sum, video), whole, equal_nan=True)


def test_a_part_without_an_input_reads_each_of_them():
    built = detectors().get("ensemble").build({}, {"loud": recipe(), "faint": recipe()})
    named = [(type(part).__name__, part.input) for part in built._parts]
    assert named == [
        ("Knn", "loud"),
        ("Knn", "faint"),
        ("Gaussian", "loud"),
        ("Gaussian", "faint"),
    ]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([{"detector": "gausian"}], "Did you mean 'gaussian'"),
        ([{"detector": "rtfm"}], "'rtfm' learns from video labels"),
        ([{"detector": "knn", "input": "motion"}], "none of the inputs \\(loud\\)"),
        ([{"detector": "knn", "options": {"bnak": 3}}], "bnak"),
        ([], "parts"),
    ],
)
def test_parts_that_make_no_sense_are_refused(parts, complaint):
    with pytest.raises(SpecError, match=complaint):
        detectors().get("ensemble").build({"parts": parts}, {"loud": recipe()})


def test_inputs_that_look_at_other_frames_are_refused():
    with pytest.raises(SpecError, match=r"look at every \[1, 4\] frames"):
        detectors().get("ensemble").build({}, {"loud": recipe(), "faint": recipe(4)})


def test_without_held_out_video_nothing_can_be_made_comparable():
    built = detectors().get("ensemble").build({}, {"loud": recipe()})
    with pytest.raises(StoreError, match="no normal row was held out"):
        built.fit(
            [bag(1).only("loud")],
            validation=(),
            context=FitContext(np.random.default_rng(0)),
        )


def test_rows_that_are_not_known_to_be_normal_do_not_count_when_parts_are_made_comparable():
    built = detectors().get("ensemble").build({}, {"loud": recipe(), "faint": recipe()})

    def levels(held_out):
        context = FitContext(np.random.default_rng(0))
        built.fit([bag(1), bag(2)], validation=[held_out], context=context)
        return [level.values_K for level in built._levels]

    begin = ((0, 50),)
    alike = zip(
        levels(replace(bag(5), ranges=begin)),
        levels(replace(bag(5, loud=100, faint=100), ranges=begin)),
        strict=True,
    )
    assert all(np.array_equal(*pair) for pair in alike)
