"""The encoder that UR-DMU, BN-WVAD and GS-MoE share: what is near in time, and what is alike.

Zhou, Yu, Yang, "Dual memory units with uncertainty regulation for weakly supervised video anomaly
detection" (AAAI 2023): a convolution over time, then pre-norm transformer layers in which half of each
head attends to content and half to a fixed kernel exp(-|i - j| / e) over distance in time. Where we
depart: the kernel is normalised so that each row sums to 1 (the public code divides columns).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

WIDTH = 512
_HEADS, _HEAD_WIDTH, _LAYERS = 4, 128, 2


class TemporalEncoder(nn.Module):
    """Segments (B, T, D) to (B, T, 512)."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Conv1d(dimension, WIDTH, kernel_size=3, padding=1)
        self.layers = nn.Sequential(*(_Layer(dropout) for _ in range(_LAYERS)))

    @override
    def forward(self, segments_BTD: Tensor) -> Tensor:
        """Return one vector a segment, which knows of the others."""
        embedded_BTH = self.embedding(segments_BTD.transpose(1, 2)).relu().transpose(1, 2)
        encoded_BTH: Tensor = self.layers(embedded_BTH)
        return encoded_BTH


class _Layer(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(WIDTH), _Attention(dropout))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(dropout),
        )

    @override
    def forward(self, rows_BTH: Tensor) -> Tensor:
        rows_BTH = rows_BTH + self.attention(rows_BTH)
        both: Tensor = rows_BTH + self.feed_forward(rows_BTH)
        return both


class _Attention(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        inner = _HEADS * _HEAD_WIDTH
        self.project = nn.Linear(WIDTH, 4 * inner, bias=False)
        self.merge = nn.Sequential(nn.Linear(2 * inner, WIDTH), nn.Dropout(dropout))

    @override
    def forward(self, rows_BTH: Tensor) -> Tensor:
        batch, length, _ = rows_BTH.shape
        projected = self.project(rows_BTH).view(batch, length, 4, _HEADS, _HEAD_WIDTH)
        query, key, value, near = projected.permute(2, 0, 3, 1, 4)
        alike = torch.softmax(query @ key.transpose(-1, -2) * _HEAD_WIDTH**-0.5, dim=-1)
        kernel_TT = distance_kernel(length, rows_BTH)
        seen = torch.cat([alike @ value, kernel_TT @ near], dim=-1)
        merged: Tensor = self.merge(seen.transpose(1, 2).reshape(batch, length, -1))
        return merged


def distance_kernel(length: int, like: Tensor) -> Tensor:
    """Return exp(-|i - j| / e), each row divided by its sum, of the type and device of `like`."""
    time_T = torch.arange(length, dtype=like.dtype, device=like.device)
    kernel_TT = torch.exp(-(time_T[:, None] - time_T).abs() / math.e)
    return kernel_TT / kernel_TT.sum(dim=1, keepdim=True)
