from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from anomaly.checkpoints import Model
from anomaly.detectors import Arrays, Detector, FitContext, WindowScores, detectors
from anomaly.errors import StoreError
from anomaly.features import FeatureBlock, FeatureSpec, vector_block
from anomaly.scores import ScoreSpec
from anomaly.scores.fit import fit_model, score_bag
from anomaly.scores.stages import ScoreStages
from anomaly.spec import spec
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="none", parameters={}, version=1, weights="", pixels=PixelSpec())
SPEC = ScoreSpec(alarms_per_camera_day=50.0)


class Distance(Detector):
    """Distance to the mean of what it has seen, and a diary of who saw what."""

    fits: ClassVar[list[tuple[set[str], set[str]]]] = []

    @spec
    class Parameters:
        """None."""

    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        self.fits.append(({bag.video for bag in bags}, {bag.video for bag in validation}))
        self.seen = {bag.video for bag in bags}
        blocks = [block.values_ND for bag in bags for block in bag.usable_blocks("x")]
        self.mean_D = np.concatenate(blocks).mean(axis=0) + context.generator.normal() * 1e-3
        return self

    def score(self, bag: Bag) -> Iterator[WindowScores]:
        start = 0
        for block in bag.blocks("x", rows=7):
            distance = np.linalg.norm(block.values_ND - self.mean_D, axis=1)
            yield WindowScores(distance[:, None], start + np.arange(len(block))[:, None])
            start += len(block)

    def state(self) -> Arrays:
        return {"mean": self.mean_D}

    def load_state(self, state: Arrays) -> None:
        self.mean_D = state["mean"]


class HeldOutDistance(Distance):
    calibration = "held_out"


class Broken(Distance):
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        yield WindowScores(np.full((1, 1), np.nan), np.zeros((1, 1), dtype=np.int64))


class Rows:
    """The rows of a stored group."""

    def __init__(self, n_rows: int, n_frames: int) -> None:
        self.n_rows, self.n_frames = n_rows, n_frames

    def index_T(self) -> np.ndarray:
        return np.arange(self.n_rows)

    def seconds_T(self) -> np.ndarray:
        return np.arange(self.n_rows) / 10


def bag(name: str, values_TD: np.ndarray, ranges: Any = None) -> Bag:
    n_rows = len(values_TD)
    block = vector_block(np.arange(n_rows), np.arange(n_rows) / 10, values_TD)
    return Bag(name, "door", {"x": MemorySource(block)}, ranges)


def normal_bags(count: int, rows: int = 300) -> list[Bag]:
    return [
        bag(f"{number}.mp4", np.random.default_rng(number).normal(size=(rows, 3)))
        for number in range(count)
    ]


def context() -> FitContext:
    return FitContext(np.random.default_rng(0))


def test_cross_fitting_never_scores_what_it_has_learnt_from() -> None:
    Distance.fits.clear()
    model = fit_model(lambda: Distance(None, {"x": RECIPE}), normal_bags(6), SPEC, context())
    (first, _), (second, _), (whole, _) = Distance.fits
    assert first | second == whole
    assert not first & second
    assert model.facts["held_out_hours"] == pytest.approx(6 * 30 / 3600)


def test_a_held_out_detector_is_fitted_once_and_calibrated_on_the_videos_kept_out() -> None:
    Distance.fits.clear()
    bags = normal_bags(8)
    model = fit_model(lambda: HeldOutDistance(None, {"x": RECIPE}), bags, SPEC, context())
    ((learnt, kept_out),) = Distance.fits
    assert learnt | kept_out == {b.video for b in bags}
    assert not learnt & kept_out
    assert model.facts["held_out_hours"] == pytest.approx(len(kept_out) * 30 / 3600)


def test_equal_seeds_give_equal_models() -> None:
    models = [
        fit_model(lambda: Distance(None, {"x": RECIPE}), normal_bags(4), SPEC, context())
        for _ in range(2)
    ]
    np.testing.assert_array_equal(models[0].detector["mean"], models[1].detector["mean"])
    assert models[0].facts == models[1].facts


def test_one_training_video_is_cut_in_time() -> None:
    bags = normal_bags(1, rows=2000)
    model = fit_model(lambda: Distance(None, {"x": RECIPE}), bags, SPEC, context())
    assert 150 / 3600 < model.facts["held_out_hours"] < 200 / 3600


def test_rows_that_may_not_be_learnt_from_do_not_calibrate() -> None:
    values_TD = np.random.default_rng(9).normal(size=(300, 3))
    values_TD[100:200] += 50
    marked = bag("x.mp4", values_TD, ((0, 80), (220, 300)))
    model = fit_model(
        lambda: Distance(None, {"x": RECIPE}), [*normal_bags(3), marked], SPEC, context()
    )
    stages = ScoreStages.load(model.stages, SPEC)
    assert stages.calibrator.values_K[-1] < 10
    assert model.facts["held_out_hours"] == pytest.approx((3 * 30 + 16) / 3600)


def test_a_planted_outlier_becomes_an_event_with_its_rarity() -> None:
    model = fit_model(lambda: Distance(None, {"x": RECIPE}), normal_bags(6), SPEC, context())
    detector = Distance(None, {"x": RECIPE})
    detector.load_state(model.detector)
    values_TD = np.random.default_rng(77).normal(size=(400, 3))
    values_TD[200:230] += 30
    stages = ScoreStages.load(model.stages, SPEC)
    scores, (event,) = score_bag(detector, bag("new.mp4", values_TD), Rows(400, 403), stages)
    assert event.start_frame <= 200 < 230 <= event.stop_frame < 240
    assert event.one_in_days is not None
    assert event.one_in_days > 1000
    assert np.flatnonzero(np.isnan(scores.score_T)).tolist() == [400, 401, 402]


def test_a_detector_that_gives_no_number_is_named_with_the_video() -> None:
    with pytest.raises(StoreError, match=r"'\d.mp4': a detector gave row 0 the score nan"):
        fit_model(lambda: Broken(None, {"x": RECIPE}), normal_bags(2), SPEC, context())


class Counting(MemorySource):
    """Counts how often each row is read from the store."""

    def read(self, start: int, stop: int) -> FeatureBlock:
        READS[id(self.block)][start:stop] += 1
        return super().read(start, stop)


READS: dict[int, np.ndarray] = {}


def counted(name: str, seed: int, n_rows: int = 9000) -> Bag:
    values_TD = np.random.default_rng(seed).normal(size=(n_rows, 2)).astype(np.float16)
    block = vector_block(np.arange(n_rows), np.arange(n_rows) / 10, values_TD)
    READS[id(block)] = np.zeros(n_rows, dtype=int)
    return Bag(name, "door", {"x": Counting(block), "y": Counting(block)})


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("name", ["fused", "knn", "gaussian"])
def test_a_fit_reads_what_is_stored_once_and_without_room_gives_the_same(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"x": RECIPE, "y": RECIPE} if name == "fused" else {"x": RECIPE}

    def model() -> Model:
        READS.clear()
        bags = [counted(f"v{number}", number) for number in range(count)]
        make = lambda: detectors().get(name).build({}, inputs)  # noqa: E731
        return fit_model(make, bags, SPEC, FitContext(np.random.default_rng(0)))

    once = model()
    if name != "gaussian" or count > 1:  # the halves of a single video share a block
        assert {int(n) for reads in READS.values() for n in reads} <= {0, len(inputs)}
    monkeypatch.setattr("anomaly.scores.fit.KEPT_BYTES", 0)
    again = model()
    assert max(int(reads.max()) for reads in READS.values()) > len(inputs)
    assert once.digest() == again.digest()
