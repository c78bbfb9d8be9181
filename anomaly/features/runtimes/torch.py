"""PyTorch, eager: the runtime that is always there, and the one the others are checked against."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features.runtimes import Item, Precision, Program, Runtime
from anomaly.features.runtimes._gathering import Gathering

_CALLS_ON_A_GPU = 2
"""one batch is copied there and back while another is worked on"""


class TorchRuntime(Runtime):
    """Runs on the GPU where there is one, each thread with a stream and pinned memory of its own."""

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16", "float16")

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        _check_precision(program.precision, self.device)
        self._own = threading.local()
        describer, dtype = program.describer(), getattr(torch, program.precision)
        if self.device.type != "cpu" or dtype != torch.float32:
            describer = copy.deepcopy(describer).to(self.device)
        describer.network.to(dtype=dtype, memory_format=torch.channels_last)
        self.module: Any = describer
        if self.device.type == "cuda":
            # TF32 would make features of a GPU differ from those of a CPU in the third digit.
            torch.backends.cudnn.allow_tf32 = False
            self.calls_at_once = _CALLS_ON_A_GPU
            self._gathering = Gathering(
                self.run_part, program.shape_BHWC[0], self.calls_at_once, self.begin_thread
            )

    @override
    def begin_thread(self) -> None:
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        else:
            self._own.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    @override
    def run(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(pixels_BHWC)
        with torch.inference_mode():
            if self.device.type == "cpu":
                return self._vectors(pixels)
            with torch.cuda.stream(getattr(self._own, "stream", None)):
                return self._vectors(pixels.pin_memory().to(self.device, non_blocking=True))

    @override
    def describe(
        self, pixels_of: Callable[[Item], NDArray[np.uint8]], items: Iterable[Item]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        if self.device.type == "cpu":
            return super().describe(pixels_of, items)
        return self._in_order(lambda item: self._gathering.submit(pixels_of(item)), items)

    def _vectors(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.module(pixels).float().cpu().numpy()
        return vectors


def _check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse what the hardware would only imitate, slower than float32."""
    if precision == "float16" and device.type == "cpu":
        raise SpecError("float16 needs a GPU; take bfloat16, or float32.")
    if precision == "bfloat16" and device.type == "cpu" and not has_bfloat16():
        raise SpecError("This processor has no bfloat16 arithmetic; take float32.")


def has_bfloat16() -> bool:
    """Say whether this processor multiplies bfloat16 numbers by itself."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
