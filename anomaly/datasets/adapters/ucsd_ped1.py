"""UCSD Pedestrian 1: Mahadevan et al., "Anomaly detection in crowded scenes" (CVPR 2010).

Abnormal frames are counted from the authors' own intervals.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from anomaly.datasets import Published
from anomaly.datasets.adapters._ucsd import UcsdDataset


class UcsdPed1(UcsdDataset):
    """Pedestrians on a walkway; bicycles, skaters and carts are abnormal."""

    about = "UCSD Pedestrian 1 (Mahadevan, Li, Bhalodia, Vasconcelos, CVPR 2010)"
    layout = (
        "the folder UCSDped1 of UCSD_Anomaly_Dataset.tar.gz (Statistical Visual Computing Lab, UC San "
        "Diego): Train/Train001/001.tif, Test/Test001/001.tif, Test/Test001_gt/, "
        "Test/UCSDped1.m."
    )
    script = "UCSDped1.m"

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {
            "train": Published(videos=34, frames=6800, abnormal_frames=0),
            "test": Published(videos=36, frames=7200, abnormal_frames=4045),
        }
