"""A root on a local (or mounted) file system."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock
from typing_extensions import override

from anomaly.errors import SpecError, StoreError, TransientError
from anomaly.storage import Root, checked

_LOCK_FILES = 256
_PASSING_ERRORS = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.EHOSTDOWN}
)
"""what a network file system says when it hiccups"""


@dataclass(frozen=True)
class LocalRoot(Root):
    """A root on a local (or mounted) file system."""

    url: str

    @override
    def address(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """Return the local path of a key."""
        return Path(self.url, *checked(key).split("/"))

    @override
    @contextlib.contextmanager
    def translated_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(self.address(key), error) from error

    @override
    def read(self, key: str) -> bytes | None:
        with self.translated_errors(key):
            try:
                return self.path(key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    @override
    def read_part(self, key: str, start: int, stop: int) -> bytes | None:
        with self.translated_errors(key):
            try:
                with self.path(key).open("rb") as file:
                    file.seek(start)
                    return file.read(stop - start)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    @override
    def exists(self, key: str) -> bool:
        with self.translated_errors(key):
            return self.path(key).is_file()

    @override
    def publish(self, key: str, data: bytes) -> None:
        self._replace(key, data, lasting=True)

    @override
    def write(self, key: str, data: bytes) -> None:
        self._replace(key, data, lasting=False)

    def _replace(self, key: str, data: bytes, *, lasting: bool) -> None:
        path = self.path(key)
        temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        with self.translated_errors(key):
            try:
                with _new_file(temporary) as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(data)
                    if lasting:
                        file.flush()
                        os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    @override
    def delete(self, key: str) -> None:
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
        for folder, _, names in os.walk(self.path(prefix)):
            for name in names:
                if not name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        total += os.stat(f"{folder}/{name}").st_size  # noqa: PTH116 - many small ones
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


def _new_file(path: Path) -> IO[bytes]:
    """Open a new file for writing, its folder made where there is none."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def disk_error(what: str, error: OSError) -> StoreError | TransientError:
    """Return our error for what the operating system said of `what`."""
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
