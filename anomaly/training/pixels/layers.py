"""Layers that several networks of pictures share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

Memory = Literal["none", "memae", "prototypes"]

_TINY = 1e-12


class ConvLstm(nn.Module):
    """ConvLSTM of Shi et al. (2015) as Keras builds it: (B, C, T, H, W) to the states of all steps."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        stride: int = 1,
        activation: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.activation = torch.tanh if activation == "tanh" else torch.relu
        self.stride = stride
        self.input = nn.Conv2d(channels, 4 * hidden, 3, stride)
        self.recurrent = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)
        nn.init.zeros_(self.input.bias)  # type: ignore[arg-type]  # there is a bias
        with torch.no_grad():
            self.input.bias[hidden : 2 * hidden] = 1.0  # type: ignore[index]  # remembers at first

    @override
    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        """Return the hidden state of each step."""
        n_clips, _, length = maps_BCTHW.shape[:3]
        inputs = self.input(same(maps_BCTHW.movedim(2, 1).flatten(0, 1), 3, self.stride))
        inputs_BTCHW = inputs.reshape(n_clips, length, *inputs.shape[1:])
        state = cell = torch.zeros_like(inputs_BTCHW[:, 0, : self.hidden])
        states = []
        for step in range(length):
            gates = inputs_BTCHW[:, step] + self.recurrent(state)
            let_in, forget, fresh, out = gates.chunk(4, dim=1)
            cell = _gate(forget) * cell + _gate(let_in) * self.activation(fresh)
            state = _gate(out) * self.activation(cell)
            states.append(state)
        return torch.stack(states, dim=2)


def _gate(logits: Tensor) -> Tensor:
    """Return Keras's hard sigmoid, which is not PyTorch's (x / 6 + 0.5)."""
    return (0.2 * logits + 0.5).clamp(0, 1)


def same(maps: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad the last two axes as TensorFlow's "same" does: the odd line goes to the end."""
    padding: list[int] = []
    for size in reversed(maps.shape[-2:]):
        missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        padding += [missing // 2, missing - missing // 2]
    return nn.functional.pad(maps, padding)


def per_frame(layer: nn.Module, maps_BCTHW: Tensor) -> Tensor:
    """Apply a layer of single pictures to every frame of clips."""
    n_clips, _, length = maps_BCTHW.shape[:3]
    made: Tensor = layer(maps_BCTHW.movedim(2, 1).flatten(0, 1))
    return made.reshape(n_clips, length, *made.shape[1:]).movedim(1, 2)


class FrameAttention(nn.Module):
    """Self-attention over the frames of a clip, at each place for itself.

    Queries, keys and values come from 3x3 convolutions, so each place speaks of its neighbourhood too;
    which frame is which is learnt.
    """

    def __init__(self, channels: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.when_CT11 = nn.Parameter(torch.randn(channels, length, 1, 1) * 0.02)
        self.ask = nn.Conv2d(channels, 3 * channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.feed = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 3, padding=1),
        )
        self.before = nn.GroupNorm(1, channels)
        self.after = nn.GroupNorm(1, channels)

    @override
    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        """Return maps of the same shape."""
        n_clips, channels, length, height, width = maps_BCTHW.shape
        asked = per_frame(nn.Sequential(self.before, self.ask), maps_BCTHW + self.when_CT11)
        parts = asked.reshape(n_clips, 3, self.heads, -1, length, height, width)
        query, key, value = parts.permute(1, 0, 5, 6, 2, 4, 3).flatten(1, 3).unbind(0)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        found = found.reshape(n_clips, height, width, self.heads, length, -1).permute(
            0, 3, 5, 4, 1, 2
        )
        found = found.reshape(n_clips, channels, length, height, width)
        maps_BCTHW = maps_BCTHW + per_frame(self.mix, found)
        return maps_BCTHW + per_frame(nn.Sequential(self.after, self.feed), maps_BCTHW)


class NoMemory(nn.Module):
    """Codes pass as they are."""

    widening = 1

    @override
    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes and no penalty."""
        return codes, torch.zeros((), device=codes.device)


class SparseMemory(nn.Module):
    """MemAE: each code becomes a sparse mixture of remembered ones (Gong et al., ICCV 2019)."""

    widening = 1

    def __init__(self, channels: int, items: int, shrinkage: float, penalty: float) -> None:
        super().__init__()
        self.items_MC = nn.Parameter(
            torch.empty(items, channels).uniform_(-1, 1) / channels**0.5
        )
        self.shrinkage, self.penalty = shrinkage, penalty

    @override
    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixtures (B, C, ...) and the entropy of their weights."""
        queries = codes.movedim(1, -1)
        weights = torch.softmax(queries @ self.items_MC.T, dim=-1)
        above = weights - self.shrinkage
        weights = torch.relu(above) * weights / (above.abs() + _TINY)
        weights = nn.functional.normalize(weights, p=1, dim=-1)
        entropy = -(weights * torch.log(weights + _TINY)).sum(-1).mean()
        return (weights @ self.items_MC).movedim(-1, 1), self.penalty * entropy


class Prototypes(nn.Module):
    """MNAD: each code with what the memory holds that is like it (Park et al., CVPR 2020).

    Where we depart: the items are learnt from the gradient of the two terms that draw codes to their
    nearest item and away from the second, not moved by weighted sums of codes beside it; and they never
    change on the video that is scored.
    """

    widening = 2

    def __init__(self, channels: int, items: int = 10, penalty: float = 0.1) -> None:
        super().__init__()
        self.items_MC = nn.Parameter(nn.functional.normalize(torch.randn(items, channels)))
        self.penalty = penalty

    @override
    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes (of length 1) and memories side by side, and compactness + separateness."""
        queries = nn.functional.normalize(codes, dim=1).movedim(1, -1)
        items_MC = nn.functional.normalize(self.items_MC)
        likeness = queries @ items_MC.T
        read = torch.softmax(likeness, dim=-1) @ items_MC
        nearest = likeness.topk(2, dim=-1).indices
        near = (queries - items_MC[nearest[..., 0]]).square().sum(-1)
        other = (queries - items_MC[nearest[..., 1]]).square().sum(-1)
        apart = torch.relu((near + _TINY).sqrt() - (other + _TINY).sqrt() + 1.0)
        penalty = self.penalty * (near.mean() + apart.mean())
        return torch.cat([queries, read], dim=-1).movedim(-1, 1), penalty


def make_memory(
    kind: Memory, channels: int, share: float
) -> NoMemory | SparseMemory | Prototypes:
    """Return a memory for codes of so many channels; `share` scales the published number of items."""
    if kind == "memae":
        items = max(16, round(2000 * share))
        # The paper's threshold is 5 / 2000: five times the weight that all items would have alike.
        return SparseMemory(channels, items, shrinkage=5 / items, penalty=0.0002)
    return Prototypes(channels) if kind == "prototypes" else NoMemory()
