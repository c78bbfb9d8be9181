"""Stored features: one Zarr group for each (recipe, content), on disk or S3.

    features/<recipe>/recipe.json          the recipe in plain words
    features/<recipe>/<content>/zarr.json  attributes, consolidated metadata; says `complete`, written LAST
        features      (N, D)  vectors of all cells, row after row, in the recipe's dtype
        offsets       (T+1,)  cells of row t are offsets[t] to offsets[t+1]     } of grid
        place         (N, 2)  grid row and column of each cell                  } backbones
        gate          (T, 2)  what the gate did with each row, and its error where measured; if there is one
        frame_index   (T,)    source frame of each row
        seconds       (T,)    presentation time from the first frame
        picture       (T, 6)  what each picture is like: columns `features.picture.STATISTICS`
        views         (V, H, W)  a small grey picture of every five seconds
        view_seconds  (V,)    when each view begins

A group without `complete` is invisible. What a killed writer left of it is gone on with when the frames
come from the same decoder (`resume`; until then `progress/` holds the cells of each row), else wiped.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import StoreError, TransientError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.features.columns import Column, GrowingColumn
from anomaly.features.gate import summary
from anomaly.features.picture import Picture
from anomaly.features.resume import LeftOver, forget_counts, left_over, save_counts
from anomaly.shapes import expect
from anomaly.spec import fingerprint, to_dict
from anomaly.storage import Root
from anomaly.video import DecodeReport

CHUNK_BYTES = 4 * 2**20
_BULKY = frozenset({"features", "place"})
"""arrays of cells; the others have a few numbers a row, and a smaller chunk holds many minutes"""
_SMALLER = 4
"""times that their chunks are smaller"""
_LOOKUPS_AT_ONCE = 16
_PICTURE_BYTES_KEPT = 32 * 2**20
_LARGEST_BYTE = 254  # the largest number of a type stands for what is lost


class FeatureStore:
    """All stored features of a root."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._pictures: dict[str, Picture] = {}  # the one last asked for is the last

    def open(self, recipe: FeatureSpec, content: str) -> FeatureGroup | None:
        """Return the features of one video; None unless they are there and complete."""
        return _open(self.root, group_key(recipe, content))

    def picture(self, recipe: FeatureSpec, content: str) -> Picture | None:
        """Return what the pictures of one video are like; None where that is not stored.

        The last ones are kept: neighbouring videos of a camera ask for the same.
        """
        key = group_key(recipe, content)
        picture = self._pictures.pop(key, None)
        if picture is None and (group := _open(self.root, key)) is not None:
            picture = group.picture()
        if picture is not None:
            self._pictures[key] = picture
        while len(self._pictures) > 1 and self._picture_bytes > _PICTURE_BYTES_KEPT:
            self._pictures.pop(next(iter(self._pictures)))
        return picture

    @property
    def _picture_bytes(self) -> int:
        return sum(picture.n_bytes for picture in self._pictures.values())

    def complete(self, recipe: FeatureSpec, contents: Collection[str]) -> set[str]:
        """Return those of `contents` whose features are complete."""
        keys = [group_key(recipe, content) for content in contents]
        with ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as pool:
            found = pool.map(lambda key: _attributes(self.root, key), keys)
            return {c for c, facts in zip(contents, found, strict=True) if _is_complete(facts)}

    def contents(self, recipe: FeatureSpec) -> set[str]:
        """Return the contents that have a group of this recipe, incomplete ones too; one listing."""
        return set(self.root.folders(recipe_key(recipe)))

    def of_content(self, content: str) -> dict[str, dict[str, Any]]:
        """Return what is stored of one video: the facts of its group, by key of the recipe.

        `recipe` among them is the recipe in plain words; an incomplete group says `complete: false`.
        """
        found = {}
        for folder in self.root.folders("features") if content else ():
            facts = _attributes(self.root, f"features/{folder}/{content}")
            if facts is not None:
                plain = {name: facts[name] for name in facts if name != "writer"}
                recipe = self.root.read_json(f"features/{folder}/recipe.json")
                size = self.root.size(f"features/{folder}/{content}")
                found[folder] = {**plain, "bytes": size, "recipe": recipe}
        return found

    def writer(self, recipe: FeatureSpec, content: str, *, decoder: str = "") -> FeatureWriter:
        """Begin a group, or go on with it; call under a lease on its key.

        Args:
            recipe: the recipe.
            content: the video.
            decoder: what reads the frames; rows that an earlier writer stored are kept when it was named
                the same one, and `n_rows` of the new writer tells how many. Without a name they are wiped.

        Raises:
            StoreError: the store cannot be written.
        """
        folder, key = recipe_key(recipe), group_key(recipe, content)
        if not self.root.exists(f"{folder}/recipe.json"):
            self.root.publish_json(f"{folder}/recipe.json", to_dict(recipe))
        facts = _attributes(self.root, key) or {}
        begun = facts.get("complete") is False and "grid" in facts
        left = None
        if decoder and begun and facts["decoder"] == decoder:
            left = left_over(self.root, key, _chunk_bytes, _grid(facts))
        return FeatureWriter(self.root, key, np.dtype(recipe.dtype), decoder, left)

    def bytes_stored(self) -> int:
        """Return the bytes of all features, incomplete ones counted."""
        return self.root.size("features")

    def expire(self, *, nights: int, now: datetime | None = None) -> list[str]:
        """Remove groups begun or completed more than `nights` days ago; return their keys.

        Left-overs of a removal that was killed go too.
        """
        oldest = (now or datetime.now(UTC)) - timedelta(days=nights)
        gone = []
        for folder in self.root.folders("features"):
            for content in self.root.folders(f"features/{folder}"):
                key = f"features/{folder}/{content}"
                if content != "recipe.json" and self._is_older(key, oldest):
                    wipe(self.root, key)
                    gone.append(key)
        return gone

    def _is_older(self, key: str, oldest: datetime) -> bool:
        facts = _attributes(self.root, key)
        return facts is None or datetime.fromisoformat(facts["written_at"]) < oldest


def recipe_key(recipe: FeatureSpec) -> str:
    """Return the key below which all features of a recipe lie."""
    return f"features/{fingerprint(recipe)}"


def group_key(recipe: FeatureSpec, content: str) -> str:
    """Return the key of one group; a lease on it makes one writer at a time."""
    return f"{recipe_key(recipe)}/{content}"


def wipe(root: Root, key: str) -> None:
    """Remove a group; its metadata first, so that a kill in between leaves nothing visible."""
    root.delete(f"{key}/zarr.json")
    root.delete(key)


class FeatureGroup:
    """The stored features of one video, read lazily; a `windows.bags.FeatureSource`.

    Keeps the chunks around the last read, so that reading block after block decodes each chunk once.
    It pickles as its address.
    """

    def __init__(self, root: Root, key: str, attributes: Mapping[str, Any]) -> None:
        self.root = root
        self.key = key
        self.attributes = attributes
        """decoder, restarts, n_damaged, rate, height, width, codec, written_at and the figures below"""

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (FeatureGroup, (self.root, self.key, self.attributes))

    @property
    def n_rows(self) -> int:
        """Frames that were looked at."""
        return int(self.attributes["n_rows"])

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.attributes["dimension"])

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the grid; None for one vector a row."""
        return _grid(self.attributes)

    @property
    def n_frames(self) -> int:
        """Length of the video in frames, holes counted."""
        return int(self.attributes["n_frames"])

    @property
    def duration_seconds(self) -> float:
        """Playing time of the video."""
        return float(self.attributes["duration_seconds"])

    def catalog_facts(self) -> dict[str, Any]:
        """Return the columns of the catalog that are known of the video."""
        names = ("n_frames", "rate", "height", "width", "codec", "duration_seconds")
        facts = {name: self.attributes[name] for name in names}
        return {**facts, "frames_lost": self.attributes["n_damaged"]}

    def index_T(self) -> NDArray[np.int64]:
        """Return the source frame of each row, shape (T,)."""
        return self._columns["frame_index"].read(0, self.n_rows)

    def seconds_T(self) -> NDArray[np.float64]:
        """Return the presentation time of each row in seconds, shape (T,)."""
        return self._columns["seconds"].read(0, self.n_rows)

    def brightness_T(self) -> NDArray[np.float32]:
        """Return the mean brightness of each row's picture, shape (T,), 0 to 255."""
        return self._light_T2()[:, 0]

    def difference_T(self) -> NDArray[np.float32]:
        """Return the mean absolute change since the row before, shape (T,), 0 to 255; first 0."""
        return self._light_T2()[:, 1]

    def gate_T2(self) -> NDArray[np.float32] | None:
        """Return what the gate did with each row (`features.gate`); None where there was none."""
        column = self._columns.get("gate")
        return None if column is None else column.read(0, self.n_rows)

    def picture(self) -> Picture | None:
        """Return what the camera's picture was like; None where it was not measured."""
        if "views" not in self._columns:
            return None
        views, begins = self._columns["views"], self._columns["view_seconds"]
        n_views = begins.array.shape[0]
        return Picture(
            self._columns["picture"].read(0, self.n_rows),
            views.read(0, n_views),
            begins.read(0, n_views),
        )

    def first_view(self) -> NDArray[np.uint8] | None:
        """Return the small picture of the first seconds, (H, W); None where it was not measured."""
        views = self._columns.get("views")
        return None if views is None or not views.array.shape[0] else views.read(0, 1)[0]

    def _light_T2(self) -> NDArray[np.float32]:
        """Return brightness and change of each row; older groups hold nothing else of the picture."""
        name = "picture" if "picture" in self._columns else "light"
        return self._columns[name].read(0, self.n_rows)[:, :2]

    def read(self, start: int, stop: int) -> FeatureBlock:
        """Return rows `start` to `stop` (half-open); values come back as float32.

        Raises:
            StoreError: there are no such rows, or stored data have been lost.
        """
        if not 0 <= start <= stop <= self.n_rows:
            raise StoreError(
                f"{self.root.address(self.key)} has {self.n_rows} rows; {start}:{stop} was asked for."
            )
        offsets_S, place_N2 = np.arange(start, stop + 1, dtype=np.int64), None
        if self.grid is not None:
            offsets_S = self._columns["offsets"].read(start, stop + 1)
            cells = int(offsets_S[0]), int(offsets_S[-1])
            place_N2 = self._columns["place"].read(*cells).astype(np.int16)
        values_ND = self._columns["features"].read(int(offsets_S[0]), int(offsets_S[-1]))
        return FeatureBlock(
            self._columns["frame_index"].read(start, stop),
            self._columns["seconds"].read(start, stop),
            values_ND.astype(np.float32),
            offsets_S - offsets_S[0],
            place_N2,
            self.grid,
        )

    @cached_property
    def _columns(self) -> dict[str, Column]:
        import zarr

        with self.root.translated_errors(self.key):
            group = zarr.open_group(
                self.root.zarr_store(self.key), mode="r", use_consolidated=True
            )
            return {name: Column(self.root, self.key, array) for name, array in group.arrays()}


class FeatureWriter:
    """Writes one group in constant memory; nothing is visible before `close` has returned."""

    def __init__(
        self,
        root: Root,
        key: str,
        dtype: np.dtype[Any],
        decoder: str = "",
        left: LeftOver | None = None,
    ) -> None:
        self.root = root
        self.key = key
        self.dtype = dtype
        self.n_rows = 0
        self.n_cells = 0
        self.dimension = 0
        self.grid: tuple[int, int] | None = None
        self._token = uuid.uuid4().hex
        self._columns: dict[str, GrowingColumn] = {}
        self._unsaved_counts: list[NDArray[np.int64]] = []
        self._first_unsaved_row = 0
        self._audits: list[NDArray[np.float32]] = []
        self._decoder = decoder
        if left is None:
            wipe(root, key)
            self._publish({"complete": False})
        else:
            self._go_on(left)

    def _go_on(self, left: LeftOver) -> None:
        """Take over what is stored: vectors follow on, everything else is told from the start again."""
        self.n_rows = self._first_unsaved_row = left.n_rows
        self.n_cells = int(left.offsets_S[-1])
        self.dimension, self.grid = left.dimension, left.grid
        self._begin()
        for name, n_stored in left.n_stored.items():
            follows_on = name in {"features", "place"}
            column = self._column(name)
            column.go_on(n_stored, told_from=self.n_cells if follows_on else 0)
        if self.grid is not None:
            self._put("offsets", left.offsets_S)

    def _begin(self) -> None:
        """Say what a later writer needs to know to go on."""
        self._publish({"complete": False, "decoder": self._decoder, "grid": self.grid})

    def append(self, block: FeatureBlock) -> None:
        """Add the next rows.

        Raises:
            StoreError: a value is not finite, or the block does not fit the ones before.
        """
        if self.n_rows == 0:
            self.dimension, self.grid = block.values_ND.shape[1], block.grid
            if self._decoder:
                self._check_ours()
                self._begin()
        expect("values", block.values_ND, "N D", D=self.dimension)
        if block.grid != self.grid:
            raise StoreError(f"A block has grid {block.grid}, expected {self.grid}.")
        self._put("features", self._narrowed(block.values_ND))
        self._put("frame_index", block.index_T)
        self._put("seconds", block.seconds_T)
        if block.place_N2 is not None:
            offsets_S = block.offsets_S + self.n_cells
            self._put("offsets", offsets_S if self.n_rows == 0 else offsets_S[1:])
            self._put("place", block.place_N2.astype(np.int16))
            self._save_counts(np.diff(block.offsets_S))
        if block.gate_T2 is not None:
            self._put("gate", block.gate_T2)
            self._audits.append(block.gate_T2)
        self.n_rows += len(block)
        self.n_cells += len(block.values_ND)

    def append_times(self, index_T: NDArray[np.int64], seconds_T: NDArray[np.float64]) -> None:
        """Tell source frame and time of rows whose vectors were stored by an earlier writer."""
        self._put("frame_index", index_T)
        self._put("seconds", seconds_T)

    def append_picture(self, picture: Picture) -> None:
        """Add what the pictures of the next rows are like, which may run ahead of the features."""
        self._put("picture", picture.statistics_TK)
        if len(picture.views_VHW):
            self._put("views", picture.views_VHW)
            self._put("view_seconds", picture.view_seconds_V)

    def close(self, report: DecodeReport) -> FeatureGroup:
        """Write the rest and make the group visible, whole.

        Raises:
            StoreError: there are no rows, or the store cannot be written.
            TransientError: another writer has taken the group over.
        """
        if self.n_rows == 0:
            raise StoreError(f"{self.root.address(self.key)}: no row was written.")
        self._check_ours()
        arrays = {name: column.finish() for name, column in self._columns.items()}
        self._check_ours()
        if self._first_unsaved_row:
            forget_counts(self.root, self.key)
        attributes = {**_facts(report), **self._sizes(), "complete": True}
        if self._audits:
            attributes["gate"] = summary(np.concatenate(self._audits))
        self._publish(attributes, arrays)
        return FeatureGroup(self.root, self.key, attributes)

    def discard(self) -> None:
        """Remove what was written so far, unless another writer has taken the group over."""
        if self._is_ours():
            wipe(self.root, self.key)

    def _put(self, name: str, rows: NDArray[Any]) -> None:
        self._column(name).append(rows)

    def _column(self, name: str) -> GrowingColumn:
        if name not in self._columns:
            self._columns[name] = GrowingColumn(
                self.root,
                f"{self.key}/{name}",
                chunk_bytes=_chunk_bytes(name),
                check=self._check_ours,
            )
        return self._columns[name]

    def _save_counts(self, counts_T: NDArray[np.int64]) -> None:
        """Put down how many cells rows have whenever vectors have been: offsets wait much longer."""
        self._unsaved_counts.append(counts_T)
        if self._columns["place"].just_stored:
            counts_T = np.concatenate(self._unsaved_counts)
            save_counts(self.root, self.key, self._first_unsaved_row, counts_T)
            self._first_unsaved_row += len(counts_T)
            self._unsaved_counts = []

    def _narrowed(self, values_ND: NDArray[np.floating[Any]]) -> NDArray[Any]:
        if not np.isfinite(values_ND).all():
            raise StoreError(
                f"{self.root.address(self.key)}: a backbone gave values that are not finite. "
                "Check its weights."
            )
        if self.dtype == np.uint8:
            return np.clip(np.rint(values_ND), 0, _LARGEST_BYTE).astype(np.uint8)
        largest = np.finfo(self.dtype).max
        return np.clip(values_ND, -largest, largest).astype(self.dtype)

    def _sizes(self) -> dict[str, Any]:
        return {
            "n_rows": self.n_rows,
            "n_cells": self.n_cells,
            "dimension": self.dimension,
            "grid": self.grid,
        }

    def _check_ours(self) -> None:
        if not self._is_ours():
            raise TransientError(
                f"{self.root.address(self.key)} was taken over by another writer, or removed, "
                "while it was written."
            )

    def _is_ours(self) -> bool:
        found = _attributes(self.root, self.key)
        return found is not None and found.get("writer") == self._token

    def _publish(
        self, attributes: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
    ) -> None:
        """Write the group's metadata in one piece, as Zarr v3 has them."""
        written_at = datetime.now(UTC).isoformat(timespec="seconds")
        marked = {**attributes, "written_at": written_at, "writer": self._token}
        metadata = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": marked,
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": dict(arrays or {}),
            },
        }
        self.root.publish(f"{self.key}/zarr.json", json.dumps(metadata).encode())


def _chunk_bytes(name: str) -> int:
    """Return how large chunks of an array are."""
    return CHUNK_BYTES if name in _BULKY else CHUNK_BYTES // _SMALLER


def _facts(report: DecodeReport) -> dict[str, Any]:
    video = report.video
    height, width = video.shown_size
    return {
        "n_frames": report.n_frames,
        "n_damaged": report.n_damaged,
        "duration_seconds": report.duration_seconds,
        "decoder": report.decoder,
        "restarts": report.restarts,
        "rate": None if video.rate is None else float(video.rate),
        "height": height,
        "width": width,
        "codec": video.codec,
    }


def _attributes(root: Root, key: str) -> dict[str, Any] | None:
    metadata = root.read_json(f"{key}/zarr.json")
    return None if metadata is None else dict(metadata["attributes"])


def _grid(attributes: Mapping[str, Any]) -> tuple[int, int] | None:
    grid = attributes["grid"]
    return None if grid is None else (int(grid[0]), int(grid[1]))


def _is_complete(attributes: Mapping[str, Any] | None) -> bool:
    return attributes is not None and attributes["complete"] is True


def _open(root: Root, key: str) -> FeatureGroup | None:
    attributes = _attributes(root, key)
    if attributes is None or not _is_complete(attributes):
        return None
    return FeatureGroup(root, key, attributes)
