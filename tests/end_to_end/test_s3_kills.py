"""Kill -9 while features go to an object store that fails now and then."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from typing_extensions import override

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.verbs.extract import extract
from anomaly.video import ArchiveSpec
from tests.end_to_end.story import Command, anomaly, differences, stored

pytestmark = [pytest.mark.s3, pytest.mark.slow]

ERROR_SHARE = 0.05
N_VIDEOS = 2


class Unreliable(http.server.BaseHTTPRequestHandler):
    """Hands requests on to the store behind it, and answers some with 503 instead."""

    protocol_version = "HTTP/1.1"
    store = ""
    generator = np.random.default_rng(0)
    served = failed = 0

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        cls = type(self)
        cls.served += 1
        if cls.generator.random() < ERROR_SHARE:
            cls.failed += 1
            self._answer(503, {}, b"<Error><Code>ServiceUnavailable</Code></Error>")
            return
        connection = http.client.HTTPConnection(cls.store, timeout=30)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            self._answer(response.status, dict(response.getheaders()), response.read())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        length = (
            headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        )
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    @override
    def handle_error(self, *_: Any) -> None:
        """Keep quiet about clients that were killed."""


@pytest.fixture
def unreliable(s3_server: str) -> Iterator[str]:
    """Url of the loopback S3 server behind something that fails one time in twenty."""
    Unreliable.store = urlsplit(s3_server).netloc
    Unreliable.generator = np.random.default_rng(0)
    Unreliable.served = Unreliable.failed = 0
    with _Server(("127.0.0.1", 0), Unreliable) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def archive(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "site"
    for seed in range(N_VIDEOS):
        make_video(folder / "gate" / f"{seed}.mp4", frames=12, seed=seed)
    return folder


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    extract(str(root), ArchiveSpec(root=str(archive)), [recipe("motion")], fan_out=one_by_one)
    return stored(root, "features")


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.soak) for n in range(100, 110))]
)
def test_a_killed_extraction_to_an_unreliable_store_goes_on_to_the_same_end(
    seed: int,
    archive: Path,
    undisturbed: dict[str, bytes],
    unreliable: str,
    s3_environment: str,
    tmp_path: Path,
) -> None:
    import boto3

    client = boto3.client("s3")
    for path in sorted(archive.rglob("*.mp4")):
        client.upload_file(
            str(path), s3_environment, path.relative_to(archive.parent).as_posix()
        )

    def keys(prefix: str) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=s3_environment, Prefix=prefix
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    bucket = f"s3://{s3_environment}"
    arguments = (
        "extract",
        f"{bucket}/site",
        "--root",
        f"{bucket}/root",
        "--backbone",
        "motion",
    )
    environment = {"AWS_ENDPOINT_URL": unreliable}
    generator = np.random.default_rng(seed)
    command = Command(arguments, {**environment, "ANOMALY_WORKERS": "2"})
    wanted = int(generator.integers(0, len(undisturbed)))
    while command.process.poll() is None and len(keys("root/features/")) < wanted:
        time.sleep(0.05)
    time.sleep(float(generator.uniform(0, 0.1)))
    command.process.kill()
    command.process.wait()
    command.close()
    while command.family():
        time.sleep(0.05)
    answers = [anomaly(*arguments, **environment)]
    while answers[-1].status in {1, 3} and len(answers) < 4:  # told to try again
        answers.append(anomaly(*arguments, **environment))
    assert answers[-1].status == 0, [answer.err for answer in answers]
    assert not any("Traceback" in answer.err for answer in answers)
    assert Unreliable.failed > 0
    copy = tmp_path / "copy"
    for key in keys("root/features/"):
        target = copy / key.removeprefix("root/")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(s3_environment, key, str(target))
    assert differences(stored(copy, "features"), undisturbed) == []
