"""The root, local and s3: whole objects, compare-and-swap, leases, and errors in our own words."""

from __future__ import annotations

import errno
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anomaly.errors import SpecError, StoreError, TransientError
from anomaly.storage import Root, open_root, quote, unquote
from anomaly.storage.local import disk_error
from anomaly.storage.objects import ObjectRoot

INCREMENT = """
import sys
from anomaly.storage import open_root
root = open_root(sys.argv[1])
for _ in range(int(sys.argv[2])):
    root.update("catalog/counter", lambda found: str(int(found or b"0") + 1).encode())
"""

HOLD = """
import sys, time
from anomaly.storage import open_root
with open_root(sys.argv[1]).lease("features/a/b", seconds=float(sys.argv[2])) as held:
    print("held" if held else "refused", flush=True)
    time.sleep(float(sys.argv[3]))
"""

READ_ZARR = """
import sys, zarr
from anomaly.storage import open_root
array = zarr.open_array(open_root(sys.argv[1]).zarr_store("features/z"), mode="r")
print(int(array[:].sum()))
"""


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    if request.param == "local":
        return open_root(str(tmp_path / "root"))
    return open_root(f"s3://{request.getfixturevalue('s3_environment')}/some/prefix")


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_part_of_an_object_is_read(root: Root) -> None:
    root.publish("a/b", b"0123456789")
    assert root.read_part("a/b", 2, 5) == b"234"
    assert root.read_part("a/b", 8, 20) == b"89"
    assert root.read_part("a/nothing", 0, 5) is None


def test_nothing_is_there_before_it_is_published(root: Root) -> None:
    assert root.read("catalog/a") is None
    assert not root.exists("catalog/a")
    assert root.keys("catalog") == []
    assert root.folders("catalog") == []
    assert root.size("catalog") == 0
    assert root.read_versioned("catalog/a") == (None, "")
    root.delete("catalog/a")


def test_what_is_published_comes_back_and_can_be_replaced(root: Root) -> None:
    root.publish("catalog/a", b"one")
    assert root.read("catalog/a") == b"one"
    root.publish("catalog/a", b"")
    assert root.read("catalog/a") == b""
    assert root.exists("catalog/a")


def test_json_comes_back_as_it_went(root: Root) -> None:
    root.publish_json("a/b.json", {"x": [1, None, "ü"]})
    assert root.read_json("a/b.json") == {"x": [1, None, "ü"]}
    assert root.read_json("a/c.json") is None


def test_keys_folders_and_size_see_what_lies_below_and_no_sibling(root: Root) -> None:
    for key, data in {
        "f/r/1/x": b"12",
        "f/r/2/y": b"345",
        "f/rest/z": b"6",
        "f/r/top": b"7",
    }.items():
        root.publish(key, data)
    assert root.keys("f/r") == ["f/r/1/x", "f/r/2/y", "f/r/top"]
    assert root.folders("f/r") == ["1", "2", "top"]
    assert root.size("f/r") == 6
    root.delete("f/r")
    assert root.keys("f") == ["f/rest/z"]


def test_one_object_is_deleted_alone(root: Root) -> None:
    root.publish("a/x", b"1")
    root.publish("a/xy", b"2")
    root.delete("a/x")
    assert root.keys("a") == ["a/xy"]


def test_odd_names_survive_quoting_as_parts_of_keys(root: Root) -> None:
    for name in ("camera 1/north", "ü%2F=?#&", "..", "."):
        key = f"odd/{quote(name)}/x"
        root.publish(key, name.encode())
        assert root.read(key) == name.encode()
        assert unquote(quote(name)) == name
    assert [unquote(name) for name in root.folders("odd")] == sorted(
        ["camera 1/north", "ü%2F=?#&", "..", "."], key=quote
    )


def test_a_swap_with_an_old_version_changes_nothing(root: Root) -> None:
    assert root.swap("a/x", b"first", "")
    assert not root.swap("a/x", b"also first", "")
    _, version = root.read_versioned("a/x")
    assert root.swap("a/x", b"second", version)
    assert not root.swap("a/x", b"late", version)
    assert root.read("a/x") == b"second"
    root.delete("a/x")
    assert not root.swap("a/x", b"gone meanwhile", version)
    assert root.read("a/x") is None


def test_threads_and_processes_that_count_together_lose_nothing(root: Root) -> None:
    others = [run(INCREMENT, root.url, "10") for _ in range(2)]

    def count() -> None:
        for _ in range(10):
            root.update("catalog/counter", lambda found: str(int(found or b"0") + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    for other in others:
        end(other)
    assert root.read("catalog/counter") == b"40"


def test_an_update_that_returns_none_or_the_same_writes_nothing(root: Root) -> None:
    root.update("a/x", lambda found: None)
    assert root.read("a/x") is None
    root.publish("a/x", b"same")
    version = root.read_versioned("a/x")[1]
    root.update("a/x", lambda found: found)
    assert root.read_versioned("a/x") == (b"same", version)


def test_of_two_processes_one_holds_the_lease_and_release_frees_it(root: Root) -> None:
    holder = run(HOLD, root.url, "60", "60")
    assert first_line(holder) == "held"
    with root.lease("features/a/b") as held:
        assert not held
    with root.lease("features/a/other") as held:
        assert held
    end(holder)


def test_a_killed_holder_on_this_host_frees_the_lease_at_once(root: Root) -> None:
    holder = run(HOLD, root.url, "60", "60")
    assert first_line(holder) == "held"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with root.lease("features/a/b") as held:
        assert held
    end(holder)


def test_a_lease_is_refused_to_the_same_process_and_free_after_its_end(root: Root) -> None:
    with root.lease("x") as first:
        with root.lease("x") as second:
            assert (first, second) == (True, False)
        with root.lease("x") as third:
            assert not third
    with root.lease("x") as again:
        assert again
    assert not [key for key in root.keys("leases") if key.endswith(".json")]


def test_a_lease_is_renewed_while_it_is_held(root: Root) -> None:
    with root.lease("x", seconds=0.6) as held:
        time.sleep(1.5)
        with root.lease("x") as other:
            assert (held, other) == (True, False)


def test_a_lease_of_a_dead_host_runs_out(root: Root) -> None:
    holder = {
        "token": "t",
        "host": "elsewhere",
        "pid": 1,
        "started": "1",
        "until": time.time() + 0.5,
    }
    root.publish(f"leases/{quote('x')}.json", json.dumps(holder).encode())
    with root.lease("x") as held:
        assert not held
    time.sleep(0.6)
    with root.lease("x") as held:
        assert held


def test_a_zarr_array_written_here_is_read_in_another_process(root: Root) -> None:
    import zarr

    array = zarr.create_array(
        root.zarr_store("features/z"), shape=(10,), chunks=(4,), dtype="int64"
    )
    array[:] = np.arange(10)
    reader = run(READ_ZARR, root.url)
    assert first_line(reader) == "45"
    end(reader)


def test_a_writable_root_is_left_as_it_was(root: Root) -> None:
    root.check_writable()
    assert root.keys("leases") == []


@pytest.mark.parametrize("key", ["/a", "../a", "a/../b", "a//b", "", "a/./b"])
def test_no_key_leaves_the_root(root: Root, key: str) -> None:
    with pytest.raises(SpecError, match="leave the root"):
        root.publish(key, b"")


def test_a_root_that_is_a_file_or_of_another_scheme_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="is a file, expected a folder"):
        open_root(str(tmp_path / "file"))
    with pytest.raises(SpecError, match="expected a local path or s3://bucket/prefix"):
        open_root("gs://bucket")


def test_a_root_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("/proc/anomaly", str(tmp_path / "file" / "below")):
        with pytest.raises(SpecError, match="cannot be written"):
            open_root(place).check_writable()


def test_a_local_write_that_fails_says_where_and_why(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    root.publish("a", b"a file where a folder is wanted")
    with pytest.raises(StoreError, match=f"{tmp_path}/a/b"):
        root.publish("a/b", b"")


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, StoreError, "Free space"),
        (errno.EROFS, StoreError, "Make it writable"),
        (errno.EACCES, StoreError, "Make it writable"),
        (errno.EIO, TransientError, "error"),
        (errno.ESTALE, TransientError, "handle"),
    ],
)
def test_each_error_of_the_disk_has_its_class_and_advice(
    number: int, kind: type[Exception], advice: str
) -> None:
    error = disk_error("/root/x", OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert "/root/x" in str(error)
    assert advice in str(error)


def test_a_killed_write_leaves_the_old_object_whole_and_no_key(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    root.publish("a/x", b"old")
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
    code += "from anomaly.storage import open_root;"
    code += "open_root(sys.argv[1]).publish('a/x', bytes(100000))"
    writer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert writer.returncode != 0
    assert root.read("a/x") == b"old"
    assert root.keys("a") == ["a/x"]


@pytest.mark.s3
def test_a_missing_bucket_is_named(s3_environment: str) -> None:
    root = open_root(f"s3://{s3_environment}-not/x")
    with pytest.raises(StoreError, match="no such bucket"):
        root.read("a")
    with pytest.raises(StoreError, match="no such bucket"):
        root.publish("a", b"")
    with pytest.raises(SpecError, match=r"cannot be written.*no such bucket"):
        root.check_writable()


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # clients wait for `100 Continue` before they send a body
    status, code = 503, "ServiceUnavailable"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = (
            f"<Error><Code>{self.code}</Code><Message>said the test</Message></Error>".encode()
        )
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = _answer

    def log_message(self, *args: object) -> None:
        pass


def broken_root(url: str) -> ObjectRoot:
    options = {
        "endpoint_url": url,
        "key": "k",
        "secret": "s",
        "config_kwargs": {"retries": {"max_attempts": 1}},
    }
    return ObjectRoot("s3://bucket/x", options)


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """Url of an object store that answers every request with one error."""
    status, code = request.param
    handler = type("_Fixed", (_Answers,), {"status": status, "code": code})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("answering", "kind"),
    [
        ((503, "ServiceUnavailable"), TransientError),
        ((500, "InternalError"), TransientError),
        ((403, "AccessDenied"), StoreError),
        ((403, "InvalidAccessKeyId"), StoreError),
        ((400, "InvalidArgument"), StoreError),
    ],
    indirect=["answering"],
)
def test_an_answer_of_s3_becomes_an_error_of_who_must_act(
    answering: str, kind: type[Exception]
) -> None:
    root = broken_root(answering)
    for attempt in (
        lambda: root.read("a"),
        lambda: root.publish("a", b"1"),
        lambda: root.keys("a"),
        lambda: root.exists("a"),
        lambda: root.swap("a", b"1", ""),
    ):
        with pytest.raises(kind) as caught:
            attempt()
        assert type(caught.value) is kind
        assert "s3://bucket/x/a" in str(caught.value)


@pytest.mark.s3
def test_a_server_that_is_gone_is_a_passing_trouble(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(TransientError, match="s3://bucket/x/a"):
        broken_root(url).read("a")
