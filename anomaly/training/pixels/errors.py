"""What pixel models are taught with and judged by: corruptions, losses, error maps and their scores."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Target = Literal["reconstruct", "next", "middle"]
Corrupt = Literal["none", "noise", "mask", "patch_shuffle", "patch_rotate"]
Loss = Literal["mse", "l1", "mse+gradient"]
Score = Literal["mean", "block_max", "top_percent", "psnr", "cell_max"]

_NOISE = 0.1
_PATCH = 3 / 8
"""side of a corrupted patch over the lower side of the picture: FastAno's 90 of 240"""
_TINY = 1e-8


def extra_frames(target: Target) -> int:
    """Return how many frames of a window the network does not see."""
    return 0 if target == "reconstruct" else 1


def asked_frames(target: Target, length: int) -> slice:
    """Return which frames of a window the network shall give; it reads `length` of them."""
    if target == "reconstruct":
        return slice(0, length)
    hidden = length if target == "next" else length // 2
    return slice(hidden, hidden + 1)


def shown(target: Target, window_BCLHW: Tensor, length: int) -> Tensor:
    """Return the frames of windows that the network sees."""
    if target == "reconstruct":
        return window_BCLHW
    hidden = asked_frames(target, length)
    return torch.cat([window_BCLHW[:, :, : hidden.start], window_BCLHW[:, :, hidden.stop :]], 2)


def answer(target: Target, pictures_BCTHW: Tensor) -> Tensor:
    """Return which of the pictures a network gives stand for the frames that were asked for."""
    length = pictures_BCTHW.shape[2]
    if target == "reconstruct" or length == 1:
        return pictures_BCTHW
    step = length - 1 if target == "next" else length // 2
    return pictures_BCTHW[:, :, step : step + 1]


def corrupted(kind: Corrupt, clip_BCTHW: Tensor) -> Tensor:
    """Return clips that are spoilt at random, every second one of them where a patch is spoilt."""
    if kind == "none":
        return clip_BCTHW
    if kind == "noise":
        return clip_BCTHW + _NOISE * torch.randn_like(clip_BCTHW)
    spoilt = clip_BCTHW.clone()
    side = max(2, int(_PATCH * min(clip_BCTHW.shape[-2:])))
    for clip in spoilt:
        if torch.rand(()) < 0.5:
            top, left = (int(torch.randint(size - side + 1, ())) for size in clip.shape[-2:])
            patch = clip[..., top : top + side, left : left + side]
            patch.copy_(_spoilt(kind, patch.clone()))
    return spoilt


def _spoilt(kind: Corrupt, patch_CTHW: Tensor) -> Tensor:
    if kind == "mask":
        return torch.zeros_like(patch_CTHW)
    length = patch_CTHW.shape[1]
    if kind == "patch_shuffle":
        return patch_CTHW[:, torch.randperm(length)]
    turns = torch.randint(4, (length,)).tolist()
    frames = [torch.rot90(patch_CTHW[:, t], turn, (1, 2)) for t, turn in enumerate(turns)]
    return torch.stack(frames, dim=1)


def loss_of(kind: Loss, made: Tensor, real: Tensor) -> Tensor:
    """Return the mean loss of pictures; a network that gives one channel is held to the mean of all."""
    real = _like(made, real)
    if kind == "l1":
        return nn.functional.l1_loss(made, real)
    loss = nn.functional.mse_loss(made, real)
    if kind == "mse+gradient":
        for axis in (-1, -2):
            loss = loss + (made.diff(dim=axis).abs() - real.diff(dim=axis).abs()).abs().mean()
    return loss


def error_maps(made: Tensor, real: Tensor) -> Tensor:
    """Return the squared error of each pixel, the mean over channels: (B, F, H, W)."""
    return (made - _like(made, real)).square().mean(dim=1)


def _like(made: Tensor, real: Tensor) -> Tensor:
    return real if made.shape[1] == real.shape[1] else real.mean(dim=1, keepdim=True)


def cells(maps_BFHW: Tensor, side: int) -> Tensor:
    """Return the mean error of squares that lie half a side apart, (B, F, rows, columns).

    The 16 x 16 box filter of the notebooks as an average pool; `grid_of` says how many there are.
    """
    step = side // 2
    return nn.functional.avg_pool2d(
        maps_BFHW, side, step, padding=step // 2, count_include_pad=False
    )


def grid_of(height: int, width: int, side: int) -> tuple[int, int]:
    """Return rows and columns of `cells`."""
    step = side // 2
    rows, columns = ((size + 2 * (step // 2) - side) // step + 1 for size in (height, width))
    return rows, columns


def scores(kind: Score, maps_BFHW: Tensor, side: int, percent: float) -> Tensor:
    """Return one score a frame, (B, F): higher is stranger."""
    pixels = maps_BFHW.flatten(2)
    if kind == "block_max":
        return cells(maps_BFHW, side).flatten(2).amax(dim=2)
    if kind == "top_percent":
        count = max(1, round(pixels.shape[2] * percent / 100))
        return pixels.topk(count, dim=2).values.mean(dim=2)
    mean = pixels.mean(dim=2)
    return 10 * torch.log10(mean + _TINY) if kind == "psnr" else mean
