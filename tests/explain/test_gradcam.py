"""Grad-CAM++ in two steps is Grad-CAM++ in one, and sits on the right maps."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomaly.detectors import FitContext, WindowFormula, detectors
from anomaly.explain.gradcam import grad_cam_plus_plus, map_slopes
from anomaly.explain.slopes import slopes
from anomaly.features import FeatureSpec, vector_block
from anomaly.features.backbones import backbones
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

ROWS = 14
QUICK = {"epochs": 3, "patience": 3, "batch": 4}
VECTORS = FeatureSpec(
    backbone="timm_frames", parameters={}, version=2, weights="", pixels=PixelSpec()
)
DETECTORS = {
    "lstm": {"rows": 6, "training": QUICK},
    "rtfm": {"segments": 4, "snippet_rows": 2, "training": QUICK},
    "gaussian": {},
    "knn": {},
    "mulde": {"training": QUICK},
    "memory_autoencoder": {"training": QUICK},
    "lstm_autoencoder": {"rows": 6, "training": QUICK},
}
"""classifier, learner from whole videos, Gaussian, neighbours, MULDE, autoencoders"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def backbone(model="test_resnet", **parameters):
    return backbones().get("timm_frames").build(
        {"model": model, "weights": "random:0", **parameters}
    )  # fmt: skip


def frames(seed, n=ROWS):
    generator = np.random.default_rng(seed)
    side = backbone().pixels.height
    return generator.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@cache
def bag(seed, label=0):
    """A video of noise, its features in float32, as the network gives them."""
    with torch.inference_mode():
        crops = torch.from_numpy(backbone().crops(frames(seed)))
        vectors_TD = backbone().describer(crops).numpy() + np.float32(label)
    block = vector_block(np.arange(ROWS), np.arange(ROWS) / 10, vectors_TD)
    return Bag(f"{seed}.mp4", "cam", {"features": MemorySource(block)}, label=label)


@cache
def fitted(name):
    detector = detectors().get(name).build(DETECTORS[name], {"features": VECTORS})
    videos = [bag(1), bag(2, 1), bag(3), bag(4, 1)]
    context = FitContext(np.random.default_rng(0))
    return detector.fit(videos[:4], validation=[bag(5), bag(6, 1)], context=context)


def in_one_step(detector, video, pixels, row):
    """The whole chain as one graph: all frames of the video through the network, the score, back."""
    describer = backbone().describer
    with torch.no_grad():
        maps = describer.maps(describer.prepare(torch.from_numpy(backbone().crops(pixels))))
    maps.requires_grad_()
    vectors_TD = describer.pool(maps)
    formula = detector.formula(video)
    if isinstance(formula, WindowFormula):
        starts = range(0, ROWS - formula.window.length + 1, formula.window.step)
        starts = sorted({*starts, ROWS - formula.window.length})
        found = []
        for start in starts:
            window = torch.arange(start, start + formula.window.length)
            told = formula.of_windows(vectors_TD[window][None])[0]
            found += [told[n] for n, r in enumerate(window[formula.asked].tolist()) if r == row]
        score = torch.stack(found).mean()
    else:
        one = video.sources["features"].read(row, row + 1)
        score = formula.of_cells(vectors_TD[row : row + 1], one)[0]
    (slope,) = torch.autograd.grad(score, maps)
    return maps.detach(), slope


@pytest.mark.parametrize("name", list(DETECTORS))
def test_two_steps_give_what_one_backward_pass_through_everything_gives(name):
    detector, video, row = fitted(name), bag(9), 7
    maps, whole = in_one_step(detector, video, frames(9), row)
    crops = backbone().crops(frames(9)[row : row + 1])
    two = map_slopes(
        backbone().describer, crops, slopes(detector, video, [row], [1.0]).of_row(row)
    )
    largest = float(whole[row].abs().max())
    assert largest > 0
    np.testing.assert_allclose(two.slopes[0], whole[row], rtol=0, atol=1e-6 * largest)
    expected = grad_cam_plus_plus(maps[row].double(), whole[row].double()).numpy()
    found = two.heat_BGG()[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(expected.max(), 1e-9))


def slowly(maps_KHW, slopes_KHW):
    """The formula as the paper has it, place by place."""
    channels, height, width = maps_KHW.shape
    map_HW = np.zeros((height, width))
    for k in range(channels):
        total, weight = maps_KHW[k].sum(), 0.0
        for i in range(height):
            for j in range(width):
                g = slopes_KHW[k, i, j]
                if g != 0:
                    alpha = g**2 / (2 * g**2 + total * g**3)
                    weight += alpha * max(g, 0.0)
        map_HW += weight * maps_KHW[k]
    return np.maximum(map_HW, 0)


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.float64, (3, 2, 4), elements=st.floats(0, 4)),
    arrays(
        np.float64,
        (3, 2, 4),
        elements=st.one_of(st.just(0.0), st.floats(1e-3, 3), st.floats(-3, -1e-3)),
    ),
)
def test_the_formula_is_that_of_the_paper(maps_KHW, slopes_KHW):
    found = grad_cam_plus_plus(torch.from_numpy(maps_KHW), torch.from_numpy(slopes_KHW))
    np.testing.assert_allclose(found.numpy(), slowly(maps_KHW, slopes_KHW), atol=1e-9)


def test_a_map_is_empty_where_nothing_speaks_for_the_score_and_never_breaks():
    maps = torch.ones(2, 3, 3, dtype=torch.float64)
    assert not grad_cam_plus_plus(maps, -torch.ones_like(maps)).any()
    assert not grad_cam_plus_plus(maps, torch.zeros_like(maps)).any()
    opposed = torch.full_like(maps, 2.0)
    maps[0] = -1 / 9  # 2 + S g is exactly 0
    assert torch.isfinite(grad_cam_plus_plus(maps, opposed)).all()


SIX = {
    "coatnet_0_rw_224": 768,
    "convnext_tiny": 768,
    "maxvit_tiny_tf_224": 512,
    "mobileone_s0": 1024,
    "poolformer_s12": 512,
    "repvgg_a0": 1280,
}


@pytest.mark.slow
@pytest.mark.parametrize("model", list(SIX))
def test_the_target_of_the_six_published_networks_is_the_last_stage_as_a_whole(model):
    """Not the last convolution: that is one of several branches, or stands before a norm or attention."""
    from torch.nn import functional

    network = backbone(model)
    side = network.pixels.height
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    seen = []
    last = network.describer.network.stages[-1]
    handle = last.register_forward_hook(lambda _module, _given, made: seen.append(made))
    slope_BD = np.random.default_rng(1).normal(size=(1, SIX[model]))
    found = map_slopes(network.describer, network.crops(picture), slope_BD)
    handle.remove()
    assert found.maps.shape == found.slopes.shape == (1, SIX[model], 7, 7)
    made = seen[0].detach()
    if not torch.equal(
        found.maps, made
    ):  # coatnet and maxvit normalise once more, place by place
        alike = functional.cosine_similarity(found.maps.flatten(), made.flatten(), dim=0)
        assert alike > 0.9
    assert found.slopes.any()
    assert np.isfinite(found.heat_BGG()).all()


@pytest.mark.parametrize(
    ("model", "arguments", "speaks"),
    [
        ("test_vit", {"global_pool": "avg"}, True),
        ("test_vit", {}, False),  # the class token alone is the vector
        (
            "swin_tiny_patch4_window7_224",
            {"embed_dim": 24, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]},
            True,
        ),
        ("test_convnext", {}, True),
        ("test_nfnet", {}, True),
    ],
)
def test_tokens_and_channels_last_are_maps_too(model, arguments, speaks):
    network = backbones().get("timm_frames").build(
        {"model": model, "weights": "random:0", "model_args": arguments}
    )  # fmt: skip
    side = network.pixels.height
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    slope = np.random.default_rng(1).normal(size=(1, network.dimension)).astype(np.float32)
    found = map_slopes(network.describer, network.crops(picture), slope)
    assert found.maps.ndim == 4
    assert found.maps.shape[2] == found.maps.shape[3]
    assert bool(found.slopes.any()) is speaks


@pytest.mark.data
@pytest.mark.parametrize(
    ("photo", "box"), [("owl", (0.0, 0.3, 0.8, 0.7)), ("hot_dog", (0.15, 0.15, 0.65, 0.95))]
)
def test_the_map_of_what_a_photo_shows_lies_on_it(shared_data, photo, box):
    """The class that the network sees, of corners, middle and mirror images together; box by eye."""
    import av

    from anomaly.explain.heat import _merged

    weights = shared_data / "weights"
    grey = {"mean": [0.5] * 3, "std": [0.5] * 3}
    network = backbones().get("timm_frames").build(
        {
            "model": "mobilenetv2_100",
            "weights": str(weights / "mobilenetv2_100.safetensors"),
            "layer": "logits",
            "crops": "ten",
            "model_args": {"pad_type": "same", "pretrained_cfg_overlay": grey},
        }
    )  # fmt: skip
    with av.open(str(weights / "photos" / f"{photo}.jpg")) as container:
        frame = next(container.decode(video=0))
    height, width = network.pixels.output_size(frame.height, frame.width)
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    crops = network.crops(pixels[None])
    with torch.inference_mode():
        seen = int(network.describer(torch.from_numpy(crops)).mean(0).argmax())
    slope = np.zeros((10, 1000), np.float32)
    slope[:, seen] = 1
    heat = map_slopes(network.describer, crops, slope).heat_BGG()
    merged = _merged(heat, network.squares(height, width), height, width)
    rows, columns = np.indices(merged.shape) + 0.5
    hot = merged >= np.quantile(merged, 0.9)
    middle = rows[hot].mean() / merged.shape[0], columns[hot].mean() / merged.shape[1]
    assert box[0] < middle[0] < box[2]
    assert box[1] < middle[1] < box[3]
    assert merged[hot].mean() > 2 * np.median(merged)
