"""Videos inside tar files, as WebDataset has them: each member is a video at a place of the archive.

Looking reads the headers alone. To be decoded a member is copied out; see `spool`.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from anomaly.errors import SpecError
from anomaly.video.remote import Remote, is_remote, translated_errors

_MARK = "tar::"


@dataclass(frozen=True)
class Member:
    """A stretch of a tar file."""

    tar: str
    """path or url"""
    offset: int
    bytes: int

    @property
    def location(self) -> str:
        """The member as one text, which `member_at` reads."""
        return f"{_MARK}{self.offset}:{self.bytes}::{self.tar}"


def member_at(location: str) -> Member | None:
    """Return the member that a location names; None when it is none."""
    if not location.startswith(_MARK):
        return None
    place, _, tar = location.removeprefix(_MARK).partition("::")
    offset, _, size = place.partition(":")
    return Member(tar, int(offset), int(size))


def is_tar(name: str) -> bool:
    """Say whether a name is that of a tar file."""
    return PurePosixPath(name).suffix.lower() == ".tar"


def members(tar: str, options: Mapping[str, Any]) -> Iterator[tuple[str, Member]]:
    """Yield the name and place of every file in a tar.

    Raises:
        SpecError: it is no tar file, or a compressed one.
        TransientError: it cannot be read.
    """
    try:
        with opened(tar, options) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for entry in archive:
                if entry.isreg():
                    yield (
                        entry.name.removeprefix("./"),
                        Member(tar, entry.offset_data, entry.size),
                    )
    except tarfile.TarError as error:
        raise SpecError(
            f"{tar} cannot be read as a tar file ({error}); expected one that is not compressed."
        ) from error


@contextlib.contextmanager
def opened(location: str, options: Mapping[str, Any]) -> Iterator[IO[bytes]]:
    """Open a local or remote file.

    Raises:
        SpecError: a local one cannot be opened.
    """
    if is_remote(location):
        with contextlib.closing(Remote(location, options).open()) as file:
            yield file  # type: ignore[misc]
        return
    try:
        local = Path(location).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise SpecError(f"{location} cannot be opened: {error.strerror}.") from error
    with local, translated_errors(location):
        yield local
