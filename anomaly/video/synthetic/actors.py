"""Who walks through the picture, and how: people, their ways, and the normal traffic of a view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomaly.video.synthetic.camera import SUPERSAMPLING, Camera, Floats
from anomaly.video.synthetic.figures import Color, Figure, Look, Movement, person

Backdrop = Callable[[Camera, np.random.Generator], NDArray[np.uint8]]

_SHIRTS: tuple[Color, ...] = (
    (196, 62, 54), (38, 84, 144), (226, 220, 206), (58, 62, 70), (52, 118, 92),
    (214, 164, 70), (122, 86, 142), (92, 140, 176), (168, 112, 84), (30, 40, 58),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = (
    (42, 52, 82), (58, 58, 62), (94, 84, 70), (32, 34, 40), (120, 112, 98), (66, 84, 112),
)  # fmt: skip
_SKIN: tuple[Color, ...] = ((236, 196, 168), (206, 158, 122), (154, 106, 76), (104, 70, 52))
_HAIR: tuple[Color, ...] = (
    (44, 34, 28),
    (92, 64, 40),
    (26, 24, 26),
    (168, 132, 84),
    (128, 126, 122),
)
_SHOES: tuple[Color, ...] = ((36, 34, 34), (88, 62, 46), (206, 204, 198))


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A strip across the picture in which people normally walk one way."""

    near_metres: float
    far_metres: float
    to_the_right: bool
    seconds_between_people: float = 6.0


@dataclass(frozen=True, kw_only=True)
class View:
    """One camera with what it looks at and how people move there."""

    name: str
    camera: Camera
    backdrop: Backdrop
    lanes: tuple[Lane, ...]
    frames_per_second: float
    noise_levels: float
    """standard deviation of the sensor's noise in grey levels"""
    light_drift: float
    """largest share by which the light grows and falls within a clip"""
    shadow: float
    """share of light that a cast shadow takes away"""
    bicycles: bool = False
    """fast movers ride a bicycle here; else they run"""
    pauses: float = 0.0
    """share of the people who stop on their way and stand for some seconds"""


@dataclass(frozen=True)
class Stop:
    """A place on somebody's way."""

    seconds: float
    x: float
    z: float
    bend: float = 0.0


def a_look(generator: np.random.Generator) -> Look:
    """Return a random person."""

    def pick(colors: tuple[Color, ...]) -> Color:
        return colors[generator.integers(len(colors))]

    return Look(
        height_metres=float(np.clip(generator.normal(1.73, 0.09), 1.5, 1.95)),
        build=float(np.clip(generator.normal(1.06, 0.08), 0.9, 1.3)),
        shirt=pick(_SHIRTS),
        stripes=pick(_SHIRTS) if generator.random() < 0.3 else None,
        trousers=pick(_TROUSERS),
        shoes=pick(_SHOES),
        skin=pick(_SKIN),
        hair=pick(_HAIR),
        backpack=pick(_SHIRTS) if generator.random() < 0.3 else None,
    )


def along(
    view: View,
    clip_seconds: float,
    stops: list[Stop],
    *,
    pace: float = 1.0,
    rides: bool = False,
) -> Movement:
    """Return the movement of somebody who passes the stops in straight lines, turning softly.

    `pace` is how widely the limbs swing: 1 for a walk, 1.8 for a run.
    """
    t_T = np.arange(round(clip_seconds * view.frames_per_second)) / view.frames_per_second
    times = [stop.seconds for stop in stops]

    def at(values: list[float], seconds_T: Floats) -> Floats:
        return np.interp(seconds_T, times, values)

    def softly(values: list[float]) -> Floats:
        """Average over a third of a second, so that nobody turns on a pin."""
        return np.mean([at(values, t_T + lag) for lag in np.linspace(-0.17, 0.17, 7)], axis=0)

    x_T, z_T = softly([s.x for s in stops]), softly([s.z for s in stops])
    dx_T, dz_T = np.gradient(x_T), np.gradient(z_T)
    step_T = np.hypot(dx_T, dz_T)
    speed_T = step_T * view.frames_per_second
    stride_metres = 3.2 if rides else 1.45 * pace**0.9
    return Movement(
        x_T=x_T,
        z_T=z_T,
        heading_T=_headings(dx_T, dz_T, speed_T),
        phase_T=2 * math.pi * np.cumsum(step_T) / stride_metres + stops[0].z * 7,
        swing_T=pace * np.clip(speed_T / 0.9, 0, 1),
        bend_T=softly([s.bend for s in stops]),
        shown_T=(t_T >= times[0]) & (t_T <= times[-1]),
        carries_T=np.zeros(len(t_T), dtype=bool),
        tilt_T=np.zeros(len(t_T)),
        rides=rides,
    )


def _headings(dx_T: Floats, dz_T: Floats, speed_T: Floats) -> Floats:
    """Return where one faces; who stands still keeps facing where they last went."""
    raw_T = np.arctan2(dz_T, dx_T)
    moving_T = speed_T > 0.15
    if not moving_T.any():
        return np.full_like(raw_T, -math.pi / 2)
    last_T = np.maximum.accumulate(np.where(moving_T, np.arange(len(raw_T)), -1))
    return raw_T[np.where(last_T < 0, np.argmax(moving_T), last_T)]


def crossing(
    view: View,
    lane: Lane,
    generator: np.random.Generator,
    *,
    start: float,
    speed: float,
    reverse: bool = False,
) -> list[Stop]:
    """Return the way of somebody who crosses the picture in a lane; `speed` is in m/s."""
    z0, z1 = generator.uniform(lane.near_metres, lane.far_metres, size=2)
    z1 = 0.7 * z0 + 0.3 * z1
    sign = 1.0 if lane.to_the_right != reverse else -1.0
    edge = view.camera.edge_metres(max(z0, z1)) + 0.7
    return [Stop(start, -sign * edge, z0), Stop(start + 2 * edge / speed, sign * edge, z1)]


def pausing(stops: list[Stop], generator: np.random.Generator) -> list[Stop]:
    """Return the way from the first stop to the last with a rest of two to six seconds on it."""
    first, last = stops
    share, rest = generator.uniform(0.25, 0.75), generator.uniform(2.0, 6.0)
    here = Stop(
        *(a + share * (b - a) for a, b in zip(_at(first), _at(last), strict=True)),
    )
    later = replace(here, seconds=here.seconds + rest)
    return [first, here, later, replace(last, seconds=last.seconds + rest)]


def _at(stop: Stop) -> tuple[float, float, float]:
    return stop.seconds, stop.x, stop.z


def walkers(view: View, clip_seconds: float, generator: np.random.Generator) -> list[Figure]:
    """Return the normal traffic of a clip: people at their own speeds, some in pairs."""
    figures = []
    for lane in view.lanes:
        start = -12.0 + generator.exponential(3.0)
        while start < clip_seconds:
            speed = float(np.clip(generator.normal(1.35, 0.16), 0.95, 1.75))
            stops = crossing(view, lane, generator, start=start, speed=speed)
            if view.pauses and generator.random() < view.pauses:
                stops = pausing(stops, generator)
            figures.append(
                person(view.camera, a_look(generator), along(view, clip_seconds, stops))
            )
            if generator.random() < 0.2:
                beside = [replace(s, z=s.z + 0.55, seconds=s.seconds + 0.15) for s in stops]
                figures.append(
                    person(view.camera, a_look(generator), along(view, clip_seconds, beside))
                )
            start += 1.5 + generator.exponential(lane.seconds_between_people)
    return [figure for figure in figures if figure.shown_T.any()]


def in_picture(view: View, figure: Figure) -> NDArray[np.bool_]:
    """Say for each frame whether the middle of the figure is inside the picture, shape (T,)."""
    middle_T = figure.box_T4[:, [0, 2]].mean(axis=1)
    inside_T = (middle_T > 0) & (middle_T < view.camera.width * SUPERSAMPLING)
    return figure.shown_T & inside_T
