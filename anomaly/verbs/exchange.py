"""`export` and `import`: features as plain .npy files, for tools that know nothing of our store.

Two layouts. `pair`, as in Rahmani and Soleimani: `normal_features_<model>.npy` and
`anomaly_features_<model>.npy`, one row a frame, and no word about videos. `videos`, as lists of I3D
features have it: one file (rows, D) a video, named like it, and `list.txt`. Vectors of cells are averaged
row by row.

What is imported becomes an archive of stored features. A pair is marked `ungrouped`: nobody can tell which
rows are of one video, so nothing learnt from one part of it and judged by another would be honest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anomaly.catalog import Catalog, archive_name
from anomaly.datasets.labels import (
    ABNORMAL,
    IGNORED,
    NORMAL,
    LabelSet,
    check_known,
    read_labels,
)
from anomaly.errors import SpecError, StoreError
from anomaly.features import FeatureSpec, vector_block
from anomaly.features.store import FeatureGroup, FeatureStore
from anomaly.outcome import Outcome
from anomaly.storage import Root, open_root
from anomaly.verbs.look import IMPORTS_KEY, Look, init_root, look
from anomaly.video import ArchiveSpec, DecodeReport, PixelSpec, Video, VideoFile
from anomaly.video.content import content_of

Layout = Literal["pair", "videos"]
IMPORTED = "imported"
"""stands where a backbone, a camera or a decoder would be named"""
_ROWS = 4096
_PAIR = ("normal_features_", "anomaly_features_")


@dataclass(frozen=True, kw_only=True)
class ExchangeSummary:
    """What was written, or taken in."""

    archive: str
    files: dict[str, int]
    """rows of each .npy file"""
    dimension: int
    ungrouped: bool
    left_out: tuple[str, ...] = ()
    """videos without features, or without labels"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {**asdict(self), "left_out": list(self.left_out)}


def export_features(
    root: str,
    archive: ArchiveSpec,
    recipe: FeatureSpec,
    folder: Path,
    *,
    layout: Layout = "videos",
    model: str = "",
    labels: str = "",
    videos: Sequence[str] = (),
) -> ExchangeSummary:
    """Write stored features as .npy files, float32, in constant memory.

    Args:
        root: the root.
        archive: whose videos.
        recipe: which features.
        folder: where files go; made when missing.
        layout: `videos`, or `pair`, which needs `labels`.
        model: stands in the names of a pair; the backbone's name by default.
        labels: label file; ignored frames and unlabelled videos are left out of a pair.
        videos: globs of the videos; all without.

    Raises:
        SpecError: no chosen video has such features, or a pair was asked for without labels.
    """
    truth = read_labels(Path(labels)) if labels else None
    if layout == "pair" and truth is None:
        raise SpecError("A pair of normal and anomaly features needs --labels FILE.")
    seen = look(root, archive)
    if truth is not None:
        check_known(truth, [file.uri for file in seen.files])
    files = seen.chosen(videos)
    groups = _groups(seen, files, recipe)
    if not groups:
        raise SpecError(
            f"None of {len(files)} chosen videos has features of {recipe.backbone!r} with these parameters "
            "in this root: run `anomaly extract` with them first."
        )
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "pair" and truth is not None:
        groups = {uri: group for uri, group in groups.items() if uri in truth.videos}
        written = _write_pair(folder, groups, truth, model or recipe.backbone)
    else:
        written = {
            f"{uri}.npy": _write(folder / f"{uri}.npy", [(group, None)])
            for uri, group in groups.items()
        }
        (folder / "list.txt").write_text("".join(f"{name}\n" for name in written))
    return ExchangeSummary(
        archive=seen.archive,
        files=written,
        dimension=next(iter(groups.values())).dimension if groups else 0,
        ungrouped=layout == "pair",
        left_out=tuple(file.uri for file in files if file.uri not in groups),
    )


def _groups(
    seen: Look, files: Sequence[VideoFile], recipe: FeatureSpec
) -> dict[str, FeatureGroup]:
    store = FeatureStore(seen.root)
    opened = {
        file.uri: store.open(recipe, seen.rows[file.uri].content or "-") for file in files
    }
    return {uri: group for uri, group in opened.items() if group is not None}


def _write_pair(
    folder: Path, groups: dict[str, FeatureGroup], truth: LabelSet, model: str
) -> dict[str, int]:
    classes = {uri: _classes_T(truth, uri, group) for uri, group in groups.items()}
    written = {}
    for prefix, wanted in zip(_PAIR, (NORMAL, ABNORMAL), strict=True):
        chosen = [(group, classes[uri] == wanted) for uri, group in groups.items()]
        name = f"{prefix}{model}.npy"
        written[name] = _write(folder / name, chosen)
    return written


def _classes_T(truth: LabelSet, uri: str, group: FeatureGroup) -> NDArray[np.int16]:
    """Return 0, 1 or -1 for each row: normal, abnormal of any kind, ignored."""
    classes_T = truth.row_classes(uri, group.index_T(), group.seconds_T(), 0.0)
    if classes_T is None:  # abnormal as a whole
        return np.full(group.n_rows, ABNORMAL, dtype=np.int16)
    return np.where(classes_T == IGNORED, IGNORED, np.minimum(classes_T, ABNORMAL))


def _write(path: Path, chosen: Sequence[tuple[FeatureGroup, NDArray[np.bool_] | None]]) -> int:
    """Write the chosen rows of groups one after the other as one array; return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_rows = sum(g.n_rows if rows_T is None else int(rows_T.sum()) for g, rows_T in chosen)
    dimension = chosen[0][0].dimension
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, dimension)}
        np.lib.format.write_array_header_1_0(file, header)
        for group, rows_T in chosen:
            for start in range(0, group.n_rows, _ROWS):
                stop = min(start + _ROWS, group.n_rows)
                vectors_TD = group.read(start, stop).pooled_TD().astype("<f4")
                file.write(
                    vectors_TD[slice(None) if rows_T is None else rows_T[start:stop]].tobytes()
                )
    return n_rows


def imported_recipe(model: str, *, ungrouped: bool) -> FeatureSpec:
    """Return the recipe of imported features: what made them is known by the name of a model alone."""
    return FeatureSpec(
        backbone=IMPORTED,
        parameters={"model": model, "ungrouped": ungrouped},
        version=1,
        weights="unknown",
        pixels=PixelSpec(),
        dtype="float32",
    )


def import_features(
    root: str, folder: Path, *, model: str, name: str = "", row_seconds: float = 1 / 25
) -> ExchangeSummary:
    """Take in a pair, or else all .npy files of a folder, as an archive of stored features.

    A file that is there already is left alone. Arrays of four axes are averaged over the last two, of
    three (rows, crops, D) over the middle one.

    Args:
        root: the root.
        folder: where the files are.
        model: what made the features; of a pair it stands in the names of the files.
        name: name of the archive; the folder's by default.
        row_seconds: time from one row to the next.

    Raises:
        SpecError: there is nothing to import.
        StoreError: a file is no array of vectors.
    """
    pair = [folder / f"{prefix}{model}.npy" for prefix in _PAIR]
    ungrouped = any(path.is_file() for path in pair)
    paths = (
        [path for path in pair if path.is_file()]
        if ungrouped
        else sorted(folder.rglob("*.npy"))
    )
    if not paths:
        raise SpecError(f"{folder} holds no .npy file of features.")
    opened = open_root(root)
    init_root(opened)
    archive = archive_name(opened, str(folder.absolute()), name)
    files = [_file(archive, folder, path) for path in paths]
    recipe = imported_recipe(model, ungrouped=ungrouped)
    store, catalog = FeatureStore(opened), Catalog(opened, archive)
    looked = catalog.look(files)
    outcomes, facts, written, dimension = [], {}, {}, 0
    for file, path in zip(files, paths, strict=True):
        content = content_of(path)
        group = store.open(recipe, content) or _store(store, recipe, content, path, row_seconds)
        outcomes.append(Outcome(uri=file.uri, status="ok", content=content))
        facts[content] = group.catalog_facts()
        written[file.uri], dimension = group.n_rows, group.dimension
    catalog.record(outcomes, facts, looked)
    known = {"location": str(folder.absolute()), "model": model, "ungrouped": ungrouped}
    _remember(opened, archive, known)
    return ExchangeSummary(
        archive=archive, files=written, dimension=dimension, ungrouped=ungrouped
    )


def _remember(root: Root, archive: str, facts: dict[str, Any]) -> None:
    def change(data: bytes | None) -> bytes:
        known = json.loads(data) if data else {}
        return json.dumps({**known, archive: facts}, indent=2, sort_keys=True).encode() + b"\n"

    root.update(IMPORTS_KEY, change)


def _file(archive: str, folder: Path, path: Path) -> VideoFile:
    facts = path.stat()
    return VideoFile(
        archive=archive,
        uri=path.relative_to(folder).as_posix(),
        location=str(path.absolute()),
        bytes=facts.st_size,
        modified=str(facts.st_mtime_ns),
        camera=IMPORTED,
        start_time=None,
    )


def _store(
    store: FeatureStore, recipe: FeatureSpec, content: str, path: Path, row_seconds: float
) -> FeatureGroup:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise StoreError(f"{path} is no plain array: {error}.") from error
    if array.ndim not in {2, 3, 4} or not len(array) or array.dtype.kind not in "fiu":
        raise StoreError(
            f"{path} holds {array.dtype} of shape {array.shape}; expected vectors (rows, D), (rows, crops, "
            "D) or maps (rows, D, height, width)."
        )
    with store.root.lease(f"import/{content}") as held:
        if not held:
            raise StoreError(f"{path} is being imported by another process.")
        writer = store.writer(recipe, content)
        for index_T, vectors_TD in _vectors(array):
            seconds_T = np.multiply(index_T, row_seconds, dtype=np.float64)
            writer.append(vector_block(index_T, seconds_T, vectors_TD))
        n_rows = len(array)
        return writer.close(_report(n_rows, row_seconds))


def _vectors(array: NDArray[Any]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    mean_over = {2: (), 3: (1,), 4: (2, 3)}[array.ndim]
    for start in range(0, len(array), _ROWS):
        rows = np.asarray(array[start : start + _ROWS], dtype=np.float32)
        yield (
            np.arange(start, start + len(rows)),
            rows.mean(axis=mean_over) if mean_over else rows,
        )


def _report(n_rows: int, row_seconds: float) -> DecodeReport:
    nothing = Video(n_frames=n_rows, rate=None, height=0, width=0, codec="", rotation=0)
    return DecodeReport(
        video=nothing,
        n_frames=n_rows,
        n_decoded=n_rows,
        n_damaged=0,
        duration_seconds=n_rows * row_seconds,
        decoder=IMPORTED,
    )
