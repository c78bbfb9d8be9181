"""One writer at a time: a lease is an object of the root that runs out unless it is renewed."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomaly.errors import AnomalyError
from anomaly.storage import Root


class Lease:
    """A JSON object that says who writes and until when."""

    def __init__(self, root: Root, key: str, seconds: float) -> None:
        self.root, self.key, self.seconds = root, key, seconds
        self.token = uuid.uuid4().hex
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> bool:
        """Say whether nobody else holds the lease; renew it from now on."""
        found, version = self.root.read_versioned(self.key)
        if found and not _is_free(json.loads(found)):
            return False
        if not self.root.swap(self.key, self._text(), version):
            return False
        self._renewing.start()
        return True

    def release(self) -> None:
        """Stop renewing and let others in."""
        self._done.set()
        self._renewing.join()
        found, _ = self.root.read_versioned(self.key)
        # Reading and deleting are two steps: only a lease that nobody can have taken over is deleted.
        if (
            found
            and time.time() < json.loads(found)["until"] - self.seconds / 3
            and self._is_ours(found)
        ):
            self.root.delete(self.key)

    def _renew(self) -> None:
        while not self._done.wait(self.seconds / 3):
            try:
                found, version = self.root.read_versioned(self.key)
                if not found or not self._is_ours(found):
                    return
                self.root.swap(self.key, self._text(), version)
            except AnomalyError:
                # The next turn tries again; a lease that cannot be renewed runs out by itself.
                continue

    def _is_ours(self, found: bytes) -> bool:
        return bool(json.loads(found)["token"] == self.token)

    def _text(self) -> bytes:
        pid = os.getpid()
        holder = {
            "token": self.token,
            "host": _host(),
            "pid": pid,
            "started": _process_start(pid),
            "until": time.time() + self.seconds,
        }
        return json.dumps(holder).encode()


def _is_free(holder: Mapping[str, Any]) -> bool:
    if time.time() > holder["until"]:
        return True
    return bool(
        holder["host"] == _host() and _process_start(holder["pid"]) != holder["started"]
    )


def _host() -> str:
    """Return a name of the place in which process numbers mean something: a host, or a container."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def _process_start(pid: int) -> str:
    """Return something that tells this process from a later one with the same number; '' if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()
    except OSError:
        return "" if Path("/proc").is_dir() or not _is_alive(pid) else "alive"
    return "" if fields[0] == "Z" else fields[19]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
