"""Backbones, one file each: from frames to features."""

from __future__ import annotations

from anomaly.features import Backbone
from anomaly.registry import Registry


def backbones() -> Registry[Backbone]:
    """The registry of backbones."""
    return Registry("anomaly.features.backbones", Backbone, "backbone")
