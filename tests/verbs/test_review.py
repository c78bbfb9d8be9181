"""`anomaly review` from begin to end; the server itself is tested with the report that it serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from anomaly.errors import SpecError
from anomaly.verbs.review import review
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import House


def test_what_is_wrong_is_told_before_anything_is_served(copied: House) -> None:
    with pytest.raises(SpecError, match="Did you mean 'site'"):
        review(copied.url, ArchiveSpec(root="sit"), ready=print)
    with pytest.raises(SpecError, match="his"):
        review(copied.url, copied.archive, checkpoint="his", ready=print)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"Cannot listen on port {port}"):
            review(copied.url, copied.archive, port=port, ready=print)


def test_ctrl_c_ends_a_review_with_what_it_came_to(copied: House) -> None:
    command = [sys.executable, "-c", "from anomaly.cli import main; main()", "review", "site"]
    process = subprocess.Popen(
        [*command, "--root", copied.url, "--no-open", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    try:
        assert process.stderr is not None
        url = urlsplit(process.stderr.readline().split()[-1])
        connection = HTTPConnection(str(url.hostname), url.port or 0, timeout=20)
        connection.request("GET", url.path)
        assert connection.getresponse().status == 200
        idle = socket.create_connection((str(url.hostname), url.port or 0))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        idle.close()
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert json.loads(out) == {"archive": "site", "checkpoint": "mine", "verdicts": 0}
    assert "Traceback" not in err
