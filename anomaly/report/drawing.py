"""Inline SVG, drawn here: curves with bands where their resamples run, networks layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from anomaly.evaluation.compare import Band

_SIZE = 400
_PAD = 46
_WIDTH, _MIDDLE, _LINE = 640, 330, 22
_WIDEST = 240
"""of a bar in a diagram"""
_LAYERS = 120
"""most that are drawn of one network"""


@dataclass(frozen=True, kw_only=True)
class DrawnLayer:
    """One layer of a network (`training.layers.Layer`)."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """of what it gives for one item"""
    parameters: int

    @property
    def size(self) -> int:
        """How many numbers it gives for one item."""
        return math.prod(self.shape)


def chart(bands: Mapping[str, Band], *, x: str, y: str, diagonal: bool = False) -> Markup:
    """Return a square chart of curves over 0..1; curve number n bears the class `series-n`.

    Args:
        bands: the curves by name.
        x: what the horizontal axis shows.
        y: what the vertical axis shows.
        diagonal: whether to draw the line of guessing.
    """
    name = escape(f"{y} over {x}: {', '.join(bands)}")
    side = _SIZE + 2 * _PAD
    parts = [
        f'<svg class="chart" viewBox="0 0 {side} {side}" role="img" aria-label="{name}">',
        *_axes(str(escape(x)), str(escape(y))),
    ]
    if diagonal:
        parts.append(f'<path class="guess" d="{_path(np.array([0, 1]), np.array([0, 1]))}"/>')
    for number, band in enumerate(bands.values()):
        known = np.isfinite(band.y_G)
        x_G, y_G, low_G, high_G = (array[known] for array in band)
        if not len(x_G):
            continue
        outline = _path(np.append(x_G, x_G[::-1]), np.append(high_G, low_G[::-1]))
        parts.append(f'<path class="band series-{number}" d="{outline}Z"/>')
        parts.append(f'<path class="curve series-{number}" d="{_path(x_G, y_G)}"/>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - numbers, and escaped above


def diagram(layers: Sequence[DrawnLayer]) -> Markup:
    """Return a network as a column of bars, as wide as the logarithm of what a layer gives.

    Layers without numbers of their own that change no shape (activations) are left out.
    """
    shown = [
        layer
        for number, layer in enumerate(layers)
        if layer.parameters or number == 0 or layer.shape != layers[number - 1].shape
    ]
    widest = math.log1p(max((layer.size for layer in shown), default=1))
    left_out = max(0, len(shown) - _LAYERS)
    height = _LINE * (min(len(shown), _LAYERS) + bool(left_out))
    name = f"network of {len(layers)} layers"
    parts = [
        f'<svg class="network" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{name}">'
    ]
    for number, layer in enumerate(shown[:_LAYERS]):
        top = number * _LINE
        wide = max(3.0, _WIDEST * math.log1p(layer.size) / widest)
        learns = "learns" if layer.parameters else "plain"
        place = f'x="{_MIDDLE - wide / 2:.1f}" y="{top + 3}" width="{wide:.1f}"'
        shape = " \u00d7 ".join(map(str, layer.shape))
        count = f"{layer.parameters:,}" if layer.parameters else ""
        parts += [
            f"<g><title>{escape(layer.name)}</title>",
            f'<rect class="{learns}" {place} height="{_LINE - 6}" rx="3"/>',
            f'<text x="0" y="{top + 15}">{escape(layer.kind)}</text>',
            f'<text class="shape" x="{_MIDDLE}" y="{top + 15}" text-anchor="middle">{shape}</text>',
            f'<text x="{_WIDTH}" y="{top + 15}" text-anchor="end">{count}</text></g>',
        ]
    if left_out:
        parts.append(f'<text x="0" y="{height - 7}">and {left_out} more</text>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - numbers, and escaped above


def _path(x_N: np.ndarray, y_N: np.ndarray) -> str:
    places = zip(_PAD + x_N * _SIZE, _PAD + (1 - y_N) * _SIZE, strict=True)
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _axes(x: str, y: str) -> list[str]:
    parts = []
    for tick in np.linspace(0, 1, 6):
        across, up = _PAD + tick * _SIZE, _PAD + (1 - tick) * _SIZE
        end = _PAD + _SIZE
        parts += [
            f'<path class="grid" d="M{_PAD} {up:.0f}H{end}M{across:.0f} {_PAD}V{end}"/>',
            f'<text x="{across:.0f}" y="{end + 17}" text-anchor="middle">{tick:.1f}</text>',
            f'<text x="{_PAD - 7}" y="{up + 4:.0f}" text-anchor="end">{tick:.1f}</text>',
        ]
    middle, bottom = _PAD + _SIZE // 2, _SIZE + 2 * _PAD - 8
    return [
        *parts,
        f'<text x="{middle}" y="{bottom}" text-anchor="middle">{x}</text>',
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{y}</text>',
    ]
