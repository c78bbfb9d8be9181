"""What a video consists of, and the hash that names all its bytes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from anomaly.errors import TransientError, VideoError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
_CHUNK_BYTES = 1 << 20
_DIGEST_BYTES = 16
_NUMBER = re.compile(r"(\d+)")


class ContentHash:
    """Hash of a video that grows as its bytes pass by; equal bytes give equal digests anywhere.

    A frame folder is hashed over the names and bytes of its images: call `start_image` before each.
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def start_image(self, name: str, size_bytes: int) -> None:
        """Say that the next `size_bytes` bytes belong to the image called `name`."""
        self._hash.update(f"{name}\0{size_bytes}\0".encode(errors="surrogateescape"))

    def update(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Return 32 hex digits."""
        return self._hash.hexdigest()


def is_numbered_image(name: str) -> bool:
    """Say whether a file name is that of one frame: an image whose stem ends in a digit."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every file of an archive
    return (
        suffix.lower() in IMAGE_SUFFIXES and stem[-1:].isdecimal() and not name.startswith(".")
    )


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key under which `2.jpg` comes before `10.jpg`."""
    parts = _NUMBER.split(name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def numbered_images(folder: Path) -> list[Path]:
    """Return the frames of an image folder in natural order.

    Raises:
        VideoError: `vanished`, there is no such folder, or no image in it any more.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if is_numbered_image(entry.name)]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise vanished(str(folder)) from error
    if not names:
        raise vanished(str(folder))
    return [folder / name for name in sorted(names, key=natural_key)]


def vanished(location: str) -> VideoError:
    """Return the error for a video that was listed and is no longer there."""
    return VideoError(
        "vanished", f"{location} is no longer there; it was when the archive was listed."
    )


def empty(location: str) -> VideoError:
    """Return the error for a video of no bytes."""
    return VideoError("empty", f"{location} has no bytes: found a size of 0, expected a video.")


def content_of(path: Path, kind: Literal["file", "frames"] = "file") -> str:
    """Return 32 hex digits that change with any byte of the video (and any name of a frame folder).

    Raises:
        VideoError: `vanished`, `empty` (no bytes at all), or `unreadable` (no permission).
        TransientError: the disk failed to read.
    """
    digest = ContentHash()
    try:
        if kind == "frames":
            total = sum(_hash_image(digest, image) for image in numbered_images(path))
        else:
            total = _hash_file(digest, path)
    except FileNotFoundError as error:
        raise vanished(str(path)) from error
    except (PermissionError, IsADirectoryError) as error:
        raise VideoError("unreadable", f"{path} cannot be read: {error.strerror}.") from error
    except OSError as error:
        raise TransientError(f"{path} could not be read: {error}.") from error
    if total == 0:
        raise empty(str(path))
    return digest.hexdigest()


def _hash_image(digest: ContentHash, image: Path) -> int:
    digest.start_image(image.name, image.stat().st_size)
    return _hash_file(digest, image)


def _hash_file(digest: ContentHash, path: Path) -> int:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    total = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            total += count
    return total
