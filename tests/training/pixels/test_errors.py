"""Corruptions, targets, error maps and their scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomaly.features import vector_block
from anomaly.training.pixels.clips import Clips
from anomaly.training.pixels.errors import (
    answer,
    asked_frames,
    cells,
    corrupted,
    error_maps,
    grid_of,
    loss_of,
    scores,
    shown,
)
from anomaly.windows import WindowSpec
from anomaly.windows.bags import Bag, MemorySource


def window(length):
    """Pictures whose values are the number of their frame."""
    return torch.arange(length, dtype=torch.float32).reshape(1, 1, length, 1, 1).expand(
        1, 1, length, 4, 4
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "seen", "asked"),
    [("reconstruct", [0, 1, 2, 3], [0, 1, 2, 3]), ("next", [0, 1, 2, 3], [4]),
     ("middle", [0, 1, 3, 4], [2])],
)  # fmt: skip
def test_a_network_never_sees_the_frame_that_it_shall_foresee(target, seen, asked):
    whole = window(4 if target == "reconstruct" else 5)
    assert shown(target, whole, 4)[0, 0, :, 0, 0].tolist() == seen
    assert whole[0, 0, asked_frames(target, 4), 0, 0].tolist() == asked
    assert answer(target, window(4)).shape[2] == len(asked)
    assert answer(target, window(1 if target != "reconstruct" else 4)).shape[2] == len(asked)


@pytest.mark.parametrize("kind", ["noise", "mask", "patch_shuffle", "patch_rotate"])
def test_corruption_spoils_a_part_and_leaves_the_original_alone(kind):
    torch.random.manual_seed(0)
    clips = torch.rand(40, 1, 5, 24, 32)
    before = clips.clone()
    spoilt = corrupted(kind, clips)
    assert torch.equal(clips, before)
    changed = (spoilt != clips).flatten(1).float().mean(dim=1)
    assert 0 < changed.mean() <= 1
    if kind != "noise":
        assert 8 <= (changed > 0).sum() <= 32
        assert changed.max() <= (9 * 9) / (24 * 32) + 1e-6
    if kind.startswith("patch"):
        torch.testing.assert_close(
            spoilt.flatten(1).sort().values, clips.flatten(1).sort().values
        )


def test_corruption_none_is_the_very_clip():
    clips = torch.rand(2, 1, 4, 8, 8)
    assert corrupted("none", clips) is clips


def test_the_gradient_term_sees_an_edge_that_the_mean_does_not():
    flat, edge = torch.full((1, 1, 1, 8, 8), 0.5), torch.full((1, 1, 1, 8, 8), 0.5)
    edge[..., ::2] += 0.1
    edge[..., 1::2] -= 0.1
    plain = loss_of("mse", flat, edge)
    assert loss_of("mse+gradient", flat, edge) == pytest.approx(float(plain) + 0.2, rel=1e-5)
    assert loss_of("l1", flat, edge) == pytest.approx(0.1)


def test_one_channel_is_held_to_the_mean_of_three():
    real = torch.rand(1, 3, 2, 4, 4)
    made = real.mean(dim=1, keepdim=True)
    assert float(error_maps(made, real).max()) < 1e-12


@pytest.mark.parametrize(("height", "width", "side"), [(64, 96, 8), (48, 80, 16), (32, 32, 4)])
def test_cells_are_means_of_squares_half_a_side_apart(height, width, side):
    maps = torch.rand(1, 2, height, width)
    found = cells(maps, side)
    assert tuple(found.shape[2:]) == grid_of(height, width, side)
    step = side // 2
    for row, column in ((1, 1), (3, 2)):
        top, left = row * step - step // 2, column * step - step // 2
        wanted = maps[0, 1, top : top + side, left : left + side].mean()
        assert float(found[0, 1, row, column]) == pytest.approx(float(wanted), rel=1e-5)


def test_scores_rank_a_small_strong_error_as_each_promises():
    faint, spot = torch.full((1, 1, 32, 32), 0.01), torch.zeros(1, 1, 32, 32)
    spot[..., 8:16, 8:16] = 0.1
    for kind, higher in (("mean", faint), ("psnr", faint), ("block_max", spot),
                         ("top_percent", spot)):  # fmt: skip
        lower = spot if higher is faint else faint
        assert scores(kind, higher, 8, 5.0) > scores(kind, lower, 8, 5.0)
    assert float(scores("psnr", faint, 8, 5.0)) == pytest.approx(-20, abs=1e-3)


def test_clips_are_cut_from_usable_stretches_alone():
    index = np.arange(30)
    block = vector_block(index, index / 10, np.repeat(index[:, None], 6, 1).astype(np.float32))
    bag = Bag("a", "cam", {"frames": MemorySource(block)}, ranges=((2, 12), (14, 16), (20, 30)))
    clips = Clips.of([bag, bag], "frames", WindowSpec(length=4, step=3))
    shown_NL = clips.read(clips.starts_N)[..., 0].tolist()
    wanted = [[start + k for k in range(4)] for start in (2, 5, 8, 20, 23, 26)]
    assert shown_NL == wanted * 2
    assert clips.frames_TD.dtype == np.uint8
