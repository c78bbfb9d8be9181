"""Networks as they are drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from anomaly.report.drawing import DrawnLayer, diagram


def layer(kind: str, shape: tuple[int, ...], parameters: int = 0) -> DrawnLayer:
    return DrawnLayer(name=f"part.{kind}", kind=kind, shape=shape, parameters=parameters)


def test_a_network_is_drawn_layer_by_layer_with_shapes_and_numbers() -> None:
    drawn = diagram(
        [
            layer("Conv3d", (8, 4, 32, 32), 1_234),
            layer("ReLU", (8, 4, 32, 32)),
            layer("MaxPool3d", (8, 2, 16, 16)),
            layer("<Odd>", (7,), 99),
        ]
    )
    texts = [one.text for one in ET.fromstring(drawn).iter("text")]
    assert texts == [
        "Conv3d", "8 \u00d7 4 \u00d7 32 \u00d7 32", "1,234",
        "MaxPool3d", "8 \u00d7 2 \u00d7 16 \u00d7 16", None,
        "<Odd>", "7", "99",
    ]  # fmt: skip
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([0-9.]+)"', drawn)]
    assert widths == sorted(widths, reverse=True)


def test_a_very_deep_network_is_cut_and_says_so() -> None:
    drawn = diagram([layer("Linear", (number + 1,), 1) for number in range(300)])
    assert drawn.count("<rect") == 120
    assert "and 180 more" in drawn
    ET.fromstring(drawn)


def test_a_network_without_layers_is_an_empty_picture() -> None:
    ET.fromstring(diagram([]))
