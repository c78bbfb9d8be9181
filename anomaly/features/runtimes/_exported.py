"""Networks exported to ONNX: once a machine, and checked against PyTorch on real frames before use.

OpenVINO reads the same file: its own converter would report its use over the network.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import tempfile
import threading
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import SpecError
from anomaly.features.runtimes import Program, Runtime
from anomaly.features.weights import cache_folder, write_whole
from anomaly.spec import fingerprint

_TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2}
"""largest difference from PyTorch in float32, over the largest feature"""
_LEAST_CONTRAST = 10.0
"""levels of standard deviation below which a batch of frames checks nothing"""


class ExportedRuntime(Runtime):
    """Runs an exported network; the first batch with something in it is compared with PyTorch."""

    package: ClassVar[str]
    """distribution that runs it"""
    extra: ClassVar[str]
    """ours that installs it"""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        with self._told_what_to_install():
            versions = {
                name: importlib.metadata.version(name)
                for name in (self.package, "torch", "timm", "onnx", "onnxscript")
            }
        self.file = _exported(program, fingerprint([program.key, program.shape_BHWC, versions]))
        marker = f"{self.file.stem}-{self.package}-{program.precision}.json"
        self._marker = self.file.with_name(marker)
        self._checking = threading.Lock()
        self._checked = self._marker.exists()

    @abstractmethod
    def infer(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run it, unchecked."""

    @override
    def run(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = self.infer(pixels_BHWC)
        if not self._checked and pixels_BHWC.std() > _LEAST_CONTRAST:
            with self._checking:
                self._check(pixels_BHWC, vectors)
        return vectors

    def _check(self, pixels_BHWC: NDArray[np.uint8], vectors: NDArray[np.float32]) -> None:
        import torch

        if self._checked:
            return
        with torch.inference_mode():
            expected = self.program.describer()(torch.from_numpy(pixels_BHWC)).numpy()
        difference = float(np.abs(vectors - expected).max() / np.abs(expected).max())
        allowed = _TOLERANCES[self.program.precision]
        if not difference <= allowed:
            raise SpecError(
                f"{self.package} gives features of {self.program.name!r} that differ from PyTorch's by "
                f"{difference:.2g} of the largest, on frames of this video; expected at most "
                f"{allowed:g}. Take runtime=torch."
            )
        write_whole(self._marker, json.dumps({"difference": difference}).encode())
        self._checked = True

    @contextlib.contextmanager
    def _told_what_to_install(self) -> Iterator[None]:
        try:
            yield
        except importlib.metadata.PackageNotFoundError as error:
            raise SpecError(
                f"{error.name} is not installed. Run: pip install 'archive-anomaly[{self.extra}]'"
            ) from error


def _exported(program: Program, key: str) -> Path:
    """Return the file of the exported network, made now if this machine has none."""
    folder = cache_folder("networks")
    path = folder / f"{key}.onnx"
    with FileLock(folder / f"{key}.lock"):
        if not path.exists():
            _export(program, path)
    return path


def _export(program: Program, path: Path) -> None:
    import torch

    pixels = torch.zeros(program.shape_BHWC, dtype=torch.uint8)
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),  # the exporter tells its steps
    ):
        warnings.simplefilter("ignore")  # PyTorch's exporter warns of PyTorch
        made = Path(folder) / "network.onnx"
        try:
            torch.onnx.export(
                program.describer(),
                (pixels,),
                made,
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=["pixels"],
                output_names=["features"],
            )
        except torch.onnx.errors.OnnxExporterError as error:
            said = " ".join(str(error).split())[:300]
            raise SpecError(
                f"{program.name!r} cannot be exported: {said}... Take runtime=torch."
            ) from error
        made.replace(path)
