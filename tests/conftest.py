"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ["DO_NOT_TRACK"] = "1"  # before anything imports Prefect
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos; skips where this checkout has none beside it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real videos: {SHARED_DATA} is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Encode a small H.264 video: a square that moves over a fixed textured background."""

    def make(
        path: Path,
        *,
        frames: int = 30,
        height: int = 96,
        width: int = 128,
        rate: int = 10,
        seed: int = 0,
    ) -> Path:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        background = generator.integers(60, 180, (height // 8, width // 8), dtype=np.uint8)
        background = np.kron(background, np.ones((8, 8), np.uint8))
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.options = {"crf": "23", "preset": "veryfast", "threads": "1"}
            for number in range(frames):
                picture = np.repeat(background[:, :, None], 3, axis=2)
                left = (number * 3 + 11 * seed) % (width - 24)
                picture[height // 3 : height // 3 + 24, left : left + 16] = 230
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Url of an S3 server on loopback (moto), in a process of its own."""
    port = _free_port()
    log = tmp_path_factory.mktemp("s3") / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/moto-api/"):
                break
        except OSError:
            time.sleep(0.1)
    else:
        server.kill()
        raise RuntimeError(f"the loopback S3 server did not start: {log.read_text()}")
    yield url
    server.kill()
    server.wait()


@pytest.fixture
def s3_environment(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the default credential chain at the loopback server and return a fresh bucket's name."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{time.time_ns()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Let flows of this process run against a Prefect server of the test session's own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=150):
        yield
