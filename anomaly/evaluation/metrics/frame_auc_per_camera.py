"""What matters to an archive: one threshold a camera, so one ROC curve a camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.evaluation.curves import Clip, Floats, area, frames, pooled, quantised
from anomaly.evaluation.metrics import Metric, ratio

_LEVELS = 1024


class FrameAucPerCamera(Metric):
    """Mean over cameras with both classes of the area under the curve of their frames."""

    meaning = "one ROC curve over the frames of each camera, mean over the cameras"
    formula = "mean of frame_auc_micro inside each camera, over cameras with normal and abnormal frames"
    source = "per-scene figures of ShanghaiTech, Luo et al., ICCV 2017"

    @override
    def value(self, clips: Sequence[Clip]) -> float:
        areas_C = np.array(
            [
                area(pooled([clips[number] for number in members]))[0]
                for members in _cameras(clips)
            ]
        )
        known_C = areas_C[np.isfinite(areas_C)]
        return float(known_C.mean()) if len(known_C) else float("nan")

    @override
    def resampled(self, clips: Sequence[Clip], weights_RV: NDArray[Any]) -> Floats:
        sum_R, cameras_R = np.zeros((2, len(weights_RV)))
        for members in _cameras(clips):
            levels = quantised([frames(clips[number]) for number in members], _LEVELS)
            area_R = area(levels.drawn(weights_RV[:, members]))
            sum_R += np.nan_to_num(area_R)
            cameras_R += np.isfinite(area_R)
        return ratio(sum_R, cameras_R)

    @override
    def left_out(self, clips: Sequence[Clip]) -> int:
        return sum(
            len(members)
            for members in _cameras(clips)
            if len({bool(c) for n in members for c in np.unique(clips[n].abnormal_T)}) < 2
        )


def _cameras(clips: Sequence[Clip]) -> list[list[int]]:
    """Return the numbers of each camera's clips."""
    members: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        members.setdefault(clip.camera, []).append(number)
    return list(members.values())
