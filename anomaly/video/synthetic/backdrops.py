"""What the cameras of the demo archive look at, painted by casting a ray through each pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.video.synthetic.camera import SUPERSAMPLING, Camera, Floats

_ENLARGEMENT = 2 * SUPERSAMPLING


class _Surfaces:
    """The ground and one wall across the view, as metres under each pixel."""

    def __init__(
        self, camera: Camera, wall_metres: float, generator: np.random.Generator
    ) -> None:
        rays_HW3 = camera.rays(_ENLARGEMENT)
        with np.errstate(divide="ignore"):
            to_ground_HW = np.where(
                rays_HW3[..., 1] < 0, camera.elevation_metres / -rays_HW3[..., 1], np.inf
            )
        to_wall_HW = wall_metres / rays_HW3[..., 2]
        self.is_ground_HW = to_ground_HW < to_wall_HW
        reach_HW = np.minimum(to_ground_HW, to_wall_HW)[..., None]
        hit_HW3 = reach_HW * rays_HW3
        self.x_HW = hit_HW3[..., 0]
        self.z_HW = hit_HW3[..., 2]
        self.up_HW = np.where(self.is_ground_HW, 0.0, hit_HW3[..., 1] + camera.elevation_metres)
        self.generator = generator

    def noise(self, size_metres: float, *, along_wall: bool = False) -> Floats:
        """Return smooth noise of unit deviation that lies on the ground (or on the wall)."""
        other_HW = self.up_HW if along_wall else self.z_HW
        table = self.generator.normal(size=(256, 256)).astype(np.float32)
        x = np.mod(self.x_HW / size_metres + 128, 255).astype(np.float32)
        y = np.mod(other_HW / size_metres + 64, 255).astype(np.float32)
        noise_HW: Floats = cv2.remap(table, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)  # type: ignore[assignment]
        return noise_HW

    def tiles(self, u_HW: Floats, v_HW: Floats) -> Floats:
        """Return one random number of unit deviation for each tile of unit size."""
        table = self.generator.normal(size=(64, 64))
        return table[np.floor(u_HW).astype(int) % 64, np.floor(v_HW).astype(int) % 64]


def _gap(u_HW: Floats, width: float) -> NDArray[np.bool_]:
    """Say where a coordinate lies within `width` of a whole number."""
    return np.abs(u_HW - np.rint(u_HW)) < width / 2


def _between(u_HW: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return (u_HW >= low) & (u_HW < high)


def _finish(picture_HW3: Floats, camera: Camera, vignette: float) -> NDArray[np.uint8]:
    """Average down to the canvas and darken the corners as a lens does."""
    size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
    small_HW3: NDArray[Any] = cv2.resize(
        picture_HW3.astype(np.float32), size, interpolation=cv2.INTER_AREA
    )
    rows = np.linspace(-1, 1, size[1])[:, None, None]
    columns = np.linspace(-1, 1, size[0])[None, :, None]
    small_HW3 *= 1 - vignette * (rows**2 + columns**2)
    return np.clip(small_HW3, 0, 255).astype(np.uint8)


def plaza(camera: Camera, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Paint a sunny forecourt: paving, a brick front with windows and a glass door."""
    at = _Surfaces(camera, wall_metres=14.5, generator=generator)
    slab_x, slab_z = at.x_HW / 0.9, at.z_HW / 0.9 + 0.5 * (np.floor(at.x_HW / 0.9) % 2)
    light_HW = 178 + 4.5 * at.tiles(slab_x, slab_z) + 4 * at.noise(1.7) + 2.5 * at.noise(0.12)
    light_HW -= 26 * (_gap(slab_x, 0.035) | _gap(slab_z, 0.035))
    light_HW *= np.where(at.z_HW > 12.9, 0.66, 1.0)  # the building's own shade
    ground_HW3 = light_HW[..., None] * np.array([1.0, 0.965, 0.905])

    brick_v = at.up_HW / 0.115
    brick_u = at.x_HW / 0.36 + 0.5 * (np.floor(brick_v) % 2)
    tint_HW = 1 + 0.07 * at.tiles(brick_u, brick_v) + 0.03 * at.noise(1.1, along_wall=True)
    wall_HW3 = tint_HW[..., None] * np.array([158.0, 96.0, 74.0])
    wall_HW3[_gap(brick_u, 0.07) | _gap(brick_v, 0.16)] = (172, 150, 132)
    wall_HW3[_between(at.up_HW, 0, 0.5)] = (126, 122, 116)
    for left in (-7.6, -5.0, 2.5, 5.1):
        _window(wall_HW3, at, left, 1.1, left + 1.7, 2.9)
    _door(wall_HW3, at, -1.5, 1.1)
    wall_HW3 *= np.where(at.up_HW < 0.12, 0.6, 1.0)[..., None]
    return _finish(np.where(at.is_ground_HW[..., None], ground_HW3, wall_HW3), camera, 0.11)


def _window(
    wall_HW3: Floats, at: _Surfaces, left: float, low: float, right: float, high: float
) -> None:
    frame = _between(at.x_HW, left - 0.09, right + 0.09) & _between(
        at.up_HW, low - 0.12, high + 0.09
    )
    wall_HW3[frame] = (226, 222, 212)
    pane = _between(at.x_HW, left, right) & _between(at.up_HW, low, high)
    pane &= ~_between(at.x_HW, (left + right) / 2 - 0.03, (left + right) / 2 + 0.03)
    shine_HW = 70 + 46 * (at.up_HW - low) + 16 * np.sin(2.2 * at.x_HW + 3.1 * at.up_HW)
    wall_HW3[pane] = (shine_HW[..., None] * np.array([0.72, 0.90, 1.05]))[pane]


def _door(wall_HW3: Floats, at: _Surfaces, left: float, right: float) -> None:
    wall_HW3[_between(at.x_HW, left - 0.35, right + 0.35) & _between(at.up_HW, 2.55, 2.8)] = (
        70,
        74,
        80,
    )
    wall_HW3[_between(at.x_HW, left - 0.1, right + 0.1) & _between(at.up_HW, 0, 2.55)] = (
        52,
        58,
        64,
    )
    middle = (left + right) / 2
    for a, b in ((left, middle - 0.05), (middle + 0.05, right)):
        pane = _between(at.x_HW, a, b) & _between(at.up_HW, 0.08, 2.42)
        glow_HW = 96 + 22 * at.up_HW + 12 * np.sin(4 * at.x_HW + at.up_HW)
        wall_HW3[pane] = (glow_HW[..., None] * np.array([0.93, 0.97, 0.92]))[pane]
        handle = _between(at.up_HW, 0.9, 1.4) & (
            np.abs(np.abs(at.x_HW - middle) - 0.14) < 0.025
        )
        wall_HW3[handle] = (214, 214, 208)


def loading_bay(camera: Camera, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Paint an indoor loading bay: a one-way walkway on concrete, roller doors, lamp light."""
    at = _Surfaces(camera, wall_metres=13.0, generator=generator)
    light_HW = 124 + 5.5 * at.noise(1.9) + 3.5 * at.noise(0.45) + 2 * at.noise(0.08)
    light_HW -= 22 * (_gap(at.x_HW / 3.6 + 0.5, 0.012) | _gap(at.z_HW / 3.6 + 0.22, 0.012))
    ground_HW3 = light_HW[..., None] * np.array([0.95, 0.99, 1.0])
    _walkway(ground_HW3, at, near=6.3, far=9.3)

    slat_HW = np.sin(at.up_HW / 0.11 * np.pi)
    wall_HW3 = (134 + 3 * at.noise(1.3, along_wall=True))[..., None] * np.array(
        [0.96, 1.0, 1.03]
    )
    wall_HW3[_between(at.up_HW, 0, 1.0)] *= np.array([0.66, 0.72, 0.80])
    for left, color in ((-8.0, (60, 92, 128)), (-2.6, (176, 104, 44)), (2.8, (60, 92, 128))):
        _roller_door(wall_HW3, at, slat_HW, left, color)
    picture_HW3 = np.where(at.is_ground_HW[..., None], ground_HW3, wall_HW3)
    lamps_HW = sum(
        np.exp(-(((at.x_HW - x) / 3.4) ** 2) - ((at.z_HW - z) / 3.2) ** 2)
        for x, z in ((-4.5, 8.5), (1.5, 7.2), (6.5, 9.5))
    )
    near_wall_HW = np.where(at.is_ground_HW, np.clip((13.0 - at.z_HW) / 1.2, 0.55, 1), 1)
    return _finish(
        picture_HW3 * ((0.74 + 0.42 * lamps_HW) * near_wall_HW)[..., None], camera, 0.15
    )


def _walkway(ground_HW3: Floats, at: _Surfaces, near: float, far: float) -> None:
    """Paint yellow edge lines and arrows to the right, worn by feet."""
    worn_HW = at.noise(0.25) > -1.1
    edges = _between(at.z_HW, near - 0.12, near) | _between(at.z_HW, far, far + 0.14)
    middle = (near + far) / 2
    along_HW = np.mod(at.x_HW + 1.2, 4.4) - 2.2 + 0.9 * np.abs(at.z_HW - middle)
    arrows = _between(along_HW, 0.25, 0.62) & (np.abs(at.z_HW - middle) < 0.75)
    ground_HW3[(edges | arrows) & worn_HW] = (206, 168, 56)


def _roller_door(
    wall_HW3: Floats, at: _Surfaces, slat_HW: Floats, left: float, color: tuple[int, int, int]
) -> None:
    right = left + 4.2
    wall_HW3[_between(at.x_HW, left - 0.25, right + 0.25) & _between(at.up_HW, 0, 3.85)] = (
        58,
        60,
        64,
    )
    sheet = _between(at.x_HW, left, right) & _between(at.up_HW, 0.08, 3.6)
    wall_HW3[sheet] = ((1 + 0.13 * slat_HW)[..., None] * np.array(color))[sheet]
    for side in (left - 0.14, right + 0.14):
        post = (np.abs(at.x_HW - side) < 0.1) & _between(at.up_HW, 0, 1.1)
        bands = np.floor((at.up_HW + at.x_HW) / 0.17) % 2 == 0
        wall_HW3[post] = (34, 34, 34)
        wall_HW3[post & bands] = (214, 178, 40)
