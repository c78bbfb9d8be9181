"""Networks of timm: prepared as they ask, loaded strictly, seeded without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.errors import SpecError
from anomaly.features import concatenate, recipe
from anomaly.features.backbones import backbones
from anomaly.video import FrameBatch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost more than they give."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(**parameters: Any) -> Any:
    return backbones().get("timm_frames").build({"weights": "random:0", **parameters})


def vectors(backbone: Any, frames: np.ndarray) -> np.ndarray:
    """What the network makes of frames of the decoder's size."""
    import torch

    with torch.inference_mode():
        return backbone.describer(torch.from_numpy(backbone.crops(frames))).numpy()


def pictures(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def local_mobilenet(weights: Path) -> dict[str, Any]:
    return {
        "model": "mobilenetv2_100",
        "weights": str(weights),
        "model_args": {
            "pad_type": "same",
            "pretrained_cfg_overlay": {"mean": [0.5] * 3, "std": [0.5] * 3},
        },
    }


@pytest.mark.data
def test_photos_are_recognised_through_our_own_preparation(shared_data: Path) -> None:
    import av

    weights = shared_data / "weights" / "mobilenetv2_100.safetensors"
    backbone = build(**local_mobilenet(weights), layer="logits")
    assert backbone.dimension == 1000
    from timm.data import ImageNetInfo  # only now: our module cures the import of timm

    for name, expected in {
        "cat_720p": "cat",
        "hot_dog": "hotdog",
        "owl": "ruffed grouse",
    }.items():
        with av.open(str(shared_data / "weights" / "photos" / f"{name}.jpg")) as container:
            frame = next(container.decode(video=0))
        height, width = backbone.pixels.output_size(frame.height, frame.width)
        scaled = frame.reformat(
            width=width, height=height, format="rgb24", interpolation="BICUBIC"
        ).to_ndarray()
        best = int(vectors(backbone, scaled[None])[0].argmax())
        assert expected in ImageNetInfo().index_to_description(best)


@pytest.mark.data
def test_the_digest_of_a_weight_file_is_part_of_the_recipe(shared_data: Path) -> None:
    import hashlib

    weights = shared_data / "weights" / "mobilenetv2_100.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    made = recipe("timm_frames", local_mobilenet(weights))
    assert made.weights == made.parameters["weights"] == f"sha256:{digest}"
    assert (made.pixels.resize, made.pixels.height, made.pixels.filter) == (
        "short_side",
        256,
        "bicubic",
    )


@pytest.mark.data
def test_weights_of_another_network_are_refused(shared_data: Path) -> None:
    weights = shared_data / "weights" / "mobilenetv2_100.safetensors"
    with pytest.raises(SpecError, match="do not fit the network") as caught:
        recipe("timm_frames", {"model": "resnet18", "weights": str(weights)})
    assert "\n" not in str(caught.value)


def test_preparation_equals_timms_own_on_a_picture_that_needs_no_resize() -> None:
    """After the resize, ours and timm's transform do the same arithmetic."""
    import torch
    from PIL import Image

    backbone = build(model="test_resnet")
    picture = pictures(1, backbone.pixels.height, backbone.pixels.height)[0]
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(backbone.describer.network))
    crop = torch.from_numpy(backbone.crops(picture[None]))
    ours = backbone.describer.prepare(crop)[0].numpy()
    np.testing.assert_allclose(ours, transform(Image.fromarray(picture)).numpy(), atol=1e-5)


def test_a_network_that_squashes_is_fed_the_whole_picture() -> None:
    overlay = {"pretrained_cfg_overlay": {"crop_mode": "squash", "crop_pct": 1.0}}
    pixels = build(model="test_resnet", model_args=overlay).pixels
    assert (pixels.resize, pixels.height, pixels.width) == ("exact", 160, 160)


def test_fused_branches_give_what_the_plain_network_gives() -> None:
    import torch

    backbone = build(model="repvgg_a0", weights="random:5")
    crops = torch.from_numpy(backbone.crops(pictures(2, 256, 256)))
    batch = backbone.describer.prepare(crops)
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        plain = timm.create_model("repvgg_a0", pretrained=False).eval()
    with torch.inference_mode():
        expected = plain.forward_head(plain.forward_features(batch), pre_logits=True)
    with torch.inference_mode():
        ours = backbone.describer(crops)
    difference = (ours - expected).abs().max() / expected.abs().max()
    assert float(difference) < 1e-5


SMALL_SWIN = {"embed_dim": 24, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]}
SHAPES = pytest.mark.parametrize(
    ("model", "model_args"),
    [
        pytest.param("test_resnet", {}, id="maps"),
        pytest.param("test_vit", {}, id="tokens"),
        pytest.param("swin_tiny_patch4_window7_224", SMALL_SWIN, id="channels last"),
    ],
)


@SHAPES
def test_grids_of_maps_tokens_and_channels_last_networks_have_all_cells(
    model: str, model_args: dict[str, Any]
) -> None:
    backbone = build(model=model, model_args=model_args, grid=2, batch_size=1)
    frames = FrameBatch(pictures(1, 300, 256), np.array([4]), np.array([0.2]))
    block = concatenate(list(backbone.extract([frames])))
    assert block.values_ND.shape == (4, backbone.describer.network.num_features)
    assert block.grid == (2, 2)
    assert block.place_N2 is not None
    assert block.place_N2.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@SHAPES
def test_a_bright_corner_stands_out_in_its_own_cell(
    model: str, model_args: dict[str, Any]
) -> None:
    """Rows and columns of the grid are not mixed up."""
    backbone = build(model=model, model_args=model_args, grid=2)
    dark = np.zeros((1, backbone.pixels.height, backbone.pixels.height, 3), np.uint8)
    lit = dark.copy()
    middle = dark.shape[1] // 2
    lit[0, :middle, middle:] = pictures(1, middle, dark.shape[1] - middle)[0]
    change = vectors(backbone, lit) - vectors(backbone, dark)
    assert int(np.linalg.norm(change[0], axis=-1).argmax()) == 1


def test_equal_seeds_give_equal_networks_and_leave_the_global_generator_alone() -> None:
    import torch

    before = torch.random.get_rng_state()
    frames = pictures(1, 256, 256)
    one, two, other = (
        vectors(b, frames)
        for b in (build(model="test_resnet", weights=f"random:{seed}") for seed in (1, 1, 2))
    )
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "resnet5"}, "Did you mean 'resnet50'"),
        ({"weights": "random:x"}, "whole number"),
        ({"weights": "/no/such.safetensors"}, "cannot be read"),
        (
            {"model": "test_resnet", "model_args": {"colour": 1}},
            "cannot be made with model_args",
        ),
        ({"grid": 2, "layer": "logits"}, "a grid has no logits"),
        ({"batch_size": 0}, "batch_size"),
        (
            {
                "model": "test_resnet",
                "model_args": {"pretrained_cfg_overlay": {"crop_mode": "border"}},
            },
            "crop mode 'border'",
        ),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_words(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        recipe("timm_frames", {"weights": "random:0", **parameters})


def test_a_damaged_weight_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(SpecError, match="do not fit"):
        recipe("timm_frames", {"model": "resnet18", "weights": str(tmp_path / "w.safetensors")})


SMALL_MAXVIT = {"depths": [1, 1, 1, 1], "embed_dim": [32, 32, 32, 64], "head_hidden_size": 64}


def test_the_hidden_layer_of_maxvits_head_squashes_logits_alone() -> None:
    """`pooled` is the normalised mean of the last map, not what tanh makes of it."""
    import torch

    small = {"model": "maxvit_tiny_tf_224", "model_args": SMALL_MAXVIT}
    pooled, logits = build(**small), build(**small, layer="logits")
    frames = pictures(1, 236, 236)
    found = vectors(pooled, frames)
    with torch.inference_mode():
        batch = pooled.describer.prepare(torch.from_numpy(pooled.crops(frames)))
        mean = pooled.describer.maps(batch).mean((2, 3))
        plain = logits.describer.network(batch)
    expected = torch.nn.functional.layer_norm(mean, mean.shape[1:], eps=1e-5)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)
    assert np.abs(found).max() > 1
    np.testing.assert_allclose(vectors(logits, frames), plain.numpy(), rtol=1e-4, atol=1e-5)


def test_ten_crops_are_corners_middle_and_their_mirror_images() -> None:
    backbone = build(model="test_resnet", crops="ten", batch_size=1)
    side = backbone._feed.side
    frame = pictures(1, side + 10, side + 40)
    crops = backbone.crops(frame)
    assert crops.shape == (10, side, side, 3)
    np.testing.assert_array_equal(crops[0], frame[0, :side, :side])
    np.testing.assert_array_equal(crops[3], frame[0, 10:, 40:])
    np.testing.assert_array_equal(crops[4], build(model="test_resnet").crops(frame)[0])
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])
    batch = FrameBatch(frame, np.array([0]), np.array([0.0]))
    block = concatenate(list(backbone.extract([batch])))
    assert (block.grid, len(block.values_ND)) == ((2, 5), 10)
    middle = vectors(build(model="test_resnet"), frame)[0]
    np.testing.assert_allclose(block.values_ND[4], middle, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "side", "dimension"),
    [
        ("coatnet_0_rw_224", 224, 768),
        ("convnext_tiny", 224, 768),
        ("maxvit_tiny_tf_224", 224, 512),
        ("mobileone_s0", 224, 1024),
        ("poolformer_s12", 224, 512),
        ("repvgg_a0", 224, 1280),
        ("resnet50", 224, 2048),
        ("inception_v3", 299, 2048),
    ],
)
def test_published_pipelines_find_their_networks(model: str, side: int, dimension: int) -> None:
    """The six of Rahmani and Soleimani, and two of Ullah's; his VGG-19 is as large as all of them."""
    backbone = build(model=model, batch_size=1)
    assert backbone._feed.side == side
    frame = pictures(1, side, side)
    found = vectors(backbone, frame)
    assert found.shape == (1, dimension)
    assert np.isfinite(found).all()
    cells = vectors(build(model=model, grid=2), frame)
    assert cells.shape == (1, 4, backbone.describer.network.num_features)
