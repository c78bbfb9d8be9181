"""The feature store under any order of writing, killing, reopening and expiring."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import anomaly.features.store as store_module
from anomaly.errors import TransientError
from anomaly.features import FeatureBlock, FeatureSpec, concatenate
from anomaly.features.store import FeatureStore, FeatureWriter, group_key
from anomaly.storage import open_root
from anomaly.video import DecodeReport, PixelSpec, Video

CONTENTS = st.sampled_from(["aa", "bb", "cc"])
RECIPE = FeatureSpec(backbone="test", parameters={}, version=1, weights="", pixels=PixelSpec())
VIDEO = Video(n_frames=None, rate=Fraction(25), height=8, width=8, codec="h264", rotation=0)


def block_of(n_rows: int, seed: int, first: int) -> FeatureBlock:
    generator = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(generator.integers(0, 4, n_rows))])
    values = generator.normal(size=(offsets[-1], 2)).astype(np.float16).astype(np.float32)
    places = generator.integers(0, 5, (offsets[-1], 2)).astype(np.int16)
    index = np.arange(first, first + n_rows)
    return FeatureBlock(index, index / 25, values, offsets, places, (5, 5))


def report(n_frames: int) -> DecodeReport:
    return DecodeReport(
        video=VIDEO,
        n_frames=n_frames,
        n_decoded=n_frames,
        n_damaged=0,
        duration_seconds=n_frames / 25,
        decoder="pyav",
    )


class StoreMachine(RuleBasedStateMachine):
    """The model is a dict of what was closed; the store must show just that."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-machine-"))
        self.small_chunks = mock.patch.object(store_module, "CHUNK_BYTES", 64)
        self.small_chunks.start()
        self.root = open_root(str(self.folder))
        self.open: dict[str, tuple[FeatureWriter, list[FeatureBlock]]] = {}
        self.closed: dict[str, FeatureBlock] = {}

    def teardown(self) -> None:
        self.small_chunks.stop()
        shutil.rmtree(self.folder)

    @rule(content=CONTENTS)
    def begin(self, content: str) -> None:
        """Start a group; a writer that was at it counts as killed."""
        self.open[content] = (FeatureStore(self.root).writer(RECIPE, content), [])
        self.closed.pop(content, None)

    @rule(content=CONTENTS, n_rows=st.integers(1, 30), seed=st.integers(0, 99))
    def append(self, content: str, n_rows: int, seed: int) -> None:
        if content in self.open:
            writer, blocks = self.open[content]
            blocks.append(block_of(n_rows, seed, sum(map(len, blocks))))
            writer.append(blocks[-1])

    @rule(content=CONTENTS)
    def close(self, content: str) -> None:
        if self.open.get(content, (None, []))[1]:
            writer, blocks = self.open.pop(content)
            writer.close(report(writer.n_rows))
            self.closed[content] = concatenate(blocks)

    @rule(content=CONTENTS)
    def kill(self, content: str) -> None:
        """The writer is gone; what it wrote stays."""
        self.open.pop(content, None)

    @rule(content=CONTENTS, n_rows=st.integers(1, 30), seed=st.integers(0, 99))
    def a_writer_that_lost_its_lease_cannot_close(
        self, content: str, n_rows: int, seed: int
    ) -> None:
        store = FeatureStore(self.root)
        late = store.writer(RECIPE, content)
        self.begin(content)
        try:
            late.append(block_of(n_rows, seed, 0))
            late.close(report(n_rows))
        except TransientError:
            late.discard()
        else:
            raise AssertionError("two writers closed one group")

    @rule(content=CONTENTS)
    def expire_one(self, content: str) -> None:
        """Make one group old, then expire; nothing else goes."""
        key = f"{group_key(RECIPE, content)}/zarr.json"
        metadata = self.root.read_json(key)
        if metadata is None or content in self.open:
            return
        long_ago = datetime.now(UTC) - timedelta(days=30)
        metadata["attributes"]["written_at"] = long_ago.isoformat()
        self.root.publish_json(key, metadata)
        assert FeatureStore(self.root).expire(nights=7) == [group_key(RECIPE, content)]
        self.closed.pop(content, None)

    @invariant()
    def exactly_what_was_closed_is_visible(self) -> None:
        store = FeatureStore(self.root)
        assert store.complete(RECIPE, ["aa", "bb", "cc"]) == set(self.closed)
        for content in ("aa", "bb", "cc"):
            group = store.open(RECIPE, content)
            assert (group is not None) == (content in self.closed)
            if group is not None:
                found, expected = group.read(0, group.n_rows), self.closed[content]
                for name in ("index_T", "seconds_T", "values_ND", "offsets_S", "place_N2"):
                    np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
