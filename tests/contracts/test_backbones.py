"""What every backbone promises, checked for each file in the folder."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from anomaly.errors import SpecError
from anomaly.features import Backbone, Earlier, FeatureBlock, concatenate, recipe
from anomaly.features.backbones import backbones
from anomaly.features.picture import PictureMeter, join
from anomaly.spec import fingerprint
from anomaly.video import FrameBatch

BUILDS: dict[str, list[dict[str, Any]]] = {
    "frames": [{"height": 32, "width": 48}, {"height": 16, "width": 16, "color": "rgb"}],
    "motion": [{}, {"stride": 2}, {"smoothing_seconds": 0.0}],
    "timm_cells": [{"model": "test_efficientnet", "weights": "random:1"}],
    "timm_frames": [
        {"model": "test_efficientnet", "weights": "random:1", "batch_size": 4},
        {"model": "test_efficientnet", "weights": "random:1", "batch_size": 4, "grid": 3},
        {"model": "test_efficientnet", "weights": "random:1", "batch_size": 2, "crops": "ten"},
        {"model": "test_efficientnet", "weights": "random:1", "runtime": "openvino"},
    ],
}
"""Ways to build a backbone cheaply; one that is not named is built with its defaults."""

CASES = [
    pytest.param(name, parameters, id=f"{name}-{number}")
    for name in backbones().names()
    for number, parameters in enumerate(BUILDS.get(name, [{}]))
]
every_backbone = pytest.mark.parametrize(("name", "parameters"), CASES)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost more than they give."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(name: str, parameters: dict[str, Any]) -> Backbone:
    return backbones().get(name).build(parameters)


def frames(backbone: Backbone, n: int, first: int = 0) -> FrameBatch:
    """A textured picture that slides, of the size and colour that the backbone asks for."""
    height, width = backbone.pixels.output_size(120, 160)
    channels = 3 if backbone.pixels.color == "rgb" else 1
    texture = np.random.default_rng(7).integers(0, 255, (height // 8 + 1, width // 8 + 60))
    texture = np.kron(texture, np.ones((8, 8))).astype(np.uint8)
    pixels = np.stack(
        [texture[:height, (t * 3) % 400 :][:, :width] for t in range(first, first + n)]
    )
    index = np.arange(first, first + n) * backbone.pixels.stride
    return FrameBatch(
        np.repeat(pixels[..., None], channels, axis=3), index.astype(np.int64), index / 25.0
    )


def run(backbone: Backbone, batches: list[FrameBatch]) -> FeatureBlock:
    return concatenate(list(backbone.extract(batches)))


def cut(batch: FrameBatch, sizes: list[int]) -> list[FrameBatch]:
    stops = np.cumsum(sizes)
    return [
        FrameBatch(batch.pixels_BHWC[a:b], batch.index_B[a:b], batch.seconds_B[a:b])
        for a, b in zip([0, *stops[:-1]], stops, strict=True)
    ]


@every_backbone
def test_there_is_one_row_for_each_frame_and_vectors_are_of_the_promised_kind(
    name: str, parameters: dict[str, Any]
) -> None:
    backbone = build(name, parameters)
    batch = frames(backbone, 11)
    block = run(backbone, [batch])
    np.testing.assert_array_equal(block.index_T, batch.index_B)
    np.testing.assert_array_equal(block.seconds_T, batch.seconds_B)
    assert block.values_ND.shape[1] == backbone.dimension
    assert block.values_ND.dtype.kind == "f"
    assert len(block.values_ND) > 0
    assert np.isfinite(block.values_ND).all()
    assert np.isfinite(block.values_ND.astype(np.float16)).all()
    if block.grid is None:
        assert len(block.values_ND) == 11
    else:
        assert block.place_N2 is not None
        assert (block.place_N2 >= 0).all()
        assert (block.place_N2 < np.array(block.grid)).all()


@every_backbone
@pytest.mark.parametrize("sizes", [[1] * 23, [5, 1, 10, 7], [22, 1]])
def test_the_cut_into_batches_changes_no_bit(
    name: str, parameters: dict[str, Any], sizes: list[int]
) -> None:
    backbone = build(name, parameters)
    batch = frames(backbone, 23)
    whole, parts = run(backbone, [batch]), run(backbone, cut(batch, sizes))
    np.testing.assert_array_equal(whole.values_ND, parts.values_ND)
    np.testing.assert_array_equal(whole.offsets_S, parts.offsets_S)
    np.testing.assert_array_equal(whole.index_T, parts.index_T)


@every_backbone
def test_the_video_before_leaves_no_trace(name: str, parameters: dict[str, Any]) -> None:
    used, fresh = build(name, parameters), build(name, parameters)
    run(used, [frames(used, 9, first=40)])
    batch = frames(fresh, 6)
    np.testing.assert_array_equal(run(used, [batch]).values_ND, run(fresh, [batch]).values_ND)


@every_backbone
def test_a_video_of_one_frame_gives_one_row(name: str, parameters: dict[str, Any]) -> None:
    backbone = build(name, parameters)
    block = run(backbone, [frames(backbone, 1)])
    assert len(block) == 1
    assert np.isfinite(block.values_ND).all()


@every_backbone
def test_a_video_without_frames_gives_no_block(name: str, parameters: dict[str, Any]) -> None:
    assert list(build(name, parameters).extract([])) == []


@every_backbone
def test_what_is_recalled_of_earlier_videos_fits_the_features(
    name: str, parameters: dict[str, Any]
) -> None:
    backbone = build(name, parameters)
    cls, own = type(backbone), backbone.parameters
    batch = frames(backbone, 11)
    meter = PictureMeter()
    picture = join([meter.measure(batch), meter.finish()])
    assert cls.recall(own, picture, []) is None
    recalled = cls.recall(own, picture, [Earlier(-1.0, picture)])
    assert (cls.context_seconds(own) > 0) == (recalled is not None)
    if recalled is not None:
        block = run(backbone, [batch])
        assert recalled.grid == block.grid
        assert recalled.values_ND.shape[1] == backbone.dimension
        assert np.all(np.diff(recalled.seconds_T) > 0)


@every_backbone
def test_memory_does_not_grow_with_the_length_of_the_video(
    name: str, parameters: dict[str, Any]
) -> None:
    backbone = build(name, parameters)
    cycle = frames(backbone, 8)

    def endless(n_batches: int) -> Iterator[FrameBatch]:
        for number in range(n_batches):
            index = cycle.index_B + number * 8 * backbone.pixels.stride
            yield FrameBatch(cycle.pixels_BHWC.copy(), index, index / 25.0)

    def peak(n_batches: int) -> int:
        tracemalloc.start()
        for _ in backbone.extract(endless(n_batches)):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    few, many = (40, 120) if name == "motion" else (5, 15)
    assert peak(many) < 1.2 * peak(few) + 2**20


@every_backbone
def test_parameters_decide_the_recipe_and_an_unknown_one_is_refused_by_name(
    name: str, parameters: dict[str, Any]
) -> None:
    made = recipe(name, parameters)
    assert fingerprint(made) == fingerprint(recipe(name, made.parameters))
    with pytest.raises(SpecError, match="no_such_parameter"):
        recipe(name, {**parameters, "no_such_parameter": 1})


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match="Did you mean 'motion'"):
        recipe("motoin")
