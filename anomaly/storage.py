"""One root, local or s3://, behind one door.

Keys are relative paths with forward slashes and stay under the root. `publish` writes an object whole or
not at all; `update` changes one under compare-and-swap; `lease` makes one writer at a time. Nothing else
in the project opens files of the root, Zarr apart (`zarr_store`).
"""

from __future__ import annotations

import contextlib
import errno
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
from typing import Any

import fsspec
from filelock import FileLock
from typing_extensions import override

from anomaly.errors import AnomalyError, SpecError, StoreError, TransientError

LEASE_SECONDS = 60.0
_SWAP_TRIES = 50
_LOCK_FILES = 256
_S3_PATIENCE = {
    "connect_timeout": 5,
    "read_timeout": 20,
    "retries": {"mode": "standard", "max_attempts": 3},
}
"""s3fs tries again on top of it: with botocore's own patience a silent server holds a worker for an hour"""
_PASSING_ERRORS = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.EHOSTDOWN}
)
"""what a network file system says when it hiccups"""


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


@dataclass(frozen=True)
class LocalRoot(Root):
    """A root on a local (or mounted) file system."""

    url: str

    @override
    def address(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """Return the local path of a key."""
        return Path(self.url, *_checked(key).split("/"))

    @override
    @contextlib.contextmanager
    def translated_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _disk_error(self.address(key), error) from error

    @override
    def read(self, key: str) -> bytes | None:
        with self.translated_errors(key):
            try:
                return self.path(key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    @override
    def exists(self, key: str) -> bool:
        with self.translated_errors(key):
            return self.path(key).is_file()

    @override
    def publish(self, key: str, data: bytes) -> None:
        path = self.path(key)
        with self.translated_errors(key):
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

    @override
    def delete(self, key: str) -> None:
        import shutil

        path = self.path(key)
        with self.translated_errors(key), contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    @override
    def keys(self, prefix: str) -> list[str]:
        base = self.path(prefix)
        found: list[str] = []
        for folder, _, names in os.walk(base):
            inside = Path(folder).relative_to(self.url).as_posix()
            found += [f"{inside}/{name}" for name in names if not name.startswith(".")]
        return sorted(found)

    @override
    def size(self, prefix: str) -> int:
        total = 0
        for key in self.keys(prefix):
            with contextlib.suppress(FileNotFoundError):
                total += self.path(key).stat().st_size
        return total

    @override
    def folders(self, prefix: str) -> list[str]:
        with self.translated_errors(prefix):
            try:
                names = [path.name for path in self.path(prefix).iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in names if not name.startswith("."))

    @override
    def read_versioned(self, key: str) -> tuple[bytes | None, str]:
        data = self.read(key)
        return data, "" if data is None else hashlib.sha256(data).hexdigest()

    @override
    def swap(self, key: str, data: bytes, version: str) -> bool:
        # Keys share a few lock files, so that locks do not pile up; nobody holds two at once.
        number = int(hashlib.sha256(key.encode()).hexdigest(), 16) % _LOCK_FILES
        lock = self.path(f"leases/locks/{number:02x}.lock")
        with self.translated_errors(key):
            lock.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(lock):
                if self.read_versioned(key)[1] != version:
                    return False
                self.publish(key, data)
                return True

    @override
    def zarr_store(self, key: str) -> Any:
        from zarr.storage import LocalStore

        return LocalStore(self.path(key))

    @override
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

    @property
    @override
    def storage_options(self) -> Mapping[str, Any]:
        return self.options

    @property
    def fs(self) -> Any:
        """The s3fs file system of this process; listings are never cached, others write here."""
        return fsspec.filesystem("s3", **self._patient_options)

    @property
    def _patient_options(self) -> dict[str, Any]:
        return {"use_listings_cache": False, "config_kwargs": _S3_PATIENCE, **self.options}

    @override
    def address(self, key: str) -> str:
        return f"{self.url}/{_checked(key)}"

    @override
    @contextlib.contextmanager
    def translated_errors(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (OSError, BotoCoreError, ClientError) as error:
            raise _s3_error(self.address(key), error) from error

    @override
    def read(self, key: str) -> bytes | None:
        return self.read_versioned(key)[0]

    @override
    def exists(self, key: str) -> bool:
        with self.translated_errors(key):
            try:
                self._call("head_object", key)
            except FileNotFoundError as error:
                _check_bucket(error)
                return False
            return True

    @override
    def publish(self, key: str, data: bytes) -> None:
        with self.translated_errors(key):
            self.fs.pipe_file(self.address(key), data)

    @override
    def delete(self, key: str) -> None:
        with self.translated_errors(key), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.address(key), recursive=True)

    @override
    def keys(self, prefix: str) -> list[str]:
        return sorted(self._sizes(prefix))

    @override
    def size(self, prefix: str) -> int:
        return sum(self._sizes(prefix).values())

    def _sizes(self, prefix: str) -> dict[str, int]:
        with self.translated_errors(prefix):
            found = self.fs.find(self.address(prefix), detail=True)
        skip = len(self.url.removeprefix("s3://")) + 1
        return {name[skip:]: int(facts["size"]) for name, facts in found.items()}

    @override
    def folders(self, prefix: str) -> list[str]:
        with self.translated_errors(prefix):
            try:
                names = self.fs.ls(self.address(prefix), detail=False, refresh=True)
            except FileNotFoundError:
                return []
        return sorted({name.rstrip("/").rsplit("/", 1)[-1] for name in names})

    @override
    def read_versioned(self, key: str) -> tuple[bytes | None, str]:
        from fsspec.asyn import sync

        with self.translated_errors(key):
            try:
                answer = self._call("get_object", key)
            except FileNotFoundError as error:
                _check_bucket(error)
                return None, ""
            data: bytes = sync(self.fs.loop, answer["Body"].read)
            return data, answer["ETag"]

    @override
    def swap(self, key: str, data: bytes, version: str) -> bool:
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        with self.translated_errors(key):
            try:
                self._call("put_object", key, Body=data, **condition)
            except OSError as error:
                if _s3_code(error) in _LOST_SWAP:
                    return False
                raise
            return True

    def _call(self, method: str, key: str, **arguments: Any) -> Any:
        bucket, name, _ = self.fs.split_path(self.address(key))
        return self.fs.call_s3(method, Bucket=bucket, Key=name, **arguments)

    @override
    def zarr_store(self, key: str) -> Any:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(self.address(key), storage_options=self._patient_options)

    @override
    def check_writable(self) -> None:
        key = f"leases/probe-{uuid.uuid4().hex}"
        try:
            self.publish(key, b"")
            self.delete(key)
        except (TransientError, StoreError) as error:
            raise SpecError(f"Root {self.url!r} cannot be written: {error}") from error


_LOST_SWAP = frozenset(
    {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
)
"""S3's words for: somebody else came first"""


def _disk_error(what: str, error: OSError) -> StoreError | TransientError:
    said = error.strerror or str(error)
    if error.errno in _PASSING_ERRORS:
        return TransientError(f"{what}: {said}.")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(f"{what}: {said}. Free space, or name another place with --root.")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreError(
            f"{what}: {said}. Make it writable, or name another place with --root."
        )
    return StoreError(f"{what}: {said}.")


def _s3_error(what: str, error: Exception) -> StoreError | TransientError:
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return StoreError(f"{what}: {error}. Give credentials in the environment or ~/.aws.")
    if isinstance(error, PermissionError):
        return StoreError(
            f"{what}: no permission ({error}). Check the credentials and the policy."
        )
    if isinstance(error, FileNotFoundError):
        missing = (
            "there is no such bucket" if _s3_code(error) == "NoSuchBucket" else "not there"
        )
        return StoreError(f"{what}: {missing}.")
    status = _s3_status(error)
    if status is not None and 400 <= status < 500 and status not in {408, 429}:
        return StoreError(f"{what}: refused ({error}).")
    return TransientError(f"{what}: {error}")


def _s3_answer(error: BaseException | None) -> Mapping[str, Any]:
    """Return S3's own answer, which s3fs hides behind errors of Python."""
    while error is not None:
        answer: Mapping[str, Any] | None = getattr(error, "response", None)
        if answer:
            return answer
        error = error.__cause__
    return {}


def _s3_code(error: BaseException) -> str:
    return str(_s3_answer(error).get("Error", {}).get("Code", ""))


def _s3_status(error: BaseException) -> int | None:
    status = _s3_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return None if status is None else int(status)


def _check_bucket(error: FileNotFoundError) -> None:
    """Raise the error again when the whole bucket is missing."""
    if _s3_code(error) == "NoSuchBucket":
        raise error


class _Lease:
    """A JSON object that says who writes and until when."""

    def __init__(self, root: Root, key: str, seconds: float) -> None:
        self.root, self.key, self.seconds = root, key, seconds
        self.token = uuid.uuid4().hex
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> bool:
        found, version = self.root.read_versioned(self.key)
        if found and not _is_free(json.loads(found)):
            return False
        if not self.root.swap(self.key, self._text(), version):
            return False
        self._renewing.start()
        return True

    def release(self) -> None:
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
