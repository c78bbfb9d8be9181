"""One root, local or s3://, behind one door.

Keys are relative paths with forward slashes and stay under the root. `publish` writes an object whole or
not at all; `update` changes one under compare-and-swap; `lease` makes one writer at a time. Nothing else
in the project opens files of the root, Zarr apart (`zarr_store`).
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from anomaly.errors import SpecError, TransientError

LEASE_SECONDS = 60.0
_SWAP_TRIES = 50


def quote(name: str) -> str:
    """Return `name` percent-encoded, safe as one part of a key and as a partition value."""
    quoted = urllib.parse.quote(name, safe=" ()[]+,@")
    return quoted.replace(".", "%2E") if set(name) <= {"."} else quoted


def unquote(name: str) -> str:
    """Return what `quote` was given."""
    return urllib.parse.unquote(name)


class Root(ABC):
    """A place for everything the project stores."""

    url: str

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return the whole object, or None where there is none."""

    @abstractmethod
    def read_part(self, key: str, start: int, stop: int) -> bytes | None:
        """Return bytes `start` to `stop` (half-open) of an object that has some there; None of none."""

    @abstractmethod
    def publish(self, key: str, data: bytes) -> None:
        """Write the object whole or not at all, over whatever was there."""

    def write(self, key: str, data: bytes) -> None:
        """Write a part of something that a later `publish` makes visible, whole or not at all.

        Until then it may be lost when the machine loses power: it is not waited for.
        """
        self.publish(key, data)

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object, or everything below the key; nothing there is no error."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects below `prefix`, sorted."""

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """Return the names one level below `prefix` that hold something, sorted."""

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes | None, str]:
        """Return the object and a version that `swap` accepts; the version of nothing is empty."""

    @abstractmethod
    def swap(self, key: str, data: bytes, version: str) -> bool:
        """Write the object if it still has `version`; say whether that was so."""

    @abstractmethod
    def size(self, prefix: str) -> int:
        """Return the bytes of all objects below `prefix`."""

    @abstractmethod
    def zarr_store(self, key: str) -> Any:
        """Return the Zarr store that lives below `key`; use it under `translated_errors`."""

    @abstractmethod
    def translated_errors(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Turn what the file system raises inside into errors of ours about `key`.

        Raises:
            TransientError: the store hiccupped (5xx, connection, timeout).
            StoreError: it refused (permission, disk full, nothing there).
        """

    @abstractmethod
    def address(self, key: str) -> str:
        """Return the full local path or s3:// url of a key."""

    @abstractmethod
    def check_writable(self) -> None:
        """Raise `SpecError` unless objects can be written; leaves nothing behind."""

    @property
    def storage_options(self) -> Mapping[str, Any]:
        """Options that fsspec needs to open `address(key)`; never holds credentials of our own."""
        return {}

    def exists(self, key: str) -> bool:
        """Say whether there is an object with this very key."""
        return self.read(key) is not None

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the object by `change(object)`, again and again until nobody came between.

        `change` gets None where nothing is stored, and returns None to leave things as they are.

        Raises:
            TransientError: others kept changing the object.
        """
        for attempt in range(_SWAP_TRIES):
            found, version = self.read_versioned(key)
            wanted = change(found)
            if wanted is None or wanted == found or self.swap(key, wanted, version):
                return
            time.sleep(min(0.01 * 2**attempt, 1.0))
        raise TransientError(
            f"{self.address(key)} kept changing under {_SWAP_TRIES} tries to update it."
        )

    def read_json(self, key: str) -> Any:
        """Return the object parsed as JSON, or None where there is none."""
        data = self.read(key)
        return None if data is None else json.loads(data)

    def publish_json(self, key: str, value: Any) -> None:
        """Publish `value` as readable JSON."""
        self.publish(key, json.dumps(value, indent=2, sort_keys=True).encode() + b"\n")

    @contextlib.contextmanager
    def lease(self, key: str, seconds: float = LEASE_SECONDS) -> Iterator[bool]:
        """Hold the right to write below `key`; yields False when somebody else holds it now.

        A lease is renewed while held and runs out by itself. One whose holder was a process of this
        host that is gone is free at once, so a killed run resumes without waiting.
        """
        from anomaly.storage.leases import Lease

        lease = Lease(self, f"leases/{quote(key)}.json", seconds)
        held = lease.take()
        try:
            yield held
        finally:
            if held:
                lease.release()


def open_root(url: str, storage_options: Mapping[str, Any] | None = None) -> Root:
    """Open the root at a local path or s3://bucket/prefix. Nothing is written.

    Raises:
        SpecError: the url has another scheme, or names a file.
    """
    from anomaly.storage.local import LocalRoot
    from anomaly.storage.objects import ObjectRoot

    if url.startswith("s3://"):
        return ObjectRoot(url.rstrip("/"), storage_options or {})
    if "://" in url:
        raise SpecError(f"Root {url!r}: expected a local path or s3://bucket/prefix.")
    path = Path(url).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise SpecError(f"Root {url!r} is a file, expected a folder.")
    return LocalRoot(str(path))


def checked(key: str) -> str:
    """Return the key.

    Raises:
        SpecError: it would leave the root.
    """
    parts = key.split("/")
    if key.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise SpecError(f"Key {key!r} would leave the root.")
    return key
