"""The beginning of every verb: open the root, find the archive's videos, learn what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.catalog import (
    Catalog,
    CatalogRow,
    archive_name,
    init_catalog,
    known_archives,
)
from anomaly.errors import SpecError
from anomaly.evaluation.results import init_results
from anomaly.registry import unknown_name
from anomaly.runs import init_runs
from anomaly.scores.tables import init_tables
from anomaly.storage import Root, open_root
from anomaly.video import ArchiveSpec, VideoFile
from anomaly.video.archive import find, select

IMPORTS_KEY = "catalog/imports.json"
"""what is known of archives of imported features, by name"""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at an archive: its videos, and what the root's catalog knows of them."""

    root: Root
    archive: str
    catalog: Catalog
    files: tuple[VideoFile, ...]
    """all videos of the archive"""
    rows: Mapping[str, CatalogRow]
    """their catalog rows by uri"""

    def chosen(self, globs: Sequence[str] = ()) -> list[VideoFile]:
        """Return the videos whose path matches one of `globs`; all of them without globs."""
        return select(self.files, globs)

    def usable(self, files: Sequence[VideoFile]) -> list[VideoFile]:
        """Return those files that are not in quarantine."""
        return [file for file in files if self.rows[file.uri].status != "quarantined"]


def init_root(root: Root) -> None:
    """Make the root's tables exist, empty, so that everything can be queried from the first day."""
    root.check_writable()
    init_catalog(root)
    init_tables(root)
    init_results(root)
    init_runs(root)


def look(
    root_url: str,
    archive: ArchiveSpec,
    *,
    check: Callable[[Sequence[VideoFile]], object] = len,
) -> Look:
    """Find the videos of `archive` and bring the root's catalog up to date; no video is read.

    Args:
        root_url: the root.
        archive: where the videos are.
        check: is given all videos before anything is written, to refuse a request that does not fit
            them.

    Raises:
        SpecError: the archive is missing or holds no video, `check` refuses, or the root cannot be
            written; nothing has been written then.
    """
    root = open_root(root_url)
    location = _location(archive.root)
    _check_not_imported(root, location)
    files = find(archive, name=archive.name, own_root=root.url)
    if not files:
        raise SpecError(
            f"No video found in {archive.root!r}. Expected a folder, a glob, a list file or an s3:// "
            "prefix that holds video files or folders of numbered images."
        )
    check(files)
    init_root(root)
    name = archive_name(root, location, archive.name)
    named = tuple(_named(file, name) for file in files)
    catalog = Catalog(root, name)
    return Look(root=root, archive=name, catalog=catalog, files=named, rows=catalog.look(named))


def known_archive(root: Root, archive: ArchiveSpec) -> str:
    """Return the name of an archive that was looked at before; it is not looked at now.

    `archive.root` may be the name itself, for an archive that cannot be reached today.

    Raises:
        SpecError: this root knows no such archive.
    """
    known = known_archives(root)
    location = _location(archive.root)
    for name, where in known.items():
        if (where == location or name == archive.root) and archive.name in {"", name}:
            return name
    wanted = archive.name or archive.root
    raise SpecError(
        f"{unknown_name('archive', wanted, list(known))} It is known once it was scanned into this root."
    )


def _check_not_imported(root: Root, location: str) -> None:
    """Refuse an archive of imported features: there is no video to look at, and often no honest split."""
    imports = root.read_json(IMPORTS_KEY) or {}
    for name, facts in imports.items():
        if facts["location"] == location:
            why = (
                "They are `ungrouped`: which rows are of one video is not known, so no split of them is "
                "honest, and nothing is trained or evaluated on them."
                if facts["ungrouped"]
                else "They are there for `FeatureStore.open`; verbs work on videos."
            )
            raise SpecError(
                f"Archive {name!r} holds imported features of {facts['model']!r} and no video. {why} "
                "Extract features from the videos instead."
            )


def _location(root: str) -> str:
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def _named(file: VideoFile, archive: str) -> VideoFile:
    from dataclasses import replace

    return replace(file, archive=archive)
