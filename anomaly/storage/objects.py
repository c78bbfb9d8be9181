"""A root in an S3 bucket."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
from typing_extensions import override

from anomaly.errors import SpecError, StoreError, TransientError
from anomaly.storage import Root, checked

_S3_PATIENCE = {
    "connect_timeout": 5,
    "read_timeout": 20,
    "retries": {"mode": "standard", "max_attempts": 3},
}
"""s3fs tries again on top of it: with botocore's own patience a silent server holds a worker for an hour"""
_LOST_SWAP = frozenset(
    {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
)
"""S3's words for: somebody else came first"""


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
        return f"{self.url}/{checked(key)}"

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
    def read_part(self, key: str, start: int, stop: int) -> bytes | None:
        return self._get(key, Range=f"bytes={start}-{stop - 1}")[0]

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
        return self._get(key)

    def _get(self, key: str, **arguments: Any) -> tuple[bytes | None, str]:
        from fsspec.asyn import sync

        with self.translated_errors(key):
            try:
                answer = self._call("get_object", key, **arguments)
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
