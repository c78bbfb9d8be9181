"""OpenVINO on the CPU (extra `openvino`); bfloat16 where the processor has it."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features.runtimes import Precision, Program
from anomaly.features.runtimes._exported import ExportedRuntime

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenvinoRuntime(ExportedRuntime):
    """Equals PyTorch to about 1e-6, in bfloat16 to about 1e-2."""

    package: ClassVar[str] = "openvino"
    extra: ClassVar[str] = "openvino"
    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        import openvino

        core = openvino.Core()
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if program.precision == "bfloat16" and "BF16" not in capabilities:
            raise SpecError("This processor has no bfloat16 arithmetic; take float32.")
        calls = self.calls_at_once
        self._compiled: Any = core.compile_model(
            core.read_model(self.file),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[program.precision],
                "INFERENCE_NUM_THREADS": calls,
                "NUM_STREAMS": calls,  # one core each
            },
        )
        self._own = threading.local()

    @override
    def infer(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        vectors = self._own.request.infer([pixels_BHWC])[0]
        return np.array(vectors)  # the request reuses its own memory
