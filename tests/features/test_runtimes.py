"""What runs networks: equal numbers from each, checked before use, equal bits on any number of cores."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import anomaly.fanout
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, concatenate
from anomaly.features.backbones import backbones
from anomaly.features.runtimes import runtimes
from anomaly.features.runtimes._gathering import Gathering
from anomaly.features.runtimes.onnx import OnnxRuntime
from anomaly.video import FrameBatch

EXPORTED = pytest.mark.parametrize("runtime", ["onnx", "openvino"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of this module's own, so that exported networks are shared by its tests alone."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))


def build(**parameters: Any) -> Any:
    tiny = {"model": "test_efficientnet", "weights": "random:0", "batch_size": 4}
    return backbones().get("timm_frames").build({**tiny, **parameters})


def frames(n: int = 10, seed: int = 0) -> FrameBatch:
    """Textured pictures of the size that the tiny network asks for."""
    blocks = np.random.default_rng(seed).integers(0, 256, (n, 23, 30, 3))
    pixels = np.kron(blocks, np.ones((1, 8, 8, 1))).astype(np.uint8)
    return FrameBatch(pixels, np.arange(n), np.arange(n) / 25.0)


def run(backbone: Any, batch: FrameBatch | None = None) -> FeatureBlock:
    return concatenate(list(backbone.extract([batch or frames()])))


def relative(one: FeatureBlock, other: FeatureBlock) -> float:
    difference = np.abs(one.values_ND - other.values_ND).max()
    return float(difference / np.abs(other.values_ND).max())


def networks(home: Path, suffix: str) -> set[Path]:
    return set((home / ".cache" / "archive-anomaly" / "networks").glob(f"*{suffix}"))


@EXPORTED
@pytest.mark.parametrize("more", [{}, {"grid": 2}, {"layer": "logits"}, {"crops": "ten"}])
def test_exported_networks_give_what_pytorch_gives(runtime: str, more: dict[str, Any]) -> None:
    found = run(build(runtime=runtime, **more))
    expected = run(build(**more))
    assert relative(found, expected) < 1e-4
    assert found.grid == expected.grid


@EXPORTED
def test_a_network_is_exported_and_checked_once_a_machine(runtime: str, home: Path) -> None:
    before = networks(home, ".onnx"), networks(home, ".json")
    run(build(runtime=runtime, weights="random:21"))
    made, checked = networks(home, ".onnx") - before[0], networks(home, ".json") - before[1]
    assert (len(made), len(checked)) == (1, 1)
    written = {path: path.stat().st_mtime_ns for path in made | checked}
    run(build(runtime=runtime, weights="random:21"))
    assert {path: path.stat().st_mtime_ns for path in written} == written


@EXPORTED
def test_a_network_that_disagrees_with_pytorch_is_refused(runtime: str, home: Path) -> None:
    before = networks(home, ".onnx")
    build(runtime=runtime, weights="random:31").dimension  # noqa: B018 - exports it
    (right,) = networks(home, ".onnx") - before
    before = networks(home, ".onnx")
    build(runtime=runtime, weights="random:32").dimension  # noqa: B018
    (other,) = networks(home, ".onnx") - before
    shutil.copy(other, right)
    with pytest.raises(
        SpecError, match=r"differ from PyTorch's by .* expected at most 0\.0001"
    ):
        run(build(runtime=runtime, weights="random:31"))


def test_frames_without_contrast_check_nothing(home: Path) -> None:
    before = networks(home, ".json")
    black = FrameBatch(np.zeros((4, 184, 240, 3), np.uint8), np.arange(4), np.arange(4) / 25.0)
    run(build(runtime="onnx", weights="random:41"), black)
    assert networks(home, ".json") == before


@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino"])
def test_any_number_of_cores_gives_the_same_bits(
    runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(anomaly.fanout, "_share_of_cores", cores)
        found.append(run(build(runtime=runtime), frames(30)).values_ND)
    np.testing.assert_array_equal(*found)


def test_batches_of_another_size_change_features_by_less_than_a_thousandth() -> None:
    few, many = (run(build(batch_size=size), frames(12)) for size in (1, 12))
    assert relative(few, many) < 1e-3


def test_work_is_done_in_order_a_little_ahead_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anomaly.fanout, "_share_of_cores", 2)
    runtime = build()._runtime
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    def pictures(number: int) -> np.ndarray:
        time.sleep(0.002 * (number % 3))
        return np.full((1, 2, 2, 3), number, np.uint8)

    monkeypatch.setattr(runtime, "run", lambda pixels: pixels[:, 0, 0, :1].astype(np.float32))
    for done, (number, vectors) in enumerate(runtime.describe(pictures, items())):
        assert (number, vectors.tolist()) == (done, [[done]])
        assert len(taken) <= done + 1 + runtime.calls_at_once
    assert len(taken) == 20


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def refuse(number: int) -> np.ndarray:
        raise SpecError(f"no {number}")

    with pytest.raises(SpecError, match="no 0"):
        list(build()._runtime.describe(refuse, range(5)))


def test_short_batches_of_several_videos_run_together_and_full_ones_alone() -> None:
    sizes: list[int] = []
    go_on = threading.Event()

    def network(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        go_on.wait(10)
        return pixels[:, 0, 0].astype(np.float32)

    gathering = Gathering(network, rows=8, threads=1, begin_thread=lambda: None)
    first = gathering.submit(np.full((8, 1, 1, 2), 9, np.uint8))
    while not sizes:
        time.sleep(0.001)
    given = [np.full((n, 1, 1, 2), n, np.uint8) for n in (3, 4, 8, 1, 2)]
    futures = [gathering.submit(pixels) for pixels in given]
    go_on.set()
    for pixels, future in zip(given, futures, strict=True):
        np.testing.assert_array_equal(future.result(10), pixels[:, 0, 0])
    assert len(first.result(10)) == 8
    assert sizes == [8, 3 + 4 + 1, 8, 2]


def test_an_error_in_a_batch_reaches_everybody_in_it() -> None:
    def network(pixels: np.ndarray) -> np.ndarray:
        raise SpecError("out of memory")

    gathering = Gathering(network, rows=8, threads=1, begin_thread=lambda: None)
    futures = [gathering.submit(np.zeros((2, 1, 1, 3), np.uint8)) for _ in range(3)]
    for future in futures:
        with pytest.raises(SpecError, match="out of memory"):
            future.result(10)


def test_videos_that_share_a_network_get_their_own_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = build()
    videos = [frames(n, seed=n) for n in (1, 2, 5, 3)]
    alone = [run(backbone, video) for video in videos]
    runtime = backbone._runtime
    gathering = Gathering(runtime.run_part, 4, 2, runtime.begin_thread)
    monkeypatch.setattr(
        runtime,
        "describe",
        lambda pixels_of, items: runtime._in_order(
            lambda item: gathering.submit(pixels_of(item)), items
        ),
    )
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda video: run(backbone, video), videos))
    for one, other in zip(together, alone, strict=True):
        assert relative(one, other) < 1e-4
        np.testing.assert_array_equal(one.index_T, other.index_T)


def test_bfloat16_is_near_and_told_from_float32() -> None:
    from anomaly.features.runtimes.torch import has_bfloat16

    if not has_bfloat16():
        with pytest.raises(SpecError, match="no bfloat16"):
            run(build(precision="bfloat16"))
        return
    exact = run(build())
    for runtime in ("torch", "openvino"):
        assert 0 < relative(run(build(runtime=runtime, precision="bfloat16")), exact) < 0.05


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"runtime": "onx"}, "Did you mean 'onnx'"),
        ({"runtime": "onnx", "precision": "bfloat16"}, "has no precision 'bfloat16'"),
        ({"runtime": "openvino", "precision": "float16"}, "has no precision 'float16'"),
        ({"crops": "ten", "grid": 2}, "ten crops have no grid"),
    ],
)
def test_a_runtime_that_cannot_is_refused_in_words(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        build(**parameters).dimension  # noqa: B018


def test_half_precision_on_a_processor_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SpecError, match="float16 needs a GPU"):
        build(precision="float16").dimension  # noqa: B018


def test_a_runtime_that_is_not_installed_says_how_to_install_it() -> None:
    class Missing(OnnxRuntime):
        package: ClassVar[str] = "no-such-distribution"

    with pytest.raises(SpecError, match=r"pip install 'archive-anomaly\[onnx\]'"):
        Missing(build()._program)


def test_runtimes_are_files_of_a_folder() -> None:
    assert runtimes().names() == ["compiled", "onnx", "openvino", "torch"]


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_gives_what_the_eager_one_gives() -> None:
    assert (
        relative(run(build(runtime="compiled", batch_size=2)), run(build(batch_size=2))) < 1e-4
    )


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_gives_what_the_processor_gives(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_gpu = run(build(precision=precision), frames(50))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = run(build(), frames(50))
    assert relative(on_gpu, on_cpu) < (1e-3 if precision == "float32" else 0.05)
