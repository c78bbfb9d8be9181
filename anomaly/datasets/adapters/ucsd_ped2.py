"""UCSD Pedestrian 2: Mahadevan et al., "Anomaly detection in crowded scenes" (CVPR 2010).

All twelve test clips have pixel masks.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from anomaly.datasets import Published
from anomaly.datasets.adapters._ucsd import UcsdDataset


class UcsdPed2(UcsdDataset):
    """Pedestrians on a walkway; bicycles, skaters and carts are abnormal."""

    about = "UCSD Pedestrian 2 (Mahadevan, Li, Bhalodia, Vasconcelos, CVPR 2010)"
    layout = (
        "the folder UCSDped2 of UCSD_Anomaly_Dataset.tar.gz (Statistical Visual Computing Lab, UC San "
        "Diego): Train/Train001/001.tif, Test/Test001/001.tif, Test/Test001_gt/, "
        "Test/UCSDped2.m."
    )
    script = "UCSDped2.m"

    @property
    @override
    def published(self) -> Mapping[str, Published]:
        return {
            "train": Published(videos=16, frames=2550, abnormal_frames=0),
            "test": Published(videos=12, frames=2010, abnormal_frames=1648),
        }
