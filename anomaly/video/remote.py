"""Videos on other machines: what a look tells of an https:// url, and files that are read by ranges.

S3 goes through s3fs with the default credential chain, https through aiohttp, which checks certificates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from anomaly.errors import TransientError
from anomaly.video.content import vanished

_BLOCK_BYTES = 8 * 2**20
_GONE = {404, 410}


@dataclass(frozen=True)
class Remote:
    """A file that is not copied: its decoder reads what it needs."""

    location: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(urlsplit(self.location).path).name

    @override
    def __str__(self) -> str:
        return self.location

    def open(self) -> RangedFile:
        """Open it.

        Raises:
            VideoError: `vanished`.
            TransientError: it cannot be reached, or the server gives no ranges.
        """
        return RangedFile(self)


Source = Path | Remote
"""where a decoder finds a video"""


class RangedFile:
    """A file object that reads ranges and says by its errors that the world is bad, not the file."""

    def __init__(self, source: Remote) -> None:
        self._source = source
        with translated_errors(source.location):
            fs = open_remote(source.location, source.options)
            self._file = fs.open(source.location, "rb", block_size=_BLOCK_BYTES)
        if not self._file.seekable():
            raise TransientError(f"{source.location}: the server gives no ranges of the file.")
        self.name = source.location

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; none at the end."""
        with translated_errors(self._source.location):
            data: bytes = self._file.read(size)
            return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, and return where to."""
        place: int = self._file.seek(offset, whence)
        return place

    def tell(self) -> int:
        """Return the position."""
        place: int = self._file.tell()
        return place

    def close(self) -> None:
        """Let the connection go."""
        self._file.close()


def is_web(location: str) -> bool:
    """Say whether a location is an http or https url."""
    return location.startswith(("https://", "http://"))


def is_remote(location: str) -> bool:
    """Say whether a location is on another machine."""
    return location.startswith("s3://") or is_web(location)


def open_remote(location: str, options: Mapping[str, Any]) -> Any:
    """Return the file system of a location, remembering no listing."""
    import fsspec

    if is_web(location):
        return fsspec.filesystem("http")
    return fsspec.filesystem("s3", **{"use_listings_cache": False, **options})


def web_facts(url: str) -> tuple[int, str] | None:
    """Return size in bytes (0 when the server does not tell) and ETag or date of a url; None if gone.

    Raises:
        TransientError: the server cannot be reached, is not trusted, or refuses.
    """
    try:
        facts = open_remote(url, {}).info(url)
    except FileNotFoundError as error:
        if getattr(error.__cause__, "status", None) in _GONE:
            return None
        raise TransientError(
            f"{url} cannot be looked at: {error.__cause__ or error}."
        ) from error
    changed = facts.get("ETag") or facts.get("Last-Modified") or "unknown"
    return int(facts.get("size") or 0), str(changed).strip('"')


@contextlib.contextmanager
def translated_errors(location: str) -> Iterator[None]:
    """Turn what reading a remote file raises into errors of ours.

    Raises:
        VideoError: `vanished`.
        TransientError: everything else.
    """
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError as S3Error

    try:
        yield
    except FileNotFoundError as error:
        status = getattr(error.__cause__, "status", 404)
        if status not in _GONE:
            raise TransientError(f"{location} cannot be read: {error.__cause__}.") from error
        raise vanished(location) from error
    except (OSError, ClientError, BotoCoreError, S3Error, ValueError) as error:
        raise TransientError(f"{location} cannot be read: {error}.") from error
