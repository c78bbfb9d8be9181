"""ONNX Runtime on the CPU (extra `onnx`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.features.runtimes import Program
from anomaly.features.runtimes._exported import ExportedRuntime


class OnnxRuntime(ExportedRuntime):
    """Equals PyTorch to about 1e-6."""

    package: ClassVar[str] = "onnxruntime"
    extra: ClassVar[str] = "onnx"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.file, options, providers=["CPUExecutionProvider"]
        )

    @override
    def infer(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._session.run(None, {"pixels": pixels_BHWC})[0]
        return vectors
