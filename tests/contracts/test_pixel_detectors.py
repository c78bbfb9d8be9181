"""What every detector of pictures promises, on pictures of 16 x 32 and networks a tenth as wide."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from anomaly.checkpoints import Checkpoint, Model, load, save
from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError, StoreError
from anomaly.explain.slopes import slopes
from anomaly.features import recipe, vector_block
from anomaly.storage import open_root
from anomaly.windows.bags import Bag, MemorySource

NAMES = [n for n in detectors().names() if detectors().get(n).reads == "pixels"]
HEIGHT, WIDTH = 16, 32
QUICK = {"epochs": 2, "patience": 2, "batch": 4, "optimiser": "adam", "learning_rate": 1e-3}
STRANGE_ROW = 25


def pictures(seed, n_rows):
    """A textured wall before which a bright square walks."""
    generator = np.random.default_rng(3)
    wall = np.kron(generator.integers(40, 120, (4, 8)), np.ones((4, 4)))
    pixels = np.repeat(wall[None], n_rows, axis=0)
    for row in range(n_rows):
        left = (row + 7 * seed) % (WIDTH - 6)
        pixels[row, 6:11, left : left + 5] = 200
    return pixels.reshape(n_rows, -1).astype(np.float32)


def video(seed, n_rows=36, change=None):
    pixels_TD = pictures(seed, n_rows)
    if change is not None:
        change(pixels_TD.reshape(-1, HEIGHT, WIDTH))
    index = np.arange(n_rows)
    source = MemorySource(vector_block(index, index / 10, pixels_TD))
    return Bag(f"cam/{seed}.mp4", "cam", {"frames": source}, label=0)


def build(name, **parameters):
    spec = recipe("frames", {"height": HEIGHT, "width": WIDTH})
    small = {"channels": 0.1, "block": 8, "clips": 12, "training": QUICK}
    return detectors().get(name).build({**small, **parameters}, {"frames": spec})


def fit(name, **parameters):
    return build(name, **parameters).fit(
        [video(0), video(1)],
        validation=[video(2)],
        context=FitContext(np.random.default_rng(0)),
    )


@cache
def fitted(name):
    return fit(name)


def scores(detector, bag):
    total, count = np.zeros(bag.n_rows), np.zeros(bag.n_rows)
    for block in detector.score(bag):
        np.add.at(total, block.rows_NL, block.scores_NL)
        np.add.at(count, block.rows_NL, 1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_every_frame_has_a_score_or_lies_beside_one_that_has(name):
    detector = fitted(name)
    for n_rows in (1, 5, 20):
        measured = np.flatnonzero(np.isfinite(scores(detector, video(9, n_rows))))
        gaps = np.abs(np.arange(n_rows)[:, None] - measured).min(axis=1)
        assert gaps.max() <= detector.support_rows


def test_equal_seeds_give_equal_scores_to_the_last_bit_and_a_stored_model_too(name, tmp_path):
    detector, bag, root = fitted(name), video(9, 20), open_root(str(tmp_path))
    wanted = scores(detector, bag)
    assert np.array_equal(wanted, scores(fit(name), bag), equal_nan=True)
    header = Checkpoint(
        name="x", detector=name, parameters={}, inputs=detector.inputs, scores={}
    )
    save(root, header, {"cam": Model(detector.state(), {}, {})})
    again = build(name)
    again.load_state(load(root, "x").model_for(root, "cam")[1].detector)
    assert np.array_equal(wanted, scores(again, bag), equal_nan=True)


def test_scores_depend_neither_on_blocks_nor_on_what_follows(name, monkeypatch):
    detector, bag = fitted(name), video(9)
    whole = scores(detector, bag)
    labelled = replace(bag, label=1, labels_T=np.ones(bag.n_rows, np.int16))
    assert np.array_equal(whole, scores(detector, labelled), equal_nan=True)
    part = Bag("part", "cam", {"frames": MemorySource(bag.sources["frames"].read(0, 29))})
    sure = slice(0, 29 - detector.support_rows)
    assert np.array_equal(scores(detector, part)[sure], whole[sure], equal_nan=True)
    monkeypatch.setattr("anomaly.windows.bags.BLOCK_ROWS", 7)
    assert np.array_equal(scores(detector, bag), whole, equal_nan=True)


def test_the_formula_gives_the_score_and_the_map_the_error_of_each_pixel(name):
    detector, bag = fitted(name), video(9)
    found = scores(detector, bag)
    told = slopes(detector, bag, [STRANGE_ROW], [1.0])
    assert (told is None) == (detector.parameters.perturbation > 0)
    if told is not None:
        assert told.score == pytest.approx(found[STRANGE_ROW], rel=1e-4)
        assert np.isfinite(told.slope_ND).all()
        assert told.slope_ND.any()
    map_HW = detector.error_map(bag, STRANGE_ROW)
    assert map_HW.shape == (HEIGHT, WIDTH)
    mean_HW, scale_HW = detector.usual_2HW()
    error_HW = map_HW * scale_HW + mean_HW
    mean = {"mean": error_HW.mean(), "psnr": 10 * np.log10(error_HW.mean() + 1e-8)}
    assert found[STRANGE_ROW] == pytest.approx(mean[detector.parameters.score], rel=1e-3)


def test_something_never_seen_scores_above_all_frames_without_it_and_its_cells_say_where(name):
    def paint(pixels_THW):
        pixels_THW[STRANGE_ROW, 0:8, 24:32] = np.random.default_rng(1).integers(0, 254, (8, 8))

    detector, bag = fitted(name), video(9, change=paint)
    found = scores(detector, bag)
    near = np.abs(np.arange(len(found)) - STRANGE_ROW) <= detector.support_rows
    assert np.nanmax(found[near]) > np.nanmax(found[~near])
    rows_M, place_M2, strange_M = (
        np.concatenate(parts)
        for parts in zip(*(block.cells for block in detector.score(bag)), strict=True)
    )
    here = rows_M == STRANGE_ROW
    top, left = place_M2[here][strange_M[here].argmax()]
    assert detector.cell_grid(bag, "frames") == (4, 8)
    assert top <= 2
    assert left >= 5


def test_frames_that_cannot_be_scored_are_refused_by_name(name):
    with pytest.raises(StoreError, match=r"Nothing to learn from: .*\d training videos"):
        build(name).fit([], validation=[], context=FitContext(np.random.default_rng(0)))
    other = Bag("cam/9.mp4", "cam", {"frames": MemorySource(
        vector_block(np.arange(20), np.arange(20) / 10, np.ones((20, 7), np.float32))
    )})  # fmt: skip
    with pytest.raises(StoreError, match=r"cam/9\.mp4.* dimensions, expected 512"):
        scores(fitted(name), other)
    with pytest.raises(SpecError, match="no_such_thing"):
        build(name, no_such_thing=1)
    motion = detectors().get(name).build({}, {"motion": recipe("motion")})
    with pytest.raises(SpecError, match="use --backbone frames"):
        motion.fit([video(0)], validation=[], context=FitContext(np.random.default_rng(0)))


OPTIONS = [
    ("sendec", {"target": "next", "corrupt": "noise"}),
    ("sendec", {"target": "middle", "skips": False, "score": "cell_max"}),
    ("unet_predict", {"memory": "prototypes", "loss": "mse", "score": "block_max"}),
    ("unet_predict", {"target": "reconstruct", "corrupt": "mask", "memory": "memae"}),
    ("fast3d", {"corrupt": "patch_rotate", "loss": "l1", "score": "top_percent"}),
    ("ct_predict", {"adversarial": 0.05}),
]


@pytest.mark.parametrize(("name", "parameters"), OPTIONS)
def test_options_make_a_detector_that_learns(name, parameters):
    detector = fit(name, **parameters)
    found = scores(detector, video(9))
    assert np.isfinite(found).sum() >= 36 - detector.support_rows


def test_what_a_network_cannot_do_is_told_with_what_it_can():
    for name, wrong, told in (
        ("bidirectional", {"target": "next"}, "no target 'next': choose middle"),
        ("sendec", {"memory": "memae"}, "no memory 'memae': choose none"),
        ("c3d_ae_small", {"length": 8}, "a multiple of 16 frames"),
    ):
        with pytest.raises(SpecError, match=told):
            fit(name, **wrong)
