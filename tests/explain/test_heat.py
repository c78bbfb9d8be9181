"""Maps: how they are made, put on one scale, and drawn."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.explain.heat import (
    Asked,
    HeatMap,
    area_of,
    method_of,
    network_map,
    seen_area,
    shown_GG,
    shown_range,
    stored_map,
)
from anomaly.explain.overlay import decoded, overlaid, plain
from anomaly.features import FeatureSpec, recipe, vector_block
from anomaly.features.backbones import backbones
from anomaly.features.backbones.timm_frames import Square
from anomaly.video import FrameBatch, PixelSpec
from anomaly.windows.bags import Bag, MemorySource


def network(**parameters):
    return backbones().get("timm_frames").build(
        {"model": "test_resnet", "weights": "random:0", "batch_size": 1, **parameters}
    )  # fmt: skip


def described(backbone, n=6, width=220, seed=0):
    """A video as the network sees it; pixels and bag."""
    generator = np.random.default_rng(seed)
    height = backbone.pixels.height
    pixels = generator.integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    batch = FrameBatch(pixels, np.arange(n), np.arange(n) / 10)
    blocks = list(backbone.extract([batch]))
    from anomaly.features import concatenate

    block = concatenate(blocks)
    values = block.values_ND.astype(np.float32)
    source = MemorySource(
        type(block)(
            block.index_T, block.seconds_T, values, block.offsets_S, block.place_N2, block.grid
        )
    )
    return pixels, Bag("v.mp4", "cam", {"timm_frames": source})


def fit(name, bag):
    spec = FeatureSpec(
        backbone="timm_frames", parameters={}, version=2, weights="", pixels=PixelSpec()
    )
    detector = detectors().get(name).build({}, {"timm_frames": spec})
    return detector.fit([bag], validation=[], context=FitContext(np.random.default_rng(0)))


def test_the_map_of_a_network_covers_the_square_that_it_looks_at():
    backbone = network()
    pixels, bag = described(backbone)
    asked = Asked(fit("gaussian", bag), described(backbone, seed=3)[1], 2)
    assert method_of(asked, backbone) == ("grad-cam++", "")
    heat = network_map(asked, backbone, pixels[2])
    height, width = pixels.shape[1:3]
    (square,) = backbone.squares(height, width)
    assert heat.area == area_of(square, height, width)
    assert heat.area[1] > 0.1
    assert heat.raw_GG.shape == (5, 5)
    assert heat.raw_GG.min() >= 0


def test_ten_crops_make_one_map_of_the_whole_frame():
    backbone = network(crops="ten")
    pixels, bag = described(backbone)
    asked = Asked(fit("gaussian", bag), bag, 2)
    assert method_of(asked, backbone)[0] == "grad-cam++"  # its cells are crops, not places
    heat = network_map(asked, backbone, pixels[2])
    assert heat.area == (0, 0, 1, 1)
    assert heat.raw_GG.shape[1] > heat.raw_GG.shape[0] >= 5
    assert np.isfinite(heat.raw_GG).all()


def test_mirrored_crops_are_turned_back():
    from anomaly.explain.heat import _merged

    heat = np.zeros((2, 4, 4))
    heat[0, :, 0] = heat[1, :, 3] = 1.0
    squares = [Square(0, 0, 8), Square(0, 0, 8, mirrored=True)]
    merged = _merged(heat, squares, 8, 8)
    assert merged[:, 0].min() > 0.5
    assert merged[:, 3].max() < 0.2


def test_cells_of_a_network_are_told_by_the_detector_itself_and_lie_in_its_square():
    backbone = network(grid=3)
    _, bag = described(backbone)
    detector = fit("knn", bag)
    asked = Asked(detector, described(backbone, seed=3)[1], 2)
    method, note = method_of(asked, backbone)
    assert (method, note) == ("cells", "")
    spec = FeatureSpec(
        backbone="timm_frames", parameters={}, version=2, weights="", pixels=backbone.pixels
    )
    area = seen_area(backbone, spec, (240, 320))
    heat = stored_map(asked, method, area)
    assert heat.raw_GG.shape == (3, 3)
    assert area[1] > 0.1 > area[0]


@pytest.mark.parametrize(
    ("name", "told"),
    [("isolation_forest", "Detector 'isolation_forest' has no slope"), ("gaussian", "")],
)
def test_a_detector_without_a_slope_says_so(name, told):
    backbone = network()
    _, bag = described(backbone)
    method, note = method_of(Asked(fit(name, bag), bag, 1), backbone)
    assert (method is None) is bool(told)
    assert note.startswith(told)


def test_vectors_of_no_network_have_no_places():
    index = np.arange(20)
    block = vector_block(index, index / 10, np.random.default_rng(0).normal(size=(20, 3)))
    bag = Bag("v", "cam", {"timm_frames": MemorySource(block)})
    motion = backbones().get("motion").build({})
    method, note = method_of(Asked(fit("gaussian", bag), bag, 1), motion)
    assert method is None
    assert "no network made them" in note


def test_the_error_map_of_a_pixel_model_is_kept_small():
    spec = recipe("frames", {"height": 32, "width": 144})
    training = {"epochs": 1, "patience": 1, "batch": 4, "optimiser": "adam"}
    detector = detectors().get("sendec").build(
        {"channels": 0.1, "block": 8, "clips": 4, "training": training}, {"frames": spec}
    )  # fmt: skip
    index = np.arange(20)
    pixels = np.random.default_rng(0).integers(0, 254, (20, 32 * 144)).astype(np.float32)
    bag = Bag("v", "cam", {"frames": MemorySource(vector_block(index, index / 10, pixels))})
    detector.fit([bag], validation=[bag], context=FitContext(np.random.default_rng(0)))
    asked = Asked(detector, bag, 9)
    frames = backbones().get("frames").build({"height": 32, "width": 144})
    assert method_of(asked, frames) == ("errors", "")
    heat = stored_map(asked, "errors", (0, 0, 1, 1))
    assert heat.raw_GG.shape == (32, 64)
    whole = detector.error_map(bag, 9)
    assert heat.raw_GG.mean() == pytest.approx(whole.mean(), rel=1e-3)


def test_maps_of_one_event_share_one_scale_and_unknown_places_stay_empty():
    weak, strong = np.full((2, 2), 1.0), np.array([[4.0, np.nan], [0.0, 2.0]])
    maps = [HeatMap("grad-cam++", weak), HeatMap("grad-cam++", strong)]
    low, high = shown_range(maps)
    assert (low, high) == (1.0, 4.0)  # from the middle of all places on
    np.testing.assert_allclose(shown_GG(maps[0], low, high), 0)
    np.testing.assert_allclose(shown_GG(maps[1], low, high), [[1, 0], [0, 1 / 3]])
    cells = [HeatMap("cells", strong)]
    assert shown_range(cells) == pytest.approx((1.2, 4.0))
    assert maps[1].to_rows() == ((4.0, None), (0.0, 2.0))
    nothing = HeatMap("cells", np.full((2, 2), np.nan))
    assert not shown_GG(nothing, *shown_range([nothing])).any()


def test_heat_is_drawn_where_it_is_and_the_rest_is_left_as_it_was():
    grey = np.full((120, 200, 1), 128, np.uint8)
    shown = np.zeros((4, 4))
    shown[0, 0] = 1.0
    jpeg = overlaid(grey, shown, (0.0, 0.5, 1.0, 1.0), (120, 200))
    picture = decoded(jpeg).astype(int)
    assert picture.shape == (120, 200, 3)
    hot, cold = picture[5, 105], picture[100, 20]
    assert hot[0] - hot[2] > 60
    assert np.abs(cold - 128).max() < 6
    tall = overlaid(np.zeros((100, 50, 3), np.uint8), shown, (0, 0, 1, 1), (960, 480))
    assert decoded(tall).shape == (240, 120, 3)
    assert decoded(plain(np.zeros((480, 640, 1), np.uint8))).shape == (240, 320, 3)
