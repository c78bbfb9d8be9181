"""PyTorch through `torch.compile`: for GPUs, and for networks of many small steps; needs a C++ compiler."""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features.runtimes import Program
from anomaly.features.runtimes.torch import TorchRuntime


class CompiledRuntime(TorchRuntime):
    """Compiles once a process, when the first batch comes."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.module = torch.compile(self.module, dynamic=False)
        self._compiling = threading.Lock()
        self._compiled = False

    @override
    def run(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._compiled:
            return super().run(pixels_BHWC)
        with self._compiling:
            try:
                vectors = super().run(pixels_BHWC)
            except torch._dynamo.exc.TorchDynamoException as error:  # noqa: SLF001
                said = " ".join(str(error).split())[:300]
                raise SpecError(
                    f"{self.program.name!r} could not be compiled: {said}... Take runtime=torch."
                ) from error
            self._compiled = True
            return vectors
