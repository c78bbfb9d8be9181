"""A local copy of a video for the time it is decoded, and its content hash.

Local files stay where they are and are read once for the hash. Objects of S3 are read once: hashed on their
way into a temporary file that is gone afterwards.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from anomaly.errors import TransientError, VideoError
from anomaly.video import VideoFile
from anomaly.video.content import (
    ContentHash,
    content_of,
    empty,
    is_numbered_image,
    natural_key,
    vanished,
)
from anomaly.video.listing import open_s3

SPOOL_BYTES = 20 * 2**30
_CHUNK_BYTES = 8 * 2**20


@contextlib.contextmanager
def local_copy(
    file: VideoFile,
    *,
    spool_bytes: int = SPOOL_BYTES,
    folder: Path | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Path, str]]:
    """Yield where the video can be read, a file or a folder of images, and its content hash.

    Args:
        file: the video.
        spool_bytes: the largest object that is copied.
        folder: where copies are made; the system's folder for temporary files by default.
        storage_options: for s3fs; credentials come from the default chain.

    Raises:
        VideoError: `vanished`, `empty`, `unreadable` (no permission) or `too_large` for the spool.
        TransientError: the disk or the object store failed to answer.
    """
    if not file.location.startswith("s3://"):
        path = Path(file.location)
        yield path, content_of(path, file.kind)
        return
    if file.bytes > spool_bytes:
        raise VideoError(
            "too_large",
            f"{file.location} has {file.bytes:,} bytes, more than the {spool_bytes:,} that the spool "
            "takes; give it more, or mount the bucket and name the mount as archive.",
        )
    with tempfile.TemporaryDirectory(prefix="anomaly-spool-", dir=folder) as spool:
        yield _fetch(file, Path(spool), open_s3(storage_options or {}))


def _fetch(file: VideoFile, spool: Path, fs: Any) -> tuple[Path, str]:
    """Copy a video from S3 into a folder and return the copy and its content hash."""
    from botocore.exceptions import BotoCoreError, ClientError

    digest = ContentHash()
    try:
        if file.kind == "frames":
            path, total = spool, _fetch_images(file, spool, fs, digest)
        else:
            path = spool / PurePosixPath(file.location).name
            total = _fetch_object(file.location, path, fs, digest)
    except FileNotFoundError as error:
        raise vanished(file.location) from error
    except PermissionError as error:
        raise VideoError("unreadable", f"{file.location} may not be read: {error}.") from error
    except (OSError, BotoCoreError, ClientError) as error:
        raise TransientError(f"{file.location} could not be copied: {error}.") from error
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
