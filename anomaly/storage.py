"""One root, local or s3://, behind one door.

Keys are relative paths with forward slashes and stay under the root. `publish` writes an object whole or
not at all; `update` changes one under compare-and-swap; `lease` makes one writer at a time. Nothing else
in the project opens files of the root, Zarr apart (`zarr_store`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import tempfile
import threading
import time
import urllib.parse
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from filelock import FileLock

from anomaly.errors import SpecError, StoreError, TransientError

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
    def publish(self, key: str, data: bytes) -> None:
        """Write the object whole or not at all, over whatever was there."""

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
    def zarr_store(self, key: str) -> Any:
        """Return the Zarr store that lives below `key`."""

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
        raise TransientError(f"{self.address(key)} kept changing under {_SWAP_TRIES} tries to update it.")

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
        lease = _Lease(self, f"leases/{quote(key)}.json", seconds)
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
    if url.startswith("s3://"):
        return ObjectRoot(url.rstrip("/"), storage_options or {})
    if "://" in url:
        raise SpecError(f"Root {url!r}: expected a local path or s3://bucket/prefix.")
    path = Path(url).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise SpecError(f"Root {url!r} is a file, expected a folder.")
    return LocalRoot(str(path))


def _checked(key: str) -> str:
    parts = key.split("/")
    if key.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise SpecError(f"Key {key!r} would leave the root.")
    return key


@contextlib.contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"Cannot write {what}: {error.strerror or error}.") from error


@dataclass(frozen=True)
class LocalRoot(Root):
    """A root on a local (or mounted) file system."""

    url: str

    def address(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """Return the local path of a key."""
        return Path(self.url, *_checked(key).split("/"))

    def read(self, key: str) -> bytes | None:
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def publish(self, key: str, data: bytes) -> None:
        path = self.path(key)
        with _disk_errors(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def delete(self, key: str) -> None:
        import shutil

        path = self.path(key)
        with _disk_errors(str(path)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        base = self.path(prefix)
        found: list[str] = []
        for folder, _, names in os.walk(base):
            inside = Path(folder).relative_to(self.url).as_posix()
            found += [f"{inside}/{name}" for name in names if not name.startswith(".")]
        return sorted(found)

    def folders(self, prefix: str) -> list[str]:
        try:
            entries = list(os.scandir(self.path(prefix)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(entry.name for entry in entries if not entry.name.startswith("."))

    def read_versioned(self, key: str) -> tuple[bytes | None, str]:
        data = self.read(key)
        return data, "" if data is None else hashlib.sha256(data).hexdigest()

    def swap(self, key: str, data: bytes, version: str) -> bool:
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        lock = self.path(f"leases/locks/{name}.lock")
        with _disk_errors(str(lock)):
            lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if self.read_versioned(key)[1] != version:
                return False
            self.publish(key, data)
            return True

    def zarr_store(self, key: str) -> Any:
        from zarr.storage import LocalStore

        return LocalStore(self.path(key))

    def check_writable(self) -> None:
        path = Path(self.url)
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise SpecError(
                f"Root {self.url!r} cannot be written ({error.strerror}). "
                "Name a writable folder with --root."
            ) from error


@dataclass(frozen=True)
class ObjectRoot(Root):
    """A root in an S3 bucket, opened with the default credential chain."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _retried: ClassVar[tuple[str, ...]] = ("503", "500", "SlowDown", "InternalError", "RequestTimeout")

    @property
    def storage_options(self) -> Mapping[str, Any]:
        return self.options

    @property
    def fs(self) -> Any:
        """The s3fs file system; listings are never cached, others write here too."""
        return fsspec.filesystem("s3", use_listings_cache=False, **self.options)

    def address(self, key: str) -> str:
        return f"{self.url}/{_checked(key)}"

    def read(self, key: str) -> bytes | None:
        return self.read_versioned(key)[0]

    def exists(self, key: str) -> bool:
        return bool(self.fs.isfile(self.address(key)))

    def publish(self, key: str, data: bytes) -> None:
        with self._s3_errors(key):
            self.fs.pipe_file(self.address(key), data)

    def delete(self, key: str) -> None:
        with self._s3_errors(key), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.address(key), recursive=True)

    def keys(self, prefix: str) -> list[str]:
        with self._s3_errors(prefix):
            skip = len(self.url.removeprefix("s3://")) + 1
            return sorted(name[skip:] for name in self.fs.find(self.address(prefix)))

    def folders(self, prefix: str) -> list[str]:
        with self._s3_errors(prefix):
            try:
                names = self.fs.ls(self.address(prefix), detail=False, refresh=True)
            except FileNotFoundError:
                return []
            return sorted({name.rstrip("/").rsplit("/", 1)[-1] for name in names})

    def read_versioned(self, key: str) -> tuple[bytes | None, str]:
        with self._s3_errors(key):
            bucket, name, _ = self.fs.split_path(self.address(key))
            try:
                answer = self.fs.call_s3("get_object", Bucket=bucket, Key=name)
            except FileNotFoundError:
                return None, ""
            return self._body(answer), answer["ETag"]

    def _body(self, answer: Mapping[str, Any]) -> bytes:
        from fsspec.asyn import sync

        data: bytes = sync(self.fs.loop, answer["Body"].read)
        return data

    def swap(self, key: str, data: bytes, version: str) -> bool:
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        bucket, name, _ = self.fs.split_path(self.address(key))
        with self._s3_errors(key):
            try:
                self.fs.call_s3("put_object", Bucket=bucket, Key=name, Body=data, **condition)
            except (OSError, ValueError) as error:
                if _is_lost_swap(error):
                    return False
                raise
            return True

    def zarr_store(self, key: str) -> Any:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(
            self.address(key), storage_options={"use_listings_cache": False, **self.options}
        )

    def check_writable(self) -> None:
        key = f"leases/probe-{uuid.uuid4().hex}"
        try:
            self.publish(key, b"")
            self.delete(key)
        except (OSError, TransientError, StoreError) as error:
            raise SpecError(f"Root {self.url!r} cannot be written: {error}") from error

    @contextlib.contextmanager
    def _s3_errors(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise StoreError(f"No permission for {self.address(key)}: {error}.") from error
        except (OSError, BotoCoreError, ClientError) as error:
            raise TransientError(f"{self.address(key)}: {error}") from error


def _is_lost_swap(error: BaseException) -> bool:
    """Say whether S3 refused a conditional write because somebody else came first."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None) or {}
        code = str(response.get("Error", {}).get("Code", ""))
        if code in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey"}:
            return True
        if "PreconditionFailed" in str(seen) or "At least one of the pre-conditions" in str(seen):
            return True
        seen = seen.__cause__
    return False


class _Lease:
    """A JSON object that says who writes and until when."""

    def __init__(self, root: Root, key: str, seconds: float) -> None:
        self.root, self.key, self.seconds = root, key, seconds
        self.token = uuid.uuid4().hex
        self._done = threading.Event()

    def take(self) -> bool:
        found, version = self.root.read_versioned(self.key)
        if found and not _is_free(json.loads(found)):
            return False
        if not self.root.swap(self.key, self._text(), version):
            return False
        threading.Thread(target=self._renew, daemon=True).start()
        return True

    def release(self) -> None:
        self._done.set()
        found, _ = self.root.read_versioned(self.key)
        if found and json.loads(found)["token"] == self.token:
            self.root.delete(self.key)

    def _renew(self) -> None:
        while not self._done.wait(self.seconds / 3):
            found, version = self.root.read_versioned(self.key)
            if not found or json.loads(found)["token"] != self.token or self._done.is_set():
                return
            self.root.swap(self.key, self._text(), version)

    def _text(self) -> bytes:
        pid = os.getpid()
        holder = {
            "token": self.token,
            "host": socket.gethostname(),
            "pid": pid,
            "started": _process_start(pid),
            "until": time.time() + self.seconds,
        }
        return json.dumps(holder).encode()


def _is_free(holder: Mapping[str, Any]) -> bool:
    if time.time() > holder["until"]:
        return True
    here = holder["host"] == socket.gethostname()
    return bool(here and _process_start(holder["pid"]) != holder["started"])


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
