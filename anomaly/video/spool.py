"""A local copy of a video for the time it is decoded, and its content hash.

Local files stay where they are and are read once for the hash. Objects of S3, files of web servers and
members of tar files are read once: hashed on their way into a temporary file that is gone afterwards. What
is too large for that is read by ranges, and its content is what the store or server says of it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from anomaly.errors import VideoError
from anomaly.video import VideoFile
from anomaly.video.content import (
    ContentHash,
    content_of,
    empty,
    is_numbered_image,
    natural_key,
    vanished,
)
from anomaly.video.remote import Remote, Source, is_remote, open_remote, translated_errors
from anomaly.video.tar import Member, member_at, opened

SPOOL_BYTES = 20 * 2**30
_LEFT_FREE_BYTES = 2**28
"""what copies leave free where they lie"""
_CHUNK_BYTES = 8 * 2**20


@contextlib.contextmanager
def local_copy(
    file: VideoFile,
    *,
    spool_bytes: int = SPOOL_BYTES,
    folder: Path | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Source, str]]:
    """Yield where the video can be read, a file or a folder of images, and its content hash.

    The content of a file that is read by ranges begins with `etag-`.

    Args:
        file: the video.
        spool_bytes: the largest object that is copied, if there is so much room.
        folder: where copies are made; the system's folder for temporary files by default.
        storage_options: for s3fs; credentials come from the default chain.

    Raises:
        VideoError: `vanished`, `empty`, `unreadable` (no permission) or `too_large` for the spool.
        TransientError: the disk or the object store failed to answer.
    """
    options = storage_options or {}
    member = member_at(file.location)
    if member is None and not is_remote(file.location):
        path = Path(file.location)
        yield path, content_of(path, file.kind)
        return
    with tempfile.TemporaryDirectory(prefix="anomaly-spool-", dir=folder) as spool:
        room_bytes = min(spool_bytes, shutil.disk_usage(spool).free - _LEFT_FREE_BYTES)
        if file.bytes <= room_bytes:
            yield _fetch(file, Path(spool), options)
        elif member is None and file.kind == "file" and file.modified != "unknown":
            yield Remote(file.location, options), _content_by_etag(file)
        else:
            raise VideoError(
                "too_large",
                f"{file.location} has {file.bytes:,} bytes, more than the {max(0, room_bytes):,} that the "
                "spool takes, and cannot be read by ranges; give the folder for temporary files more room.",
            )


def _content_by_etag(file: VideoFile) -> str:
    digest = ContentHash()
    digest.update(f"{file.bytes} {file.modified}".encode())
    return f"etag-{digest.hexdigest()}"


def _fetch(file: VideoFile, spool: Path, options: Mapping[str, Any]) -> tuple[Path, str]:
    """Copy a video into a folder and return the copy and its content hash."""
    digest = ContentHash()
    path = spool / PurePosixPath(file.uri).name
    with translated_errors(file.location):
        try:
            if (member := member_at(file.location)) is not None:
                total = _fetch_member(member, path, options, digest)
            elif file.kind == "frames":
                fs = open_remote(file.location, options)
                path, total = spool, _fetch_images(file, spool, fs, digest)
            else:
                fs = open_remote(file.location, options)
                total = _fetch_object(file.location, path, fs, digest)
        except PermissionError as error:
            raise VideoError(
                "unreadable", f"{file.location} may not be read: {error}."
            ) from error
    if total == 0:
        raise empty(file.location)
    return path, digest.hexdigest()


def _fetch_images(file: VideoFile, spool: Path, fs: Any, digest: ContentHash) -> int:
    infos = fs.find(file.location, maxdepth=1, detail=True)
    objects = {PurePosixPath(key).name: (key, info["size"]) for key, info in infos.items()}
    names = sorted(filter(is_numbered_image, objects), key=natural_key)
    if not names:
        raise vanished(file.location)
    total = 0
    for name in names:
        key, size_bytes = objects[name]
        digest.start_image(name, size_bytes)
        total += _fetch_object(key, spool / name, fs, digest)
    return total


def _fetch_member(
    member: Member, path: Path, options: Mapping[str, Any], digest: ContentHash
) -> int:
    left = member.bytes
    with opened(member.tar, options) as source, path.open("wb") as copy:
        source.seek(member.offset)
        while left and (data := source.read(min(left, _CHUNK_BYTES))):
            digest.update(data)
            copy.write(data)
            left -= len(data)
    return member.bytes - left


def _fetch_object(key: str, path: Path, fs: Any, digest: ContentHash) -> int:
    total = 0
    with (
        fs.open(key, "rb", block_size=_CHUNK_BYTES, cache_type="readahead") as source,
        path.open("wb") as copy,
    ):
        while data := source.read(_CHUNK_BYTES):
            digest.update(data)
            copy.write(data)
            total += len(data)
    return total
