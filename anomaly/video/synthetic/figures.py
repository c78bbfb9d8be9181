"""People, bicycles, bags: skeletons in metres, painted as rounded limbs with light and shadow.

All geometry of a figure is computed for the whole clip at once; a frame then costs some fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.video.synthetic.camera import Camera, Floats

Color = tuple[int, int, int]

_FIXED_POINT_BITS = 3
_CAP_POINTS = 6
_SHADOW_SLANT = (0.55, 0.35)
"""metres that the shadow moves right and away for each metre of height"""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a person looks like; colours are RGB."""

    height_metres: float
    build: float
    """1 is average; the thickness of limbs and trunk"""
    shirt: Color
    stripes: Color | None
    trousers: Color
    shoes: Color
    skin: Color
    hair: Color
    backpack: Color | None


@dataclass(frozen=True, kw_only=True)
class Movement:
    """Where a figure is and how it moves, one entry per frame of the clip."""

    x_T: Floats
    z_T: Floats
    heading_T: Floats
    """radians; 0 is to the right, pi / 2 is away from the camera"""
    phase_T: Floats
    """radians of the step cycle"""
    swing_T: Floats
    """0 stands still, 1 walks, 1.8 runs"""
    bend_T: Floats
    """0 upright, 1 crouched"""
    shown_T: NDArray[np.bool_]
    carries_T: NDArray[np.bool_]
    """holds a travel bag"""
    tilt_T: Floats
    """radians that the whole body has fallen forward about the feet: 0 upright, pi / 2 lying"""
    rides: bool = False
    """sits on a bicycle"""


@dataclass(frozen=True)
class Figure:
    """Something that can be painted into any frame of one clip."""

    depth_T: Floats
    shown_T: NDArray[np.bool_]
    shapes_TLP2: NDArray[np.int32]
    """outlines of the parts, fixed point"""
    lights_TLP2: NDArray[np.int32]
    """outlines of their lit sides"""
    shadows_TLP2: NDArray[np.int32]
    colors: list[Color]
    part_shown_TL: NDArray[np.bool_]
    order_TL: NDArray[np.int64]
    """the parts from back to front"""
    box_T4: NDArray[np.int64]
    """(left, top, right, bottom) in canvas pixels of everything but the shadow"""

    def paint(self, canvas_HWC: NDArray[np.uint8], frame: int) -> None:
        """Paint the figure of one frame over the canvas."""
        for part in self.order_TL[frame]:
            if not self.part_shown_TL[frame, part]:
                continue
            color = self.colors[part]
            _fill(canvas_HWC, self.shapes_TLP2[frame, part], _shade(color, 0.72))
            _fill(canvas_HWC, self.lights_TLP2[frame, part], color)

    def paint_shadow(self, mask_HW: NDArray[np.uint8], frame: int) -> None:
        """Set the mask where the figure of one frame keeps the sun off the ground."""
        for part in np.flatnonzero(self.part_shown_TL[frame]):
            _fill(mask_HW, self.shadows_TLP2[frame, part], (255, 255, 255))


# joints of a skeleton, in this order
_JOINTS = [
    "pelvis",
    "neck",
    "head",
    "face",
    "hair",
    "hip_l",
    "knee_l",
    "ankle_l",
    "toe_l",
    "hip_r",
    "knee_r",
    "ankle_r",
    "toe_r",
    "shoulder_l",
    "elbow_l",
    "hand_l",
    "shoulder_r",
    "elbow_r",
    "hand_r",
    "pack_low",
    "pack_high",
    "bag_a",
    "bag_b",
    "grip",
]
_J = {name: number for number, name in enumerate(_JOINTS)}

# part: joints, radii as a share of body height, colour
_PARTS: tuple[tuple[str, str, str, float, float, str], ...] = (
    ("arm_l_high", "shoulder_l", "elbow_l", 0.030, 0.024, "shirt"),
    ("arm_l_low", "elbow_l", "hand_l", 0.024, 0.017, "shirt"),
    ("hand_l", "hand_l", "hand_l", 0.021, 0.021, "skin"),
    ("leg_l_high", "hip_l", "knee_l", 0.048, 0.036, "trousers"),
    ("leg_l_low", "knee_l", "ankle_l", 0.036, 0.023, "trousers"),
    ("foot_l", "ankle_l", "toe_l", 0.023, 0.019, "shoes"),
    ("arm_r_high", "shoulder_r", "elbow_r", 0.030, 0.024, "shirt"),
    ("arm_r_low", "elbow_r", "hand_r", 0.024, 0.017, "shirt"),
    ("hand_r", "hand_r", "hand_r", 0.021, 0.021, "skin"),
    ("leg_r_high", "hip_r", "knee_r", 0.048, 0.036, "trousers"),
    ("leg_r_low", "knee_r", "ankle_r", 0.036, 0.023, "trousers"),
    ("foot_r", "ankle_r", "toe_r", 0.023, 0.019, "shoes"),
    ("hips", "pelvis", "pelvis", 0.070, 0.070, "trousers"),
    ("trunk", "pelvis", "neck", 0.066, 0.084, "shirt"),
    ("throat", "neck", "head", 0.026, 0.026, "skin"),
    ("face", "face", "face", 0.056, 0.056, "skin"),
    ("hair", "hair", "hair", 0.060, 0.060, "hair"),
    ("pack", "pack_low", "pack_high", 0.062, 0.055, "backpack"),
    ("bag", "bag_a", "bag_b", 0.075, 0.075, "bag"),
    ("bag_grip", "bag_a", "grip", 0.010, 0.010, "bag"),
)
_P = {part[0]: number for number, part in enumerate(_PARTS)}
_N_STRIPES = 3

BAG: Color = (150, 52, 40)
BIN: Color = (46, 98, 66)


def person(camera: Camera, look: Look, move: Movement) -> Figure:
    """Return a person with this look who moves like this; on a bicycle if it rides."""
    joints_TJ3 = _skeleton(look, move)
    pixels_TJ2, scale_TJ = camera.project(joints_TJ3)
    ends, radii = _person_capsules(look, pixels_TJ2, scale_TJ)
    shadow_pixels_TJ2, shadow_scale_TJ = camera.project(_on_the_ground(joints_TJ3))
    shadow_ends, shadow_radii = _person_capsules(look, shadow_pixels_TJ2, shadow_scale_TJ)
    colors = _person_colors(look)
    shown_TL = np.repeat(move.shown_T[:, None], len(colors), axis=1)
    shown_TL[:, _P["pack"]] &= look.backpack is not None
    for name in ("bag", "bag_grip"):
        shown_TL[:, _P[name]] &= move.carries_T
    shown_TL[:, len(_PARTS) :] &= look.stripes is not None
    order_TL = _back_to_front(joints_TJ3, move)
    if move.rides:
        bicycle = _bicycle_metres(move)
        wheels, wheel_radii = _bars(camera, bicycle)
        flat, flat_radii = _bars(camera, _on_the_ground(bicycle))
        ends, radii = _join(wheels, ends), _join(wheel_radii, radii)
        shadow_ends = _join(flat, shadow_ends)
        shadow_radii = _join(flat_radii, shadow_radii)
        n_bars = wheels.shape[1]
        colors = [(38, 40, 44)] * (n_bars - _N_TUBES) + [(176, 38, 34)] * _N_TUBES + colors
        shown_TL = _join(np.repeat(move.shown_T[:, None], n_bars, axis=1), shown_TL)
        first_TL = np.repeat(np.arange(n_bars)[None], len(order_TL), axis=0)
        order_TL = _join(first_TL, order_TL + n_bars)
    return _figure(
        move.z_T,
        move.shown_T,
        (ends, radii),
        (shadow_ends, shadow_radii),
        colors,
        shown_TL,
        order_TL,
    )


def standing_bag(camera: Camera, x: float, z: float, shown_T: NDArray[np.bool_]) -> Figure:
    """Return a travel bag that stands on the ground in the frames where it is shown."""
    half, middle = 0.24, 0.16
    joints_TJ3 = np.array(
        [[x - half, middle, z], [x + half, middle, z], [x - 0.12, 0.42, z], [x + 0.12, 0.42, z]]
    )[None]
    bars = ((0, 1, 0.16), (0, 2, 0.02), (2, 3, 0.02), (3, 1, 0.02))
    still_TJ3 = np.repeat(joints_TJ3, len(shown_T), axis=0)
    return _thing(camera, still_TJ3, bars, BAG, shown_T)


def rolling_bin(camera: Camera, move: Movement, ahead_metres: float) -> Figure:
    """Return a bin on wheels that is pushed along in front of somebody who moves like this."""
    way_T = np.cos(move.heading_T)
    along_J, up_J = np.array([-0.22, -0.22, 0.22, 0.22, -0.3, 0.3]), [0.38, 1.0] * 2 + [0.1] * 2
    joints_TJ3 = np.empty((len(way_T), len(along_J), 3))
    joints_TJ3[..., 0] = (move.x_T + ahead_metres * way_T)[:, None] + along_J
    joints_TJ3[..., 1] = up_J
    joints_TJ3[..., 2] = move.z_T[:, None]
    bars = ((4, 4, 0.1), (5, 5, 0.1), (0, 1, 0.28), (2, 3, 0.28), (0, 2, 0.28), (1, 3, 0.2))
    return _thing(camera, joints_TJ3, bars, BIN, move.shown_T)


def _thing(
    camera: Camera,
    joints_TJ3: Floats,
    bars: tuple[tuple[int, int, float], ...],
    color: Color,
    shown_T: NDArray[np.bool_],
) -> Figure:
    """Return rounded bars (joint, joint, radius in metres), the first of them painted last."""

    def capsules(points_TJ3: Floats) -> tuple[Floats, Floats]:
        pixels_TJ2, scale_TJ = camera.project(points_TJ3)
        ends = np.stack([pixels_TJ2[:, [a, b]] for a, b, _ in bars], axis=1)
        radii = np.stack([scale_TJ[:, [a, b]] * radius for a, b, radius in bars], axis=1)
        return ends, radii

    n_bars = len(bars)
    return _figure(
        joints_TJ3[:, 0, 2],
        shown_T,
        capsules(joints_TJ3),
        capsules(_on_the_ground(joints_TJ3)),
        [color] * n_bars,
        np.repeat(shown_T[:, None], n_bars, axis=1),
        np.repeat(np.array([[*range(1, n_bars), 0]]), len(shown_T), axis=0),
    )


def _figure(
    depth_T: Floats,
    shown_T: NDArray[np.bool_],
    body: tuple[Floats, Floats],
    shadow: tuple[Floats, Floats],
    colors: list[Color],
    part_shown_TL: NDArray[np.bool_],
    order_TL: NDArray[np.int64],
) -> Figure:
    ends_TL22, radii_TL2 = body
    lit_TL22 = ends_TL22 - np.array([0.30, 0.22]) * radii_TL2[..., None]
    low = (ends_TL22 - radii_TL2[..., None]).min(axis=(1, 2))
    high = (ends_TL22 + radii_TL2[..., None]).max(axis=(1, 2))
    return Figure(
        depth_T=depth_T,
        shown_T=shown_T,
        shapes_TLP2=_outlines(ends_TL22, radii_TL2, shown_T),
        lights_TLP2=_outlines(lit_TL22, 0.70 * radii_TL2, shown_T),
        shadows_TLP2=_outlines(*shadow, shown_T),
        colors=colors,
        part_shown_TL=part_shown_TL,
        order_TL=order_TL,
        box_T4=np.concatenate([low, high], axis=1).astype(np.int64),
    )


def _skeleton(look: Look, move: Movement) -> Floats:
    """Return the joints (T, J, 3) in metres; the lower foot always touches the ground."""
    size = look.height_metres
    plane = {**_legs(size, move), **_upper_body(size, move)}
    forward_T, right_T = np.cos(move.heading_T), np.sin(move.heading_T)
    joints_TJ3 = np.zeros((len(move.x_T), len(_JOINTS), 3))
    for name, number in _J.items():
        ahead_T, up_T, aside_T = plane[name]
        ahead_T, up_T = _tilted(ahead_T, up_T, move.tilt_T)
        joints_TJ3[:, number, 0] = move.x_T + ahead_T * forward_T + aside_T * right_T
        joints_TJ3[:, number, 1] = up_T
        joints_TJ3[:, number, 2] = move.z_T + ahead_T * right_T - aside_T * forward_T
    return joints_TJ3


def _tilted(ahead_T: Floats, up_T: Floats, tilt_T: Floats) -> tuple[Floats, Floats]:
    """Return a point of the body turned about the feet; who has fallen lies on the ground."""
    turned_T = ahead_T * np.cos(tilt_T) + up_T * np.sin(tilt_T)
    height_T = up_T * np.cos(tilt_T) - ahead_T * np.sin(tilt_T)
    return turned_T, np.where(tilt_T > 0, np.maximum(height_T, 0.08), height_T)


_Plane = dict[str, tuple[Floats, Floats, Floats]]
"""joint -> (ahead, up, aside) in metres, seen from the pelvis' place on the ground"""


def _legs(size: float, move: Movement) -> _Plane:
    thigh, shin, foot, half_hip = 0.245 * size, 0.246 * size, 0.040 * size, 0.052 * size
    angles = {}
    for side, phase_T in (("l", move.phase_T), ("r", move.phase_T + math.pi)):
        if move.rides:
            hip_T = 0.95 + 0.42 * np.sin(phase_T)
            knee_T = 1.25 + 0.45 * np.cos(phase_T)
        else:
            hip_T = 0.42 * move.swing_T * np.sin(phase_T) + 1.25 * move.bend_T
            bent_T = np.maximum(0, np.cos(phase_T + 0.4)) ** 1.5
            knee_T = 0.08 + 0.85 * move.swing_T * bent_T + 1.85 * move.bend_T
        angles[side] = hip_T, hip_T - knee_T
    reach = [thigh * np.cos(hip) + shin * np.cos(low) for hip, low in angles.values()]
    pelvis_T = np.full_like(move.x_T, 0.98) if move.rides else foot + np.maximum(*reach)
    zero_T = np.zeros_like(move.x_T)
    plane: _Plane = {"pelvis": (zero_T, pelvis_T, zero_T)}
    for side, sign in (("l", -1.0), ("r", 1.0)):
        hip_T, low_T = angles[side]
        aside_T = np.full_like(zero_T, sign * half_hip)
        knee = thigh * np.sin(hip_T), pelvis_T - thigh * np.cos(hip_T)
        ankle = knee[0] + shin * np.sin(low_T), knee[1] - shin * np.cos(low_T)
        tilt_T = np.clip(low_T + 0.1, -0.9, 0.5)
        plane[f"hip_{side}"] = (zero_T, pelvis_T, aside_T)
        plane[f"knee_{side}"] = (*knee, aside_T)
        plane[f"ankle_{side}"] = (*ankle, aside_T)
        plane[f"toe_{side}"] = (
            ankle[0] + 0.095 * size * np.cos(tilt_T),
            ankle[1] - 0.014 * size + 0.095 * size * np.sin(tilt_T),
            aside_T,
        )
    return plane


def _upper_body(size: float, move: Movement) -> _Plane:
    trunk, half_shoulder = 0.295 * size, 0.105 * size
    pelvis_T = _legs(size, move)["pelvis"][1]
    lean_T = 0.75 if move.rides else 0.03 + 0.10 * move.swing_T**2 * 0.8 + 0.95 * move.bend_T
    lean_T = np.broadcast_to(lean_T, pelvis_T.shape)
    zero_T = np.zeros_like(pelvis_T)

    def along(length: float, backward: float = 0.0) -> tuple[Floats, Floats, Floats]:
        """Return a point `length` up the spine from the pelvis and `backward` behind it."""
        ahead_T = length * np.sin(lean_T) - backward * np.cos(lean_T)
        return ahead_T, pelvis_T + length * np.cos(lean_T) + backward * np.sin(lean_T), zero_T

    head_T = along(trunk + 0.105 * size)
    plane: _Plane = {
        "neck": along(trunk - 0.03 * size),
        "head": head_T,
        "face": (head_T[0] + 0.014 * size, head_T[1] - 0.006 * size, zero_T),
        "hair": (head_T[0] - 0.012 * size, head_T[1] + 0.016 * size, zero_T),
        "pack_low": along(0.10 * size, 0.095 * size),
        "pack_high": along(0.22 * size, 0.095 * size),
    }
    for side, sign, phase_T in (("l", -1.0, move.phase_T + math.pi), ("r", 1.0, move.phase_T)):
        shoulder = along(trunk - 0.02 * size)
        if move.rides:
            high_T, low_T = np.full_like(zero_T, 0.75), np.full_like(zero_T, 1.15)
        else:
            high_T = 0.42 * move.swing_T * np.sin(phase_T) + 0.85 * move.bend_T
            high_T = high_T * np.where(move.carries_T & (side == "r"), 0.25, 1.0)
            low_T = high_T + 0.25 + 1.4 * np.clip(move.swing_T - 1, 0, 1) + 0 * zero_T
        aside_T = np.full_like(zero_T, sign * half_shoulder)
        elbow = (
            shoulder[0] + 0.172 * size * np.sin(high_T),
            shoulder[1] - 0.172 * size * np.cos(high_T),
        )
        hand = elbow[0] + 0.15 * size * np.sin(low_T), elbow[1] - 0.15 * size * np.cos(low_T)
        plane[f"shoulder_{side}"] = (shoulder[0], shoulder[1], aside_T)
        plane[f"elbow_{side}"] = (*elbow, 1.12 * aside_T)
        plane[f"hand_{side}"] = (*hand, 1.12 * aside_T)
    ahead_T, up_T, aside_T = plane["grip"] = plane["hand_r"]
    bag_up_T = np.maximum(up_T - 0.25, 0.15)
    plane["bag_a"] = (ahead_T - 0.17, bag_up_T, aside_T * 1.2)
    plane["bag_b"] = (ahead_T + 0.17, bag_up_T, aside_T * 1.2)
    return plane


def _person_capsules(look: Look, pixels_TJ2: Floats, scale_TJ: Floats) -> tuple[Floats, Floats]:
    """Return ends (T, L, 2, 2) and radii (T, L, 2) of the parts, stripes of the shirt last."""
    a = [_J[part[1]] for part in _PARTS]
    b = [_J[part[2]] for part in _PARTS]
    share_L2 = (
        np.array([[part[3], part[4]] for part in _PARTS]) * look.height_metres * look.build
    )
    ends_TL22 = np.stack([pixels_TJ2[:, a], pixels_TJ2[:, b]], axis=2)
    radii_TL2 = np.stack([scale_TJ[:, a], scale_TJ[:, b]], axis=2) * share_L2
    # from the front a trunk is as wide as the shoulders, from the side as deep as the chest
    across_T2 = pixels_TJ2[:, _J["shoulder_l"]] - pixels_TJ2[:, _J["shoulder_r"]]
    across_T = np.hypot(*across_T2.T) / 2
    trunk = _P["trunk"]
    for end, share in ((0, 0.72), (1, 1.0)):
        radii_TL2[:, trunk, end] = np.hypot(share * across_T, 0.8 * radii_TL2[:, trunk, end])
    radii_TL2[:, _P["hips"]] = np.hypot(0.66 * across_T, 0.8 * radii_TL2[:, _P["hips"], 0])[
        :, None
    ]
    stripes, stripe_radii = _stripes(ends_TL22[:, trunk], radii_TL2[:, trunk])
    return _join(ends_TL22, stripes), _join(radii_TL2, stripe_radii)


def _stripes(trunk_T22: Floats, radii_T2: Floats) -> tuple[Floats, Floats]:
    low_T2, high_T2 = trunk_T22[:, 0], trunk_T22[:, 1]
    axis_T2 = high_T2 - low_T2
    normal_T2 = np.stack([-axis_T2[:, 1], axis_T2[:, 0]], axis=1)
    normal_T2 /= np.maximum(np.hypot(*axis_T2.T), 1e-6)[:, None]
    ends, radii = [], []
    for share in np.linspace(0.25, 0.85, _N_STRIPES):
        middle_T2 = low_T2 + share * axis_T2
        width_T = 0.88 * ((1 - share) * radii_T2[:, 0] + share * radii_T2[:, 1])
        ends.append(
            np.stack(
                [
                    middle_T2 - normal_T2 * width_T[:, None],
                    middle_T2 + normal_T2 * width_T[:, None],
                ],
                1,
            )
        )
        radii.append(np.repeat(0.13 * width_T[:, None], 2, axis=1))
    return np.stack(ends, axis=1), np.stack(radii, axis=1)


def _person_colors(look: Look) -> list[Color]:
    named = {
        "shirt": look.shirt,
        "trousers": look.trousers,
        "shoes": look.shoes,
        "skin": look.skin,
        "hair": look.hair,
        "backpack": look.backpack or look.shirt,
        "bag": BAG,
    }
    far_side = [_shade(named[part[5]], 0.86 if "_l" in part[0] else 1.0) for part in _PARTS]
    return far_side + [look.stripes or look.shirt] * _N_STRIPES


def _back_to_front(joints_TJ3: Floats, move: Movement) -> NDArray[np.int64]:
    """Return for each frame the order of the parts: far limbs, trunk, head, near limbs."""

    def numbers(text: str) -> list[int]:
        return [_P[name] for name in text.split()]

    leg, arm = "leg_{0}_high leg_{0}_low foot_{0}", "hand_{0} arm_{0}_low arm_{0}_high"
    stripes = list(range(len(_PARTS), len(_PARTS) + _N_STRIPES))
    orders = {}
    for left_is_near in (False, True):
        far, near = ("r", "l") if left_is_near else ("l", "r")
        back = numbers(f"{arm} {leg}".format(far)) + numbers(leg.format(near) + " hips")
        if near == "l":  # the bag hangs from the right hand
            back = numbers("bag_grip bag") + back
        front = numbers(arm.format(near)) + (numbers("bag_grip bag") if near == "r" else [])
        for faces_camera in (False, True):
            trunk = numbers("throat trunk")
            head = numbers("hair face" if faces_camera else "face hair")
            trunk = (
                numbers("pack") + trunk + stripes
                if faces_camera
                else trunk + stripes + numbers("pack")
            )
            orders[left_is_near, faces_camera] = back + trunk + head + front
    left_T = joints_TJ3[:, _J["shoulder_l"], 2]
    right_T = joints_TJ3[:, _J["shoulder_r"], 2]
    towards_T = np.sin(move.heading_T) < -0.25
    table = np.array(
        [[orders[near, faces] for faces in (False, True)] for near in (False, True)]
    )
    return table[(left_T < right_T).astype(int), towards_T.astype(int)]


_N_TUBES = 5
_SPOKES = 14


def _bicycle_metres(move: Movement) -> Floats:
    """Return ends (T, L, 2, 3) of the straight bars of a bicycle under the rider."""
    radius, base = 0.34, 0.52
    angles = np.linspace(0, 2 * math.pi, _SPOKES + 1)
    bars: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for middle in (-base, base):
        rim = [(middle + radius * math.cos(a), radius + radius * math.sin(a)) for a in angles]
        bars += list(pairwise(rim))
    seat, head, crank = (-0.12, 0.88), (0.42, 0.92), (0.0, 0.30)
    rear, front = (-base, radius), (base, radius)
    bars += [(rear, crank), (crank, seat), (seat, head), (crank, head), (head, front)]
    ahead_L2, up_L2 = np.array(bars)[..., 0], np.array(bars)[..., 1]
    forward_T, right_T = np.cos(move.heading_T), np.sin(move.heading_T)
    return np.stack(
        [
            move.x_T[:, None, None] + ahead_L2 * forward_T[:, None, None],
            np.broadcast_to(up_L2, (len(move.x_T), *up_L2.shape)),
            move.z_T[:, None, None] + ahead_L2 * right_T[:, None, None],
        ],
        axis=-1,
    )


def _bars(camera: Camera, ends_TL23: Floats) -> tuple[Floats, Floats]:
    pixels_TL22, scale_TL2 = camera.project(ends_TL23)
    return pixels_TL22, 0.026 * scale_TL2


def _on_the_ground(points: Floats) -> Floats:
    """Return where the sun casts each point."""
    flat = points.copy()
    flat[..., 0] += _SHADOW_SLANT[0] * points[..., 1]
    flat[..., 2] += _SHADOW_SLANT[1] * points[..., 1]
    flat[..., 1] = 0.0
    return flat


def _outlines(
    ends_TL22: Floats, radii_TL2: Floats, shown_T: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return the outline (T, L, P, 2) of each rounded, tapered bar in fixed-point pixels.

    Frames in which the figure is not shown stay 0: a clip is longer than most figures are in it.
    """
    ends_SL22, radii_SL2 = ends_TL22[shown_T], radii_TL2[shown_T]
    axis_SL2 = ends_SL22[:, :, 1] - ends_SL22[:, :, 0]
    angle_SL1 = np.arctan2(axis_SL2[..., 1], axis_SL2[..., 0])[..., None]
    half_turn = np.linspace(-math.pi / 2, math.pi / 2, _CAP_POINTS)
    caps = []
    for end, turn in ((1, 0.0), (0, math.pi)):
        around = angle_SL1 + turn + half_turn
        circle = np.stack([np.cos(around), np.sin(around)], axis=-1)
        caps.append(ends_SL22[:, :, end, None] + radii_SL2[:, :, end, None, None] * circle)
    outline = np.concatenate(caps, axis=2) * (1 << _FIXED_POINT_BITS)
    outlines_TLP2 = np.zeros((len(shown_T), *outline.shape[1:]), dtype=np.int32)
    outlines_TLP2[shown_T] = np.clip(np.rint(outline), -30000, 30000)
    return outlines_TLP2


def _join(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([first, second], axis=1)


def _shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, round(factor * value)) for value in color)
    return red, green, blue


def _fill(canvas: NDArray[np.uint8], outline_P2: NDArray[np.int32], color: Color) -> None:
    cv2.fillConvexPoly(canvas, outline_P2, color, cv2.LINE_8, _FIXED_POINT_BITS)
