"""Dimensions of one group share one scale."""

from __future__ import annotations

import numpy as np

from anomaly.training.groups import group_scale, usual_groups


def test_a_group_has_one_scale_and_a_constant_group_none():
    values = np.array([[0, 0, 0, 5], [2, 6, 8, 5]], dtype=np.float32)
    assert group_scale(values, ((0,), (1, 2), (3,))).tolist() == [1, 5, 5, 1]


def test_a_backbone_without_groups_of_its_own_has_one():
    assert usual_groups("timm_frames", 3) == ((0, 1, 2),)
