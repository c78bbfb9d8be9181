"""What does not belong: a small function for each kind of event.

A kind takes the view, the length of the clip and a generator, and returns a `Plot`. The figures that a
seed gives are frozen (tests/benchmarks/detector/test_suite.py): detectors are compared on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anomaly.video.synthetic.actors import (
    Stop,
    View,
    a_look,
    along,
    crossing,
    in_picture,
)
from anomaly.video.synthetic.figures import Figure, person, rolling_bin, standing_bag


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One abnormal event: its figures, and from when to when it is to be seen."""

    figures: list[Figure]
    start_seconds: float
    stop_seconds: float


def fast_mover(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """Somebody runs through, or rides a bicycle where people walk."""
    rides, lane = view.bicycles, view.lanes[0]
    start = generator.uniform(0.35, 0.5) * clip_seconds
    speed = float(generator.uniform(4.6, 5.6) if rides else generator.uniform(3.6, 4.4))
    stops = crossing(view, lane, generator, start=start, speed=speed)
    move = along(view, clip_seconds, stops, pace=1.8, rides=rides)
    look = replace(a_look(generator), backpack=None)
    return _plot(view, [person(view.camera, look, move)])


def wrong_way(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """Somebody walks against the direction of the lane, at a normal speed."""
    start = generator.uniform(0.25, 0.4) * clip_seconds
    stops = crossing(view, view.lanes[0], generator, start=start, speed=1.4, reverse=True)
    return _plot(
        view, [person(view.camera, a_look(generator), along(view, clip_seconds, stops))]
    )


def loiterer(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """Somebody comes, paces up and down in one place, crouches to look, and leaves."""
    lane = view.lanes[0]
    sign = 1.0 if lane.to_the_right else -1.0
    z = lane.near_metres + 0.35 * (lane.far_metres - lane.near_metres)
    edge = view.camera.edge_metres(z) + 0.7
    x = float(generator.uniform(-1.2, 0.4)) * sign
    arrive = generator.uniform(0.16, 0.24) * clip_seconds
    stops = [Stop(arrive - (edge + x * sign) / 1.4, -sign * edge, z), Stop(arrive, x, z)]
    seconds, side = arrive, -1.0
    leave = 0.72 * clip_seconds
    while seconds < leave:
        pause = float(generator.uniform(0.4, 0.9))
        bend = float(generator.choice([0.0, 0.0, 0.7]))
        stops.append(Stop(seconds + pause, stops[-1].x, stops[-1].z, bend))
        side = -side
        to_x = x + sign * side * float(generator.uniform(0.7, 1.3))
        to_z = z + float(generator.uniform(-0.5, 0.5))
        seconds += pause + math.hypot(to_x - stops[-1].x, to_z - stops[-1].z) / 1.2
        stops.append(Stop(seconds, to_x, to_z))
    last = stops[-1]
    stops.append(Stop(seconds + abs(sign * edge - last.x) / 1.4, sign * edge, z))
    figure = person(view.camera, a_look(generator), along(view, clip_seconds, stops))
    return Plot(figures=[figure], start_seconds=arrive, stop_seconds=min(seconds, clip_seconds))


def left_object(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """Somebody puts a travel bag down and walks on without it; it stays until the clip ends."""
    lane = view.lanes[0]
    sign = 1.0 if lane.to_the_right else -1.0
    z = lane.near_metres + 0.5 * (lane.far_metres - lane.near_metres)
    edge = view.camera.edge_metres(z) + 0.7
    x = float(generator.uniform(-1.5, 1.5))
    arrive = generator.uniform(0.3, 0.4) * clip_seconds
    stops = [
        Stop(arrive - (edge + x * sign) / 1.3, -sign * edge, z),
        Stop(arrive, x, z),
        Stop(arrive + 0.9, x, z, 1.0),
        Stop(arrive + 1.5, x, z, 1.0),
        Stop(arrive + 2.2, x, z),
        Stop(arrive + 2.2 + (edge - x * sign) / 1.5, sign * edge, z),
    ]
    move = along(view, clip_seconds, stops)
    put_down = arrive + 1.2
    before_T = np.arange(len(move.x_T)) / view.frames_per_second < put_down
    move = replace(move, carries_T=before_T)
    bag = standing_bag(view.camera, x + 0.35 * sign, z - 0.25, ~before_T)
    figure = person(view.camera, replace(a_look(generator), backpack=None), move)
    return Plot(figures=[figure, bag], start_seconds=arrive, stop_seconds=clip_seconds)


def removed_object(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """A travel bag stands there from the start; somebody comes, takes it and walks off with it."""
    lane = view.lanes[0]
    sign = 1.0 if lane.to_the_right else -1.0
    z = lane.near_metres + 0.5 * (lane.far_metres - lane.near_metres)
    edge = view.camera.edge_metres(z) + 0.7
    x = float(generator.uniform(-1.5, 1.5))
    arrive = generator.uniform(0.3, 0.4) * clip_seconds
    stops = [
        Stop(arrive - (edge + x * sign) / 1.3, -sign * edge, z),
        Stop(arrive, x, z),
        Stop(arrive + 0.9, x, z, 1.0),
        Stop(arrive + 1.8, x, z),
        Stop(arrive + 1.8 + (edge - x * sign) / 1.4, sign * edge, z),
    ]
    move = along(view, clip_seconds, stops)
    taken_T = np.arange(len(move.x_T)) / view.frames_per_second >= arrive + 1.0
    bag = standing_bag(view.camera, x + 0.35 * sign, z - 0.25, ~taken_T)
    look = replace(a_look(generator), backpack=None)
    figure = person(view.camera, look, replace(move, carries_T=taken_T))
    return Plot(figures=[figure, bag], start_seconds=arrive + 1.0, stop_seconds=clip_seconds)


def odd_object(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """At walking pace and the usual way, a bicycle is ridden, or a bin on wheels pushed."""
    lane = view.lanes[0]
    start = generator.uniform(0.2, 0.35) * clip_seconds
    speed = float(generator.uniform(1.25, 1.45))
    stops = crossing(view, lane, generator, start=start, speed=speed)
    rides = bool(generator.random() < 0.5)
    move = along(view, clip_seconds, stops, rides=rides)
    figures = [person(view.camera, replace(a_look(generator), backpack=None), move)]
    if not rides:
        figures.append(rolling_bin(view.camera, move, ahead_metres=0.85))
    return _plot(view, figures)


def person_falling(view: View, clip_seconds: float, generator: np.random.Generator) -> Plot:
    """Somebody walks in, falls forward within a second, and lies there until the clip ends."""
    lane = view.lanes[0]
    sign = 1.0 if lane.to_the_right else -1.0
    z = float(generator.uniform(lane.near_metres, lane.far_metres))
    edge = view.camera.edge_metres(z) + 0.7
    x = float(generator.uniform(-1.8, 0.3)) * sign
    falls, takes = generator.uniform(0.35, 0.5) * clip_seconds, generator.uniform(0.5, 0.9)
    stops = [
        Stop(falls - (edge + x * sign) / 1.35, -sign * edge, z),
        Stop(falls, x, z),
        Stop(clip_seconds + 1.0, x + 0.01 * sign, z),
    ]
    move = along(view, clip_seconds, stops)
    t_T = np.arange(len(move.x_T)) / view.frames_per_second
    down_T = np.clip((t_T - falls) / takes, 0.0, 1.0)
    figure = person(
        view.camera, a_look(generator), replace(move, tilt_T=math.radians(86) * down_T**2)
    )
    return Plot(figures=[figure], start_seconds=falls, stop_seconds=clip_seconds)


EVENT_KINDS: dict[str, Callable[[View, float, np.random.Generator], Plot]] = {
    "fast_mover": fast_mover,
    "wrong_way": wrong_way,
    "loiterer": loiterer,
    "left_object": left_object,
    "removed_object": removed_object,
    "odd_object": odd_object,
    "person_falling": person_falling,
}
"""name of the category in labels.csv -> the function that stages it"""


def _plot(view: View, figures: list[Figure]) -> Plot:
    """Return a plot that lasts while its figures are inside the picture."""
    inside_T = np.any([in_picture(view, figure) for figure in figures], axis=0)
    frames = np.flatnonzero(inside_T)
    first, last = (frames[0], frames[-1] + 1) if len(frames) else (0, 0)
    return Plot(
        figures=figures,
        start_seconds=first / view.frames_per_second,
        stop_seconds=last / view.frames_per_second,
    )
