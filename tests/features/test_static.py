"""Things at rest: when they count, what forgets them, what must not be taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.features import Earlier, FeatureBlock, concatenate
from anomaly.features.backbones import backbones
from anomaly.features.picture import Picture, PictureMeter, join
from anomaly.video import FrameBatch

RATE = 10
SCENE = (
    np.random.default_rng(0)
    .integers(60, 180, (30, 40), dtype=np.uint8)
    .repeat(8, 0)
    .repeat(8, 1)
)
BAG = np.s_[96:144, 160:208]
BAG_CELLS = {(row, column) for row in range(6, 10) for column in range(10, 14)}


def scene(
    *, bag: bool = False, gain: float = 1.0, noise: float = 0.0, seed: int = 0
) -> np.ndarray:
    picture = SCENE.astype(np.float64)
    if bag:
        picture[BAG] = 250
    picture = picture * gain + np.random.default_rng(seed).normal(0, noise or 1e-9, SCENE.shape)
    return picture.clip(0, 255).round().astype(np.uint8)


def static(
    pictures: list[np.ndarray], *, batch: int = 16, **parameters: object
) -> FeatureBlock:
    batches = [
        FrameBatch(
            np.stack(pictures[start : start + batch])[..., None],
            np.arange(start, min(start + batch, len(pictures))),
            np.arange(start, min(start + batch, len(pictures))) / RATE,
        )
        for start in range(0, len(pictures), batch)
    ]
    return concatenate(list(backbones().get("static").build(parameters).extract(batches)))


def resting(block: FeatureBlock, row: int) -> set[tuple[int, int]]:
    """Places of the cells of a row in which something rests."""
    one = block.rows(row, row + 1)
    assert one.place_N2 is not None
    return {(int(r), int(c)) for r, c in one.place_N2[one.values_ND[:, 0] > 0]}


def test_nothing_rests_in_an_unchanging_noisy_scene_and_each_row_says_so_with_one_cell_of_zeros():
    block = static([scene(noise=4, seed=t) for t in range(60)])
    assert np.diff(block.offsets_S).tolist() == [1] * 60
    assert not block.values_ND.any()


def test_a_bag_counts_from_a_second_after_it_is_put_down_where_it_lies():
    block = static([scene(bag=t >= 30) for t in range(90)])
    assert resting(block, 35) == set()
    assert resting(block, 60)
    assert resting(block, 60) <= BAG_CELLS


def test_its_age_is_the_logarithm_of_the_seconds_that_it_has_rested():
    block = static([scene(bag=t >= 30) for t in range(90)])
    oldest = np.exp(block.rows(80, 81).values_ND[:, 0].max()) - 1
    assert oldest == pytest.approx(5.0, abs=0.6)


def test_a_thing_taken_away_rests_as_much_as_one_left_behind():
    block = static([scene(bag=t < 30) for t in range(60)])
    assert resting(block, 55)
    assert resting(block, 55) <= BAG_CELLS


def test_a_bag_that_is_fetched_again_is_forgotten_at_once():
    block = static([scene(bag=40 <= t < 70) for t in range(90)])
    assert resting(block, 65)
    assert resting(block, 80) == set()


def test_what_rests_long_enough_becomes_background():
    block = static([scene(bag=t >= 10) for t in range(80)], absorb_ratio=2.0)
    assert resting(block, 28)
    assert resting(block, 79) == set()


@pytest.mark.parametrize("gain", [0.6, 1.3])
def test_a_change_of_light_is_no_thing(gain: float):
    block = static([scene(gain=1 if t < 30 else gain) for t in range(70)])
    assert not block.values_ND.any()


LAMP = np.linspace(0.2, 1.6, SCENE.shape[1])  # lights one side of the room only


def lamp(on: bool, *, bag: bool = False, seed: int = 0) -> np.ndarray:
    picture = scene(bag=bag, noise=1, seed=seed) * (LAMP if on else LAMP[::-1])
    return picture.clip(0, 255).astype(np.uint8)


def test_a_lamp_that_is_switched_on_and_off_is_no_thing():
    block = static([lamp(20 <= t < 50 or t >= 80, seed=t) for t in range(110)])
    assert not block.values_ND.any()


def test_what_is_left_while_the_lamp_is_on_is_seen_when_it_is_on_again():
    on = [t < 40 or t >= 70 for t in range(110)]
    block = static([lamp(lit, bag=t >= 20, seed=t) for t, lit in enumerate(on)])
    assert resting(block, 35)
    assert not resting(block, 55)
    assert resting(block, 85)
    assert resting(block, 85) <= BAG_CELLS


def pictures_of(
    seconds: int, *, bag: tuple[float, float] | None = None, seed: int = 0
) -> Picture:
    """What is stored of the pictures of a noisy scene in which a bag stands for a while."""
    meter, frames = PictureMeter(), []
    for t in range(seconds * RATE):
        there = bag is not None and bag[0] <= t / RATE < bag[1]
        frames.append(scene(bag=there, noise=2, seed=seed + t))
    index = np.arange(len(frames))
    batch = FrameBatch(np.stack(frames)[..., None], index, index / RATE)
    return join([meter.measure(batch), meter.finish()])


def recalled(own: Picture, earlier: list[Earlier]) -> list[set[tuple[int, int]]]:
    """Places of the cells that are recalled, for every five seconds."""
    cls = backbones().get("static")
    block = cls.recall(cls.build({}).parameters, own, earlier)
    if block is None:
        return []
    assert block.seconds_T.tolist() == [5.0 * (n + 1) for n in range(len(block))]
    return [
        {(int(r), int(c)) for r, c in block.rows(row, row + 1).place_N2}
        for row in range(len(block))
    ]


EMPTY, LEFT = pictures_of(30), pictures_of(30, bag=(24, 99), seed=900)
STAYS = pictures_of(20, bag=(0, 99), seed=2000)


def test_a_bag_left_in_an_earlier_video_is_recalled_where_it_stands():
    found = recalled(STAYS, [Earlier(-90, EMPTY), Earlier(-40, LEFT)])
    assert len(found) == 4
    assert all(places and places <= BAG_CELLS for places in found)


def test_a_bag_is_recalled_until_it_is_fetched():
    found = recalled(
        pictures_of(20, bag=(0, 10), seed=2000), [Earlier(-90, EMPTY), Earlier(-40, LEFT)]
    )
    assert [bool(places) for places in found] == [True, True, False, False]


def test_what_is_put_down_in_the_video_itself_is_left_to_the_video_itself():
    own = pictures_of(20, bag=(6, 99), seed=2000)
    assert recalled(own, [Earlier(-40, EMPTY)]) == [set()] * 4


@pytest.mark.parametrize("earlier", [[], [Earlier(-5000, LEFT)], [Earlier(10, LEFT)]])
def test_nothing_is_recalled_of_no_video_of_too_old_ones_and_of_later_ones(
    earlier: list[Earlier],
):
    assert recalled(STAYS, earlier) == []


def test_somebody_who_walks_past_does_not_rest():
    pictures = []
    for t in range(60):
        picture = scene()
        picture[80:200, 4 * t : 4 * t + 30] = 250
        pictures.append(picture)
    block = static(pictures)
    assert block.rows(30, 60).values_ND[:, 0].max() == 0


def test_rows_do_not_depend_on_batches_nor_on_what_comes_later():
    pictures = [scene(bag=t >= 20, noise=3, seed=t) for t in range(70)]
    whole, part = static(pictures), static(pictures[:50], batch=7)
    np.testing.assert_array_equal(whole.rows(0, 50).values_ND, part.values_ND)
    np.testing.assert_array_equal(whole.rows(0, 50).place_N2, part.place_N2)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (15, 300), (41, 63)])
def test_pictures_of_any_size_work(size: tuple[int, int]):
    block = static([scene()[: size[0], : size[1]] for _ in range(3)])
    assert len(block) == 3
    assert np.isfinite(block.values_ND).all()
    assert block.place_N2 is not None
    assert (block.place_N2 < block.grid).all()


def test_faster_video_is_looked_at_eight_times_a_second_and_rests_on_in_between():
    pictures = [scene(bag=t >= 10, noise=2, seed=t) for t in range(90)]  # ten frames a second
    block = static(pictures)
    cells = [block.rows(t, t + 1) for t in range(90)]
    for even, odd in zip(cells[::2], cells[1::2], strict=True):
        assert np.array_equal(even.values_ND, odd.values_ND)
        assert np.array_equal(even.place_N2, odd.place_N2)
    unseen = [
        picture if t % 2 == 0 else np.zeros_like(SCENE) for t, picture in enumerate(pictures)
    ]
    assert np.array_equal(static(unseen).values_ND, block.values_ND)
