"""What every file in `detectors/` promises, checked for each of them on vectors and on a grid."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import pytest

from anomaly.checkpoints import Checkpoint, Model, load, save
from anomaly.detectors import LABELLED, FitContext, detectors
from anomaly.errors import AnomalyError, SpecError, StoreError
from anomaly.explain.slopes import slopes
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.spec import to_dict
from anomaly.storage import open_root
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

OF_FEATURES = [n for n in detectors().names() if detectors().get(n).reads == "features"]
"""those of pictures have a suite of their own: `test_pixel_detectors.py`"""
ONE_CLASS = [n for n in OF_FEATURES if detectors().get(n).supervision == "one_class"]
TAUGHT = [n for n in detectors().names() if detectors().get(n).supervision in LABELLED]
NAMES = [*ONE_CLASS, *TAUGHT]
SMALL = {"segments": 10, "snippet_rows": 2, "hidden": 32}
"""parameters under which a large network is tested, where it has them"""
EPOCHS = {"mil_ranking": 300, "rtfm": 40, "bn_wvad": 100}
"""epochs of those that 12 are not enough for"""
CHOSEN = {"perturbed": {"options": {"training": {"epochs": 4}}}}
"""parameters of those that wrap another, which has tests of its own"""
ABNORMAL_ROWS = slice(60, 120)
KINDS = ("vectors", "grid")
GRIDS = ((4, 6), (6, 3))
DIMENSION = 7


def recipe(kind):
    """Grid features are called `motion`, which has a grouping of its own in some detectors."""
    backbone = "motion" if kind == "grid" else "test"
    return FeatureSpec(
        backbone=backbone, parameters={}, version=1, weights="", pixels=PixelSpec()
    )


def features(kind, seed, n_rows, dimension=DIMENSION):
    """Slowly changing features; of a grid, 0 to 5 active cells a row."""
    generator = np.random.default_rng(seed)
    index = np.arange(n_rows)
    counts = np.ones(n_rows, int) if kind == "vectors" else generator.integers(0, 6, n_rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    course = np.sin(index[:, None] / 9 + np.arange(dimension) + seed)
    noise = generator.normal(0, 0.3, (offsets[-1], dimension))
    values = (np.repeat(course, counts, axis=0) + noise).astype(np.float16)
    grid = place = None
    if kind == "grid":
        grid = GRIDS[seed % 2]
        place = generator.integers(0, grid, (offsets[-1], 2)).astype(np.int16)
    return FeatureBlock(index, index / 10, values, offsets, place, grid)


def bag(kind, seed, n_rows=200, **change):
    source = MemorySource(features(kind, seed, n_rows, **change))
    return Bag(f"cam/{seed}.mp4", "cam", {"features": source}, label=0)


def abnormal_bag(kind, seed, n_rows=200, **change):
    """A video whose rows 60 to 119 are beyond anything normal, and say so."""
    video = bag(kind, seed, n_rows, **change)
    block, labels_T = video.sources["features"].block, np.zeros(n_rows, np.int16)
    labels_T[ABNORMAL_ROWS] = 1
    block.values_ND[labels_T[block.row_N] == 1] += 3
    return replace(video, label=1, labels_T=labels_T)


def training_bags(name, kind, numbers, **change):
    """Normal videos; in turn normal and abnormal ones for a detector that learns from labels."""
    kinds = (bag, abnormal_bag) if name in TAUGHT else (bag, bag)
    return [kinds[number % 2](kind, number, **change) for number in numbers]


def build(name, kind, epochs=0):
    """Build a detector; `epochs` is for tests that ask nothing of what was learnt."""
    cls = detectors().get(name)
    chosen = dict(CHOSEN.get(name, {}))
    known = {field.name for field in fields(cls.Parameters)}
    if name in TAUGHT:
        chosen = {key: value for key, value in SMALL.items() if key in known}
        epochs = epochs or EPOCHS.get(name, 12)
        quick = {"epochs": epochs, "patience": epochs, "batch": 8, "learning_rate": 5e-3}
        chosen["training"] = {**to_dict(cls.Parameters().training), **quick}
    elif epochs and "training" in known:
        chosen["training"] = {**to_dict(cls.Parameters().training), "epochs": epochs}
    return cls.build(chosen, {"features": recipe(kind)})


def fit(name, kind, seed=0, epochs=0):
    count = 8 if name in TAUGHT else 4
    return build(name, kind, epochs).fit(
        training_bags(name, kind, range(count)),
        validation=training_bags(name, kind, range(count, count + count // 2)),
        context=FitContext(np.random.default_rng(seed)),
    )


@cache
def fitted(name, kind):
    return fit(name, kind)


def scores(detector, video):
    """Scores by row, NaN where a row has none; room 5 merges windows by their mean."""
    total, count = np.zeros(video.n_rows), np.zeros(video.n_rows)
    for block in detector.score(video):
        np.add.at(total, block.rows_NL, block.scores_NL)
        np.add.at(count, block.rows_NL, 1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_every_row_has_a_finite_score_or_lies_within_reach_of_one_that_has(name, kind):
    detector = fitted(name, kind)
    for n_rows in (1, 5, 150):
        found = scores(detector, bag(kind, 9, n_rows))
        measured = np.flatnonzero(np.isfinite(found))
        assert len(measured)
        gaps = np.abs(np.arange(n_rows)[:, None] - measured).min(axis=1)
        assert gaps.max() <= detector.support_rows


def test_equal_seeds_give_equal_scores_to_the_last_bit(name, kind):
    video = bag(kind, 9)
    first, again = (scores(fit(name, kind, epochs=4), video) for _ in range(2))
    assert np.array_equal(first, again, equal_nan=True)


def test_scores_do_not_depend_on_other_videos_nor_on_labels(name, kind):
    detector, video = fitted(name, kind), bag(kind, 9)
    alone = scores(detector, video)
    scores(detector, bag(kind, 10))
    assert np.array_equal(alone, scores(detector, video), equal_nan=True)
    labelled = replace(video, label=1, labels_T=np.ones(video.n_rows, np.int16))
    for other in (video.restrict(3, 7), labelled):
        assert np.array_equal(alone, scores(detector, other), equal_nan=True)


@pytest.mark.parametrize("cut", [40, 77, 128])
def test_the_first_part_of_a_video_gets_the_scores_that_it_gets_within_the_whole(
    name, kind, cut
):
    detector, whole = fitted(name, kind), bag(kind, 9)
    part = MemorySource(whole.sources["features"].read(0, cut))
    alone = scores(detector, Bag("part", "cam", {"features": part}))
    sure = slice(0, max(0, cut - detector.support_rows))
    assert np.array_equal(alone[sure], scores(detector, whole)[sure], equal_nan=True)


def test_scores_do_not_depend_on_how_many_rows_are_read_at_a_time(name, kind, monkeypatch):
    detector, video = fitted(name, kind), bag(kind, 9)
    whole = scores(detector, video)
    monkeypatch.setattr("anomaly.windows.bags.BLOCK_ROWS", 7)
    assert np.array_equal(scores(detector, video), whole, equal_nan=True)


def test_a_stored_model_gives_the_same_scores(name, kind, tmp_path):
    detector, video, root = fitted(name, kind), bag(kind, 9), open_root(str(tmp_path))
    header = Checkpoint(
        name="x", detector=name, parameters={}, inputs={"features": recipe(kind)}, scores={}
    )
    save(root, header, {"cam": Model(detector.state(), {}, {})})
    _, model = load(root, "x").model_for(root, "cam")
    again = build(name, kind)
    again.load_state(model.detector)
    assert np.array_equal(scores(again, video), scores(detector, video), equal_nan=True)


@pytest.mark.parametrize("name", ONE_CLASS)
def test_a_planted_outlier_scores_above_all_normal_rows(name, kind):
    detector, video = fitted(name, kind), bag(kind, 9)
    block = video.sources["features"].block
    row = next(row for row in range(100, 200) if np.diff(block.offsets_S)[row] > 0)
    block.values_ND[block.offsets_S[row]] += 12
    found = scores(detector, video)
    near = np.abs(np.arange(len(found)) - row) <= detector.support_rows
    assert found[row] > np.nanmax(found[~near])


@pytest.mark.parametrize("name", TAUGHT)
def test_what_was_labelled_abnormal_scores_above_what_was_not_in_a_new_video(name, kind):
    found = scores(fitted(name, kind), abnormal_bag(kind, 19))
    abnormal, normal = found[ABNORMAL_ROWS], np.delete(found, ABNORMAL_ROWS)
    higher = np.nan_to_num(abnormal, nan=np.nanmin(abnormal))[:, None] > normal[None, :]
    assert higher.mean() > 0.75


@pytest.mark.parametrize("name", TAUGHT)
def test_videos_of_one_kind_alone_teach_nothing(name, kind):
    with pytest.raises(
        StoreError, match=r"Nothing to learn from: 2 training videos have \d+ normal"
    ):
        build(name, kind).fit(
            [bag(kind, 0), bag(kind, 2)],
            validation=[],
            context=FitContext(np.random.default_rng(0)),
        )


@pytest.mark.parametrize("name", TAUGHT)
def test_a_video_without_a_label_is_refused_by_name(name, kind):
    with pytest.raises(SpecError, match=r"'cam/2\.mp4' has no label"):
        build(name, kind).fit(
            [abnormal_bag(kind, 1), replace(bag(kind, 2), label=None)],
            validation=[],
            context=FitContext(np.random.default_rng(0)),
        )


def moved(video, slopes_ND, first_row, step):
    """The video with the cells from `first_row` on moved by `step` along their slopes."""
    block = video.sources["features"].block
    values_ND = block.values_ND.astype(np.float32)
    begin = block.offsets_S[first_row]
    values_ND[begin : begin + len(slopes_ND)] += step * slopes_ND
    return replace(
        video, sources={"features": MemorySource(replace(block, values_ND=values_ND))}
    )


def test_the_formula_gives_the_score_and_the_slope_of_the_score(name, kind):
    detector, video = fitted(name, kind), bag(kind, 9)
    if detector.formula(video) is None:
        pytest.skip("its score has no slope, or it joins several")
    found = scores(detector, video)
    row = int(np.nanargmax(found))
    told = slopes(detector, video, [row], [1.0])
    assert told.score == pytest.approx(found[row], rel=1e-4, abs=1e-5)
    steepness = np.linalg.norm(told.slope_ND)
    uphill = told.slope_ND / max(steepness, 1e-9)
    low, high = (
        scores(detector, moved(video, uphill, told.first_row, step))[row]
        for step in (-2e-3, 2e-3)
    )
    assert (high - low) / 4e-3 == pytest.approx(steepness, rel=0.05, abs=2e-3)


def test_cells_tell_where_a_row_got_its_score(name):
    for block in fitted(name, "grid").score(bag("grid", 9)):
        if block.cells is None:
            pytest.skip("the detector does not localise")
        rows, places, cell_scores = block.cells
        assert places.shape == (len(rows), 2)
        best = dict.fromkeys(block.rows_NL[:, 0].tolist(), 0.0)
        for row, score in zip(rows.tolist(), cell_scores.tolist(), strict=True):
            best[row] = max(best[row], score)
        assert list(best.values()) == block.scores_NL[:, 0].tolist()


def test_a_video_without_any_active_cell_gets_finite_scores(name):
    empty = FeatureBlock(
        np.arange(40),
        np.arange(40) / 10,
        np.zeros((0, DIMENSION), np.float16),
        np.zeros(41, np.int64),
        np.zeros((0, 2), np.int16),
        GRIDS[0],
    )
    found = scores(fitted(name, "grid"), Bag("v", "cam", {"features": MemorySource(empty)}))
    assert np.isfinite(found[fitted(name, "grid").support_rows :]).all()


def test_a_video_without_rows_gets_no_scores(name, kind):
    assert sum(len(b.rows_NL) for b in fitted(name, kind).score(bag(kind, 9, 0))) == 0


def test_fitting_on_nothing_is_refused_in_one_line(name, kind):
    for bags in ([], [bag(kind, 0, 0)], [bag(kind, 0).restrict(0, 0)]):
        with pytest.raises(AnomalyError, match=r"Nothing to learn from: .*\d training videos"):
            build(name, kind).fit(
                bags, validation=[], context=FitContext(np.random.default_rng(0))
            )


def test_features_of_another_length_are_refused_with_both_lengths(name, kind):
    with pytest.raises(StoreError, match=r"cam/9\.mp4.* dimensions, expected \d+"):
        scores(fitted(name, kind), bag(kind, 9, dimension=DIMENSION + 1))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_features_that_are_not_numbers_are_refused_and_never_become_scores(name, kind, broken):
    video = bag(kind, 9)
    video.sources["features"].block.values_ND[-1] = broken
    with pytest.raises(StoreError, match=r"cam/9\.mp4.* not finite"):
        scores(fitted(name, kind), video)


def test_an_unknown_parameter_is_refused_by_name(name, kind):
    with pytest.raises(SpecError, match=r"no_such_thing"):
        detectors().get(name).build({"no_such_thing": 1}, {"features": recipe(kind)})


@dataclass(frozen=True)
class Endless:
    """A long video that is made while it is read."""

    tile: FeatureBlock
    n_rows: int

    @property
    def dimension(self):
        return self.tile.values_ND.shape[1]

    @property
    def grid(self):
        return self.tile.grid

    def read(self, start, stop):
        rows = np.arange(start, stop)
        values = self.tile.values_ND[rows % len(self.tile)]
        return FeatureBlock(rows, rows / 10, values, np.arange(len(rows) + 1), None, None)


def test_memory_does_not_grow_with_the_length_of_a_video(name, monkeypatch):
    monkeypatch.setattr("anomaly.windows.bags.BLOCK_ROWS", 256)
    wide = 128
    detector = build(name, "vectors", epochs=1).fit(
        training_bags(name, "vectors", range(2), n_rows=100, dimension=wide),
        validation=[bag("vectors", 2, 100, dimension=wide)],
        context=FitContext(np.random.default_rng(0)),
    )
    tile = features("vectors", 9, 64, wide)
    peaks = []
    for n_rows in (1_500, 4_500):
        video = Bag("long", "cam", {"features": Endless(tile, n_rows)})
        tracemalloc.start()
        for _ in detector.score(video):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 2**17
