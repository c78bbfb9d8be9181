"""The motion gate: what is still is not computed again, and how wrong that is can be looked up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, GateSpec, concatenate, recipe, vector_block
from anomaly.features.extract import extract_video
from anomaly.features.gate import AUDITED, COMPUTED, REUSED, Gated
from anomaly.features.store import FeatureStore
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec, FrameBatch
from anomaly.video.archive import find
from anomaly.video.encode import write_video

TINY = {"model": "test_vit", "weights": "random:0"}
N_FRAMES, MOVES_AT = 400, 250


def scene(noise: float = 2.0) -> Iterator[np.ndarray]:
    """A noisy still picture, into which something walks."""
    generator = np.random.default_rng(0)
    background = np.kron(generator.integers(60, 180, (12, 16)), np.ones((8, 8)))
    for number in range(N_FRAMES):
        picture = background + generator.normal(0, noise, background.shape)
        if number % 16 == 0 and number < 64:
            picture = picture + 12  # a flicker, from which the gate learns what matters
        if number >= MOVES_AT:
            left = (number - MOVES_AT) % 100
            picture[30:60, left : left + 16] = 250
        yield np.clip(picture, 0, 255).astype(np.uint8)


class Mean:
    """Vectors of block means; counts what it is given."""

    def __init__(self) -> None:
        self.given = 0

    def extract(self, batches: Iterator[FrameBatch]) -> Iterator[FeatureBlock]:
        for batch in batches:
            self.given += len(batch)
            blocks = batch.pixels_BHWC[..., 0].reshape(len(batch), 12, 8, 16, 8)
            vectors = blocks.mean(axis=(2, 4)).reshape(len(batch), -1).astype(np.float32)
            yield vector_block(batch.index_B, batch.seconds_B, vectors - 100)


def batches(size: int) -> Iterator[FrameBatch]:
    pictures = np.stack(list(scene()))[..., None]
    for start in range(0, N_FRAMES, size):
        index = np.arange(start, min(start + size, N_FRAMES))
        yield FrameBatch(pictures[index], index, index / 25)


def gated(
    tolerance: float, audit_share: float = 0.1, size: int = 32
) -> tuple[FeatureBlock, int]:
    backbone = Mean()
    gate = GateSpec(tolerance=tolerance, audit_share=audit_share)
    return concatenate(list(Gated(backbone, gate).extract(batches(size)))), backbone.given  # type: ignore[arg-type]


def parts(block: FeatureBlock) -> tuple[np.ndarray, np.ndarray]:
    assert block.gate_T2 is not None
    return block.gate_T2[:, 0], block.gate_T2[:, 1]


def test_still_frames_are_reused_and_moving_ones_are_computed() -> None:
    block, given = gated(0.05)
    every = concatenate(list(Mean().extract(batches(32))))
    decision_T, _ = parts(block)
    assert len(block) == N_FRAMES
    assert (decision_T[64:MOVES_AT] != COMPUTED).mean() > 0.9
    assert (decision_T[MOVES_AT + 1 :] == COMPUTED).mean() > 0.9
    assert given == (decision_T != REUSED).sum() < 0.7 * N_FRAMES
    computed_T = decision_T != REUSED
    np.testing.assert_array_equal(block.values_ND[computed_T], every.values_ND[computed_T])
    np.testing.assert_array_equal(block.index_T, every.index_T)


def test_the_measured_error_of_the_sample_is_that_of_all_reused_frames() -> None:
    tolerance = 0.05
    block, _ = gated(tolerance)
    every = concatenate(list(Mean().extract(batches(32)))).values_ND
    decision_T, error_T = parts(block)
    reused_T = decision_T == REUSED
    true = np.linalg.norm(block.values_ND - every, axis=1) / np.linalg.norm(every, axis=1)
    sample = error_T[decision_T == AUDITED]
    assert len(sample) > 5
    assert (error_T[decision_T != AUDITED] == -1).all()
    assert sample.mean() == pytest.approx(true[reused_T].mean(), rel=0.3)
    assert (true[reused_T] <= tolerance).mean() > 0.99


def test_decisions_do_not_depend_on_how_frames_are_cut_into_batches() -> None:
    first, _ = gated(0.05, size=7)
    second, _ = gated(0.05, size=64)
    np.testing.assert_array_equal(first.values_ND, second.values_ND)
    np.testing.assert_array_equal(first.gate_T2, second.gate_T2)


def test_a_tolerance_that_nothing_keeps_computes_everything() -> None:
    block, given = gated(1e-9)
    assert given == N_FRAMES
    assert (parts(block)[0] == COMPUTED).all()


@pytest.mark.slow
def test_decisions_and_errors_are_stored(tmp_path: Path) -> None:
    pictures = [np.repeat(picture[:, :, None], 3, axis=2) for picture in scene(noise=0.5)]
    write_video(tmp_path / "archive" / "a.mp4", pictures[:200], 25)
    (file,) = find(ArchiveSpec(root=str(tmp_path / "archive")), name="t")
    root = open_root(str(tmp_path / "root"))
    plain, behind = recipe("timm_frames", TINY), recipe("timm_frames", TINY, gate=0.2)
    outcome = extract_video(root, file, [plain, behind])
    assert outcome.status == "ok"
    store = FeatureStore(root)
    group, full = store.open(behind, outcome.content), store.open(plain, outcome.content)
    assert group is not None
    assert full is not None
    assert full.gate_T2() is None
    gate_T2 = group.gate_T2()
    assert gate_T2 is not None
    facts = group.attributes["gate"]
    assert facts["reused"] == (gate_T2[:, 0] == REUSED).sum() > 50
    assert facts["audited"] == (gate_T2[:, 0] == AUDITED).sum()
    kept_T = gate_T2[:, 0] != REUSED
    difference = group.read(0, 200).values_ND[kept_T] - full.read(0, 200).values_ND[kept_T]
    assert np.abs(difference).max() < 2e-3


def test_a_backbone_that_looks_at_neighbours_has_no_gate() -> None:
    with pytest.raises(SpecError, match="not to be had"):
        recipe("motion", gate=0.1)
