"""What lies in a folder, an S3 prefix or a list file: names, sizes and times of change, never bytes."""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from anomaly.errors import SpecError, TransientError
from anomaly.video.content import is_numbered_image
from anomaly.video.remote import is_remote, is_web, open_remote, web_facts
from anomaly.video.tar import is_tar, member_at, members

VIDEO_SUFFIXES = frozenset(
    [
        *(
            [
                ".264",
                ".265",
                ".3g2",
                ".3gp",
                ".asf",
                ".av1",
                ".avi",
                ".dav",
                ".divx",
                ".dv",
                ".f4v",
                ".flv",
                ".h264",
                ".h265",
                ".hevc",
                ".ivf",
            ]
        ),
        *(
            [
                ".m1v",
                ".m2t",
                ".m2ts",
                ".m2v",
                ".m4v",
                ".mjpeg",
                ".mjpg",
                ".mkv",
                ".mov",
                ".mp4",
                ".mpe",
                ".mpeg",
                ".mpg",
                ".mts",
                ".mxf",
                ".nut",
            ]
        ),
        *(
            [
                ".obu",
                ".ogm",
                ".ogv",
                ".qt",
                ".rm",
                ".rmvb",
                ".ts",
                ".vob",
                ".webm",
                ".wmv",
                ".y4m",
            ]
        ),
    ]
)
LIST_SUFFIXES = frozenset({".txt", ".csv", ".parquet"})
_LIST_COLUMNS = ("video", "uri", "path")


@dataclass(frozen=True)
class Found:
    """One video as a look shows it; fields as those of `VideoFile`."""

    uri: str
    location: str
    bytes: int
    modified: str
    kind: Literal["file", "frames"] = "file"


class Excludes:
    """The globs of paths to leave out."""

    def __init__(self, globs: Sequence[str]) -> None:
        folders = [glob.rstrip("/") for glob in globs if glob.endswith("/")]
        anything = [glob for glob in globs if not glob.endswith("/")]
        self._folder = matcher([*folders, *anything])
        self._file = matcher(anything)

    def folder(self, uri: str) -> bool:
        """Say whether a folder is left out, by its name or its path, its parents being in."""
        return self._folder(uri.rsplit("/", 1)[-1]) or self._folder(uri)

    def file(self, uri: str) -> bool:
        """Say whether a file is left out, by its name, stem or path, its folder being in."""
        name = uri.rsplit("/", 1)[-1]
        return self._file(name) or self._file(name.rsplit(".", 1)[0]) or self._file(uri)

    def key(self, uri: str) -> bool:
        """Say whether a file is left out by its own path or that of any folder above it."""
        parts = uri.split("/")
        hidden = any(part.startswith(".") for part in parts)
        folders = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return hidden or self.file(uri) or any(map(self.folder, folders))


def matcher(globs: Sequence[str]) -> Any:
    """Return a function that says whether a text matches any of the globs; `*` also matches slashes."""
    return re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)").match


def list_folder(
    base: Path, excludes: Excludes, *, own_root: str = "", max_depth: int | None = None
) -> Iterator[Found]:
    """Yield the videos below a folder; links are followed, but never to a folder that holds them.

    Raises:
        SpecError: a folder may not be listed, or `base` is `own_root`.
        TransientError: the file system failed to answer.
    """
    own = _place(own_root) if own_root and "://" not in own_root else None
    if own is not None and own == _place(str(base)):
        raise SpecError(f"Archive {base} is where our own results go; name another --root.")
    waiting = [(str(base), "", frozenset[tuple[int, int]]())]
    while waiting:
        folder, prefix, above = waiting.pop()
        here = _place(folder)
        if here is None or here == own or here in above:
            continue
        entries = [entry for entry in _scan(folder) if not entry.name.startswith(".")]
        yield from _videos(folder, prefix, entries, excludes)
        if max_depth is None or prefix.count("/") < max_depth:
            waiting += [
                (entry.path, f"{prefix}{entry.name}/", above | {here})
                for entry in entries
                if _is_folder(entry) and not excludes.folder(prefix + entry.name)
            ]


def list_s3(
    base: str, excludes: Excludes, *, own_root: str, options: Mapping[str, Any]
) -> Iterator[Found]:
    """Yield the videos below s3://bucket/prefix; `modified` is the ETag.

    Raises:
        SpecError: there is no such bucket or prefix, or no permission.
        TransientError: the store failed to answer.
    """
    start = base.removeprefix("s3://").rstrip("/") + "/"
    own = (
        own_root.removeprefix("s3://").rstrip("/") + "/"
        if own_root.startswith("s3://")
        else None
    )
    if own == start:
        raise SpecError(f"Archive {base} is where our own results go; name another --root.")
    keys = find_s3(base, options)
    if not keys:
        raise SpecError(
            f"Archive {base!r} holds no object; expected a bucket and prefix that exist."
        )
    images: dict[str, list[tuple[str, int, str]]] = {}
    for key, facts in keys.items():
        uri = key.removeprefix(start)
        if (own and key.startswith(own)) or excludes.key(uri):
            continue
        folder, _, name = uri.rpartition("/")
        if is_numbered_image(name):
            images.setdefault(folder, []).append((name, *facts))
        elif is_video(name):
            yield Found(uri, f"s3://{key}", *facts)
    for folder, entries in images.items():
        if len(entries) > 1:
            yield _found_frames(f"s3://{start}{folder}".rstrip("/"), folder, entries)


def find_s3(
    url: str, options: Mapping[str, Any], *, max_depth: int | None = None
) -> dict[str, tuple[int, str]]:
    """Return size and ETag of every object below `url`, by bucket/key; empty when there is none.

    Raises:
        SpecError: the bucket does not exist, or there is no permission.
        TransientError: the store failed to answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        listed = open_remote(url, options).find(url, maxdepth=max_depth, detail=True)
    except FileNotFoundError as error:
        raise SpecError(
            f"{url} does not exist; expected a bucket and prefix that do."
        ) from error
    except PermissionError as error:
        raise SpecError(f"{url} may not be listed: {error}. Check the credentials.") from error
    except (OSError, BotoCoreError, ClientError) as error:
        raise TransientError(f"{url} could not be listed: {error}.") from error
    return {
        key: (int(info["size"]), str(info["ETag"]).strip('"')) for key, info in listed.items()
    }


def list_file(path: Path, options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the videos that a list names, one path, s3:// or https:// url a line or row.

    A tar file stands for the videos in it. Relative paths start at the
    list's own folder. An entry that does not exist has 0 bytes.

    Raises:
        SpecError: the list cannot be read, or has none of the columns video, uri, path.
        TransientError: the object store failed to answer.
    """
    seen: set[str] = set()
    for line in _lines(path):
        if line in seen:
            continue
        seen.add(line)
        if is_remote(line):
            parts = urlsplit(
                line
            )  # what follows a question mark may be a secret: no part of names
            uri, location = f"{parts.netloc}{parts.path}", line
        else:
            place = path.parent / line
            inside = place.is_relative_to(path.parent)
            uri = (place.relative_to(path.parent) if inside else place).as_posix().lstrip("/")
            location = str(place)
        if is_tar(uri):
            yield from list_tar(location, f"{uri}/", options)
            continue
        is_file = is_video(PurePosixPath(uri).name) or is_web(location)
        kind: Literal["file", "frames"] = "file" if is_file else "frames"
        found = look(uri, location, kind, options)
        yield found or Found(uri, location, 0, "missing", kind)


def list_tar(location: str, prefix: str, options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the videos in a tar file; each is new when the tar has changed.

    Raises:
        SpecError: it is missing, or no tar file that can be read.
        TransientError: the file system or server failed to answer.
    """
    tar = look("", location, "file", options)
    if tar is None:
        raise SpecError(f"Tar file {location} does not exist.")
    for name, member in members(location, options):
        if is_video(PurePosixPath(name).name):
            changed = f"{tar.modified}:{member.offset}"
            yield Found(f"{prefix}{name}", member.location, member.bytes, changed)


def look(
    uri: str, location: str, kind: Literal["file", "frames"], options: Mapping[str, Any]
) -> Found | None:
    """Return one video as it is now; None when it is not there.

    Raises:
        TransientError: the file system or object store failed to answer.
    """
    if (member := member_at(location)) is not None:
        tar = look("", member.tar, "file", options)
        changed = "" if tar is None else f"{tar.modified}:{member.offset}"
        return None if tar is None else Found(uri, location, member.bytes, changed)
    if is_web(location):
        facts = web_facts(location)
        return None if facts is None else Found(uri, location, *facts)
    if location.startswith("s3://"):
        keys = find_s3(location, options, max_depth=1)
        named = [(PurePosixPath(key).name, *facts) for key, facts in keys.items()]
    elif kind == "frames":
        named = [(entry.name, *_facts(entry)) for entry in _scan(location)]
    else:
        named = (
            [(Path(location).name, *_facts(Path(location)))] if Path(location).is_file() else []
        )
    if kind == "frames":
        images = [entry for entry in named if is_numbered_image(entry[0])]
        return _found_frames(location, uri, images) if images else None
    return next((Found(uri, location, size, changed) for _, size, changed in named), None)


def is_video(name: str) -> bool:
    """Say whether a file name has an extension of a video."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in VIDEO_SUFFIXES


def _lines(path: Path) -> list[str]:
    try:
        if path.suffix.lower() == ".txt":
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return _csv_column(path) if path.suffix.lower() == ".csv" else _parquet_column(path)
    except (OSError, ValueError) as error:
        raise SpecError(f"List of videos {path} cannot be read: {error}.") from error


def _csv_column(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        column = _list_column(path, reader.fieldnames or ())
        return [row[column] for row in reader if row[column]]


def _parquet_column(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    column = _list_column(path, pq.read_schema(path).names)
    values = pq.read_table(path, columns=[column]).column(column).to_pylist()
    return [str(value) for value in values if value]


def _list_column(path: Path, names: Iterable[str]) -> str:
    names = list(names)
    for column in _LIST_COLUMNS:
        if column in names:
            return column
    raise SpecError(
        f"List {path} has columns {names}; expected one of {', '.join(_LIST_COLUMNS)}."
    )


def _videos(
    folder: str, prefix: str, entries: list[os.DirEntry[str]], excludes: Excludes
) -> Iterator[Found]:
    """Yield the videos among the entries of one folder."""
    for entry in entries:
        uri = prefix + entry.name
        if is_video(entry.name) and not excludes.file(uri) and entry.is_file():
            yield Found(uri, entry.path, *_facts(entry))
    images = [(e.name, *_facts(e)) for e in entries if is_numbered_image(e.name)]
    if len(images) > 1:
        yield _found_frames(folder, prefix, images)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _place(folder: str) -> tuple[int, int] | None:
    """Return what identifies a folder however it is reached; None when it is not there."""
    try:
        facts = os.stat(folder)  # noqa: PTH116 - called for every folder of an archive
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []  # gone since its parent was listed
    except PermissionError as error:
        raise SpecError(
            f"Folder {folder} may not be listed: give permission, or exclude it."
        ) from error
    except OSError as error:
        raise TransientError(f"Folder {folder} could not be listed: {error}.") from error


def _facts(entry: os.DirEntry[str] | Path) -> tuple[int, str]:
    """Return size in bytes and time of change of a file; zeros when it has just gone."""
    try:
        facts = entry.stat()
    except OSError:
        return 0, "0"
    return facts.st_size, str(facts.st_mtime_ns)


def _found_frames(location: str, uri: str, images: list[tuple[str, int, str]]) -> Found:
    digest = hashlib.blake2b(
        repr(sorted(images)).encode(errors="surrogateescape"), digest_size=8
    )
    total_bytes = sum(size for _, size, _ in images)
    return Found(uri.rstrip("/") or ".", location, total_bytes, digest.hexdigest(), "frames")
