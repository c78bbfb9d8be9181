"""Networks of pictures: the published numbers of parameters, and the shape of every layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anomaly.errors import SpecError
from anomaly.training.networks import trainable
from anomaly.training.pixels import ClipShape
from anomaly.training.pixels.attended import Bidirectional, CtPredict, State
from anomaly.training.pixels.c3d_ae import C3dAutoencoder
from anomaly.training.pixels.convlstm_ae import ConvLstmAutoencoder
from anomaly.training.pixels.fast3d import Fast3d
from anomaly.training.pixels.layers import ConvLstm, Prototypes, SparseMemory
from anomaly.training.pixels.memae import MemAe
from anomaly.training.pixels.sendec import Sendec
from anomaly.training.pixels.unet_predict import UnetPredict


def shape(length, *, channels=1, pictures=None, share=1.0, height=32, width=48):
    return ClipShape(channels, length, height, width, pictures or length, share)


@pytest.mark.parametrize(
    ("network", "length", "channels", "published"),
    [
        (Sendec, 4, 1, 222_977),
        (Sendec, 4, 3, 223_265),
        (ConvLstmAutoencoder, 8, 1, 5_763_137),
        (C3dAutoencoder, 16, 1, 5_303_873),
        (lambda shape: C3dAutoencoder(shape, size="large"), 16, 1, 17_288_705),
        (MemAe, 16, 1, 6_492_801),
        (lambda shape: MemAe(shape, memory="none"), 16, 1, 5_980_801),
        (Fast3d, 5, 1, 2_158_529),
    ],
)
def test_networks_have_the_published_number_of_parameters(network, length, channels, published):
    assert trainable(network(shape(length, channels=channels))) == published


def test_sendec_has_running_statistics_as_in_the_published_file():
    network = Sendec(shape(4))
    running = sum(value.numel() for name, value in network.named_buffers() if "running" in name)
    assert trainable(network) + running == 223_489


def layer_shapes(network, length, layers):
    """Channels, frames, lines and columns of what the named layers give for one clip."""
    found = {}
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, made, name=name: found.update({name: made})
        )
    with torch.no_grad():
        height, width = network.shape.height, network.shape.width
        network.eval()(torch.rand(1, 1, length, height, width))
    return {name: tuple(made.shape[1:]) for name, made in found.items()}


def test_layers_of_sendec_have_the_shapes_of_the_published_table():
    network = Sendec(shape(4, height=240, width=320))
    down = [f"blocks.{n}.down" for n in range(3)]
    refined = [f"blocks.{n}.refine" for n in range(3)]
    shrinks = [f"shrinks.{n}" for n in range(3)]
    ups = [f"ups.{n}" for n in range(3)]
    found = layer_shapes(
        network, 4, ["first", *down, *refined, *shrinks, "bottom", *ups, "last_up", "out"]
    )
    assert found["first"] == (16, 4, 240, 320)
    assert [found[name] for name in down] == [
        (32, 4, 120, 160), (32, 4, 60, 80), (32, 4, 30, 40)
    ]  # fmt: skip
    assert [found[name][0] for name in refined] == [16, 16, 16]
    assert [found[name] for name in shrinks] == [found[name] for name in down]
    assert found["bottom"] == (16, 4, 15, 20)
    assert [found[name] for name in ups] == [found[name] for name in reversed(down)]
    assert found["last_up"] == (32, 4, 240, 320)
    assert found["out"] == (1, 4, 240, 320)


CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def frames(channels, *sizes):
    """Channels, then frames and side of each layer; pictures are square."""
    return [
        (wide, length, side, side)
        for wide, (length, side) in zip(channels, sizes, strict=True)
    ]  # fmt: skip


LAYERS = [
    (C3dAutoencoder, 16, frames(
        (32, 64, 128, 256, 256, 128, 64, 32, 1),
        (16, 32), (8, 16), (4, 8), (2, 4), (2, 4), (4, 8), (8, 16), (16, 32), (16, 32),
    )),
    (lambda shape: C3dAutoencoder(shape, size="large"), 16, frames(
        (32, 64, 128, 256, 512, 512, 256, 128, 64, 32, 1),
        (16, 32), (8, 16), (4, 8), (2, 4), (1, 2), (2, 4), (4, 8), (8, 16), (8, 16), (16, 32), (16, 32),
    )),
    (MemAe, 16, frames(
        (96, 128, 256, 256, 256, 128, 96, 1),
        (16, 16), (8, 8), (4, 4), (2, 2), (4, 4), (8, 8), (16, 16), (16, 32),
    )),
    (Fast3d, 5, frames(
        (64, 128, 256, 128, 64, 1), (3, 16), (2, 8), (1, 4), (2, 8), (3, 16), (1, 32),
    )),
    (ConvLstmAutoencoder, 8, frames(
        (256, 128, 64, 64, 128, 256, 1),
        (8, 8), (8, 4), (8, 4), (8, 4), (8, 8), (8, 32), (8, 32),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("network", "length", "published"), LAYERS)
def test_every_convolution_gives_what_the_published_table_says(network, length, published):
    built, found = network(shape(length, width=32)).eval(), []
    parts = built
    if isinstance(
        built, ConvLstmAutoencoder
    ):  # its recurrent layers have convolutions of gates
        parts = nn.ModuleList([built.encoder, built.decoder])
    for layer in parts.modules():
        if isinstance(layer, CONVOLUTIONS):
            layer.register_forward_hook(lambda _, __, made: found.append(made))
    with torch.inference_mode():
        built(torch.rand(1, 1, length, 32, 32))
    per_frame = isinstance(built, ConvLstmAutoencoder)
    maps = [made.movedim(0, 1) if per_frame else made[0] for made in found]
    assert [tuple(made.shape) for made in maps] == published


@pytest.mark.parametrize(
    ("network", "length", "pictures"),
    [
        (Sendec, 4, 4), (lambda shape: Sendec(shape, skips=False), 3, 3),
        (ConvLstmAutoencoder, 3, 3), (C3dAutoencoder, 16, 16), (MemAe, 8, 8), (Fast3d, 5, 1),
        (UnetPredict, 4, 1), (UnetPredict, 4, 4), (State, 7, 7), (CtPredict, 4, 1),
        (Bidirectional, 6, 1),
    ],
)  # fmt: skip
def test_what_comes_out_is_of_the_size_that_went_in_and_every_weight_has_a_gradient(
    network, length, pictures
):
    built = network(shape(length, pictures=pictures, share=0.1))
    made, penalty = built(torch.rand(2, 1, length, 32, 48))
    assert made.shape == (2, 1, pictures, 32, 48)
    (made.square().mean() + penalty).backward()
    assert all(part.grad is not None for part in built.parameters())


def test_without_joins_nothing_of_full_size_reaches_the_output_of_sendec():
    network = Sendec(shape(4), skips=False).eval()
    found = layer_shapes(network, 4, ["last_up.up"])
    assert network.last_up.conv.conv.in_channels == found["last_up.up"][0]


def test_a_convlstm_remembers_what_it_saw_and_does_not_look_ahead():
    layer = ConvLstm(1, 4)
    clip = torch.rand(1, 1, 5, 8, 8)
    later = clip.clone()
    later[:, :, 3:] += 1
    with torch.no_grad():
        states, others = layer(clip), layer(later)
    torch.testing.assert_close(states[:, :, :3], others[:, :, :3])
    assert not torch.allclose(states[:, :, 4], others[:, :, 4])


def test_a_sparse_memory_gives_mixtures_of_few_items():
    memory = SparseMemory(8, 50, shrinkage=5 / 50, penalty=1.0)
    drawn_MC = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    memory.items_MC.data = torch.nn.functional.normalize(drawn_MC, dim=1)
    codes = memory.items_MC[:3].detach().T.reshape(1, 8, 3) * 60
    mixed, entropy = memory(codes)
    assert mixed.shape == codes.shape
    torch.testing.assert_close(mixed[0].T, memory.items_MC[:3], atol=0.05, rtol=0)
    assert 0 <= float(entropy.detach()) < 1


def test_prototypes_give_codes_beside_what_is_remembered():
    memory = Prototypes(6)
    made, penalty = memory(torch.rand(2, 6, 3, 3))
    assert made.shape == (2, 12, 3, 3)
    torch.testing.assert_close(made[:, :6].norm(dim=1), torch.ones(2, 3, 3))
    assert float(penalty.detach()) > 0


def test_frames_that_do_not_halve_are_refused_with_what_would():
    with pytest.raises(SpecError, match="30x48, expected multiples of 16"):
        Sendec(shape(4, height=30))
    with pytest.raises(SpecError, match="cannot read 4 frames: expected 5 frames"):
        Fast3d(shape(4))
