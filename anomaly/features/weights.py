"""Files of weights, found by the digest of their bytes: a recipe names the digest, never a path.

A file that somebody names is copied to this machine's cache. The first extraction publishes it in the root
too, so that any other machine that works on the root finds it there.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from anomaly.errors import SpecError
from anomaly.storage import Root

DIGEST = "sha256:"


def cache_folder(name: str) -> Path:
    """Return a folder of this user's cache, made if missing.

    Raises:
        SpecError: it cannot be made.
    """
    folder = Path.home() / ".cache" / "archive-anomaly" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(
            f"The cache {folder} cannot be made ({error.strerror}); weights and exported networks are "
            "kept there. Make it writable, or set HOME to a folder that is."
        ) from error
    return folder


def keep(path: Path) -> str:
    """Copy a file of weights into the cache and return its digest, `sha256:<hex>`.

    Raises:
        SpecError: there is no such file, or the cache cannot be written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"Weights {str(path)!r} cannot be read ({error.strerror}). Expected `hub`, `random:<seed>`, "
            "the path of a .safetensors file, or `sha256:<digest>` of one that was used before."
        ) from error
    digest = DIGEST + hashlib.sha256(data).hexdigest()
    if not kept(digest).exists():
        write_whole(kept(digest), data)
    return digest


def portable(named: str) -> str:
    """Name a file of weights by its digest: where it lies on this machine changes no number.

    `hub`, `random:<seed>` and `sha256:<digest>` stay as they are.

    Raises:
        SpecError: there is no such file, or the cache cannot be written.
    """
    if named == "hub" or named.startswith(("random:", DIGEST)):
        return named
    return keep(Path(named).expanduser())


def kept(digest: str) -> Path:
    """Return where the cache has (or would have) the file with this digest."""
    return cache_folder("weights") / f"{digest.removeprefix(DIGEST)}.safetensors"


def read(digest: str) -> bytes:
    """Return the bytes of a file of weights.

    Raises:
        SpecError: the cache does not have it, or what it has is something else.
    """
    try:
        data = kept(digest).read_bytes()
    except FileNotFoundError as error:
        raise SpecError(
            f"The weights {digest} are not on this machine. Name their file once (weights=PATH), or "
            f"copy it to {kept(digest)}."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if digest != DIGEST + found:
        raise SpecError(f"{kept(digest)} is damaged: found sha256:{found}. Delete it.")
    return data


def share(root: Root, named: str) -> None:
    """Bring a file of weights from the cache to the root, or from the root to the cache.

    Args:
        root: where all machines look.
        named: what a recipe's parameters say of weights; nothing happens unless it is a digest.
    """
    if not named.startswith(DIGEST):
        return
    key = f"weights/{named.removeprefix(DIGEST)}.safetensors"
    if kept(named).exists():
        if not root.exists(key):
            root.publish(key, read(named))
    elif (data := root.read(key)) is not None:
        write_whole(kept(named), data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of the cache whole or not at all.

    Raises:
        SpecError: it cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError as error:
        raise SpecError(f"{path} cannot be written ({error.strerror}). Make room.") from error
