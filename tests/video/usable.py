"""Decoders that need something: skipped where it is missing."""

from __future__ import annotations

import pytest

from anomaly.errors import SpecError
from anomaly.video.decoders import nvdec


def skip_unless_usable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the test where the decoder cannot run; without a GPU, let nvdec decode on the processor."""
    if name == "decord":
        pytest.importorskip("decord")
    if name == "nvdec":
        import torch

        if not torch.cuda.is_available():
            monkeypatch.setattr(nvdec.NvdecDecoder, "device", "cpu")
        try:
            nvdec._torchcodec(nvdec.NvdecDecoder.device)
        except SpecError as error:
            pytest.skip(str(error))
