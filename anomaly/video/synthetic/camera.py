"""A pinhole camera over a ground plane; metres in, pixels out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SUPERSAMPLING = 2
"""pictures are painted this many times larger and then averaged down"""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A fixed camera that looks along z and down; x is right, y is up, the ground is y = 0."""

    height: int
    """of the picture, in pixels"""
    width: int
    """of the picture, in pixels"""
    focal_pixels: float
    elevation_metres: float
    """of the camera above the ground"""
    pitch_degrees: float
    """how far it looks down"""

    def project(self, points_N3: Floats) -> tuple[Floats, Floats]:
        """Return where points appear, (..., 2) as (x, y), and the pixels per metre there.

        Both in pixels of the canvas, which is the picture enlarged by `SUPERSAMPLING`.
        """
        pitch = math.radians(self.pitch_degrees)
        x, y, z = (
            points_N3[..., 0],
            points_N3[..., 1] - self.elevation_metres,
            points_N3[..., 2],
        )
        depth = np.maximum(z * math.cos(pitch) - y * math.sin(pitch), 0.5)
        above_axis = y * math.cos(pitch) + z * math.sin(pitch)
        scale = SUPERSAMPLING * self.focal_pixels / depth
        right = SUPERSAMPLING * self.width / 2 + scale * x
        down = SUPERSAMPLING * self.height / 2 - scale * above_axis
        return np.stack([right, down], axis=-1), scale

    def rays(self, enlargement: int) -> Floats:
        """Return each pixel's direction, (H, W, 3), in a picture enlarged so many times."""
        pitch = math.radians(self.pitch_degrees)
        rows = (np.arange(self.height * enlargement) + 0.5) / enlargement - self.height / 2
        columns = (np.arange(self.width * enlargement) + 0.5) / enlargement - self.width / 2
        up_HW, right_HW = np.meshgrid(
            -rows / self.focal_pixels, columns / self.focal_pixels, indexing="ij"
        )
        return np.stack(
            [
                right_HW,
                up_HW * math.cos(pitch) - math.sin(pitch),
                up_HW * math.sin(pitch) + math.cos(pitch),
            ],
            axis=-1,
        ).astype(np.float32)

    def edge_metres(self, z: float) -> float:
        """Return how far aside the ground at distance `z` leaves the picture."""
        pitch = math.radians(self.pitch_degrees)
        depth = z * math.cos(pitch) + self.elevation_metres * math.sin(pitch)
        return self.width / 2 / self.focal_pixels * depth
