"""From an archive to its videos: which there are, whose they are, when they were recorded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from anomaly.errors import SpecError
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.listing import (
    LIST_SUFFIXES,
    Excludes,
    Found,
    list_file,
    list_folder,
    list_s3,
    list_tar,
    look,
    matcher,
)
from anomaly.video.remote import is_remote
from anomaly.video.tar import is_tar

DEFAULT_CAMERA = "default"
_GLOB_CHARACTERS = re.compile(r"[*?\[]")
_CLOCK_GROUPS = ("year", "month", "day", "hour", "minute", "second")


def find(
    spec: ArchiveSpec,
    *,
    name: str,
    own_root: str = "",
    storage_options: Mapping[str, Any] | None = None,
) -> list[VideoFile]:
    """Return the videos of an archive, sorted by uri; nothing of them is read.

    A folder of two or more numbered images is one video of kind `frames`. A list file is taken at its
    word: what it names passes no excludes, and what does not exist is returned with 0 bytes.

    Args:
        spec: the archive.
        name: goes into `VideoFile.archive`.
        own_root: root of our own stores; left out where it lies inside the archive.
        storage_options: for s3fs; credentials come from the default chain.

    Raises:
        SpecError: the root is missing or cannot be listed; the list, the pattern, the time format or the
            time zone is wrong.
        TransientError: the file system or object store failed to answer.
    """
    labels = _Labels(spec)
    found = sorted(_listed(spec, own_root, storage_options or {}), key=lambda video: video.uri)
    files = [labels.file(video, name) for video in found]
    labels.check()
    return files


def select(files: Sequence[VideoFile], globs: Sequence[str]) -> list[VideoFile]:
    """Return the files whose uri matches any of `globs` (`*` also matches slashes); all without globs.

    Raises:
        SpecError: nothing matches; the message names some uris that there are.
    """
    if not globs:
        return list(files)
    matches = matcher(globs)
    chosen = [file for file in files if matches(file.uri)]
    if not chosen:
        shown = ", ".join(file.uri for file in files[:3]) or "no video at all"
        raise SpecError(
            f"No video matches {' or '.join(map(repr, globs))}; the archive holds {shown}, ..."
        )
    return chosen


def unchanged(file: VideoFile, storage_options: Mapping[str, Any] | None = None) -> bool:
    """Look at one video again and say whether its size and time of change are still the same.

    Raises:
        TransientError: the file system or object store failed to answer.
    """
    again = look(file.uri, file.location, file.kind, storage_options or {})
    return again is not None and (again.bytes, again.modified) == (file.bytes, file.modified)


def _listed(spec: ArchiveSpec, own_root: str, options: Mapping[str, Any]) -> Iterator[Found]:
    base, pattern = _split_glob(spec.root)
    excludes = Excludes(spec.exclude)
    path = Path(base).expanduser().absolute()
    if is_tar(pattern or base) and (pattern or path.is_file() or is_remote(base)):
        return _in_tars(base, pattern, options)
    if base.startswith("s3://"):
        found = list_s3(base, excludes, own_root=own_root, options=options)
    elif path.is_dir():
        max_depth = pattern.count("/") + 1 if pattern and "**" not in pattern else None
        found = list_folder(path, excludes, own_root=own_root, max_depth=max_depth)
    elif path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        found = list_file(path, options)
    else:
        raise _no_root(spec.root, path)
    if not pattern:
        return found
    from fsspec.utils import glob_translate

    wanted = re.compile(glob_translate(pattern))
    return (video for video in found if wanted.match(video.uri))


def _in_tars(base: str, pattern: str, options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the videos in one tar file, or in all of a folder that match a glob."""
    if not pattern:
        yield from list_tar(base, "", options)
        return
    folder = Path(base).expanduser().absolute()
    for tar in sorted(folder.glob(pattern)):
        yield from list_tar(str(tar), f"{tar.relative_to(folder).as_posix()}/", options)


def _split_glob(root: str) -> tuple[str, str]:
    """Split a glob into the folder that holds all matches and the pattern below it."""
    if not _GLOB_CHARACTERS.search(root) or Path(root).expanduser().exists():
        return root.rstrip("/") or "/", ""
    parts = root.rstrip("/").split("/")
    first = next(place for place, part in enumerate(parts) if _GLOB_CHARACTERS.search(part))
    base = "/".join(parts[:first]) or ("/" if root.startswith("/") else ".")
    return base, "/".join(parts[first:])


def _no_root(root: str, path: Path) -> SpecError:
    if path.is_file():
        return SpecError(
            f"Archive {root!r} is one file; name its folder, a glob, or a list of videos "
            f"({', '.join(sorted(LIST_SUFFIXES))})."
        )
    return SpecError(
        f"Archive {root!r} does not exist; expected a folder, glob, list file, tar file or s3:// prefix."
    )


class _Labels:
    """Reads camera and start time from names, as the spec says."""

    def __init__(self, spec: ArchiveSpec) -> None:
        self.spec = spec
        self.zone = clock_of(spec.time_zone)
        self.fold = int(spec.repeated_hour == "second")
        self.unread_time = ""
        self.any_time = False
        try:
            self.pattern = re.compile(spec.pattern) if spec.pattern else None
        except re.error as error:
            raise SpecError(
                f"Pattern {spec.pattern!r} is no regular expression: {error}."
            ) from error

    def file(self, found: Found, archive: str) -> VideoFile:
        """Return the found video with its camera and start time."""
        match = self.pattern.search(found.uri) if self.pattern else None
        groups = {} if match is None else {k: v for k, v in match.groupdict().items() if v}
        parent = PurePosixPath(found.uri).parent.name
        return VideoFile(
            archive=archive,
            uri=_printable(found.uri),
            location=found.location,
            bytes=found.bytes,
            modified=found.modified,
            camera=_printable(groups.get("camera") or parent or DEFAULT_CAMERA),
            start_time=self._start_time(groups),
            kind=found.kind,
        )

    def check(self) -> None:
        """Raise `SpecError` when there were times in names and none could be read."""
        if self.unread_time and not self.any_time:
            raise SpecError(
                f"No start time could be read: found {self.unread_time!r} in a name, "
                f"expected a time like {self.spec.time_format!r}."
            )

    def _start_time(self, groups: Mapping[str, str]) -> datetime | None:
        text = groups.get("time") or " ".join(groups[k] for k in _CLOCK_GROUPS if k in groups)
        if not text:
            return None
        try:
            clock = self._clock(groups)
        except (ValueError, OverflowError):
            self.unread_time = text
            return None
        self.any_time = True
        return self._local(clock)

    def _clock(self, groups: Mapping[str, str]) -> datetime:
        if "time" in groups:
            return datetime.strptime(groups["time"], self.spec.time_format)  # noqa: DTZ007 - zone follows
        parts = {name: int(groups[name]) for name in _CLOCK_GROUPS if name in groups}
        if len(parts) < 3 or not {"year", "month", "day"} <= set(parts):
            raise ValueError("a date needs year, month and day")
        parts["year"] += 2000 if parts["year"] < 100 else 0
        return datetime(**parts)  # type: ignore[arg-type] # noqa: DTZ001 - the zone follows

    def _local(self, clock: datetime) -> datetime:
        """Return what the cameras' clock shows as a time of its zone.

        An hour that is left out when clocks are set forward is read by the clock that was not set yet.
        """
        if clock.tzinfo is not None:
            return clock.astimezone(self.zone)
        local = clock.replace(tzinfo=self.zone, fold=self.fold)
        exists = local.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == clock
        return local if exists else local.replace(fold=0).astimezone(UTC).astimezone(self.zone)


def clock_of(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name.

    Raises:
        SpecError: there is none; the message names the nearest.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SpecError(f"No time zone named {name!r}; expected an IANA name.{hint}") from error


def _printable(uri: str) -> str:
    """Return a name that is no valid UTF-8 with its odd bytes written out, so that tables can hold it."""
    return (
        uri
        if uri.isascii()
        else uri.encode(errors="surrogateescape").decode(errors="backslashreplace")
    )
