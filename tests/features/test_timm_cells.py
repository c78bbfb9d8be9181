"""Cells of a network's own map of features: which they are, and what cannot give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from anomaly.errors import SpecError
from anomaly.features import Backbone, FeatureBlock, concatenate, recipe
from anomaly.features.backbones import backbones
from anomaly.features.networks import load_network
from anomaly.spec import fingerprint
from anomaly.video import FrameBatch

SMALL = {"model": "test_efficientnet", "weights": "random:3"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(**parameters: object) -> Backbone:
    return backbones().get("timm_cells").build({**SMALL, **parameters})


def pictures() -> np.ndarray:
    """A bright square walks over a dark ground, (6, 100, 150)."""
    frames = np.full((6, 100, 150), 60, np.uint8)
    frames[:, :10] = 200
    for t, frame in enumerate(frames):
        frame[40:64, 30 + 6 * t : 54 + 6 * t] = 220
    return frames


def run(backbone: Backbone, frames: np.ndarray) -> FeatureBlock:
    index = np.arange(len(frames))
    return concatenate(
        list(backbone.extract([FrameBatch(frames[..., None], index, index / 10)]))
    )


def test_a_cell_is_the_mean_of_the_four_places_of_the_network_map_around_its_middle() -> None:
    frames = pictures()
    block = run(built(), frames)
    network = load_network("test_efficientnet", "random:3", {})
    gray = np.pad(frames[4], ((0, 12), (0, 10)), "edge").astype(np.float32) / 255
    mean, std = (
        np.array(three)[:, None, None] for three in (network.feed.mean, network.feed.std)
    )
    picture = torch.from_numpy(((gray - mean) / std).astype(np.float32))[None]
    with torch.inference_mode():
        maps = network.module.forward_intermediates(picture, intermediates_only=True)
    map_DRC = next(m for m in maps if m.shape[-2:] == (7, 10))[0].numpy()
    row = block.rows(4, 5)
    assert row.place_N2 is not None
    assert len(row.place_N2) > 2
    for (r, c), vector in zip(row.place_N2, row.values_ND, strict=True):
        expected = map_DRC[:, r - 1 : r + 1, c - 1 : c + 1].mean(axis=(1, 2))
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_a_still_picture_never_runs_the_network_and_has_no_cells() -> None:
    block = run(built(), pictures()[:1].repeat(5, axis=0))
    assert len(block) == 5
    assert len(block.values_ND) == 0


def test_a_network_without_such_a_map_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="convolutional"):
        run(built(model="test_vit"), pictures())


@pytest.mark.data
def test_a_file_of_weights_goes_into_the_recipe_by_its_digest(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenetv2_100.safetensors"
    more = {"model": "mobilenetv2_100", "model_args": {"pad_type": "same"}}
    by_path = recipe("timm_cells", {**more, "weights": str(path)})
    assert by_path.weights.startswith("sha256:")
    assert str(path) not in str(by_path.parameters)
    again = recipe("timm_cells", {**more, "weights": by_path.weights})
    assert fingerprint(again) == fingerprint(by_path)
