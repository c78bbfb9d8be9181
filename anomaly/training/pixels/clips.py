"""Clips of stored pictures for training: decoded once, kept outside memory, cut when they are shown."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.training.rows import row_vectors
from anomaly.windows import WindowSpec, window_starts
from anomaly.windows.bags import Bag


@dataclass(frozen=True)
class Clips:
    """All clips that a fit may learn from."""

    frames_TD: NDArray[np.uint8]
    """the usable pictures of all videos, one after the other, in a scratch file that is mapped"""
    starts_N: NDArray[np.int64]
    """where each clip begins"""
    length: int

    @classmethod
    def of(cls, bags: Sequence[Bag], input_name: str, window: WindowSpec) -> Clips:
        """Return the clips that lie within the usable ranges of the bags.

        Raises:
            StoreError: pictures of the bags differ in size.
        """
        starts: list[NDArray[np.int64]] = []
        n_frames, dimension = 0, None
        with tempfile.TemporaryFile() as scratch:  # lives on as long as it is mapped
            for bag in bags:
                for first, last in bag.usable_ranges:
                    if last - first < window.length:
                        continue
                    starts.append(n_frames + window_starts(last - first, window))
                    n_frames += last - first
                    for block in bag.restrict(first, last).usable_blocks(input_name):
                        pixels_TD = row_vectors(bag, block, dimension)
                        dimension = pixels_TD.shape[1]
                        scratch.write(pixels_TD.astype(np.uint8).tobytes())
            if dimension is None:
                return cls(np.zeros((0, 0), np.uint8), np.zeros(0, np.int64), window.length)
            scratch.flush()
            frames_TD = np.memmap(scratch, np.uint8, "r", shape=(n_frames, dimension))
        return cls(frames_TD, np.concatenate(starts), window.length)

    def read(self, starts_B: NDArray[np.int64]) -> Tensor:
        """Return the pictures of some clips, uint8 (B, L, D)."""
        return torch.from_numpy(self.frames_TD[starts_B[:, None] + np.arange(self.length)])
