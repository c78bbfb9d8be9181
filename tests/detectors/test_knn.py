"""The remembered bank: scaling in groups, greedy choice, nearest distance, place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from anomaly.detectors import FitContext, detectors
from anomaly.detectors.knn import k_centre, nearest_distance, project
from anomaly.errors import SpecError
from anomaly.features import FeatureBlock, FeatureSpec
from anomaly.training.exact import round_for_products
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource


def recipe(backbone):
    return FeatureSpec(
        backbone=backbone, parameters={}, version=1, weights="", pixels=PixelSpec()
    )


def cells_bag(values, places, grid, video="v"):
    """One row that holds all the given cells."""
    block = FeatureBlock(
        np.array([0]),
        np.array([0.0]),
        np.asarray(values, np.float32),
        np.array([0, len(values)]),
        np.asarray(places, np.int16),
        grid,
    )
    return Bag(video, "c", {"features": MemorySource(block)})


def fit(bags, parameters=None, backbone="motion"):
    detector = detectors().get("knn").build(parameters or {}, {"features": recipe(backbone)})
    return detector.fit(bags, validation=[], context=FitContext(np.random.default_rng(0)))


def farthest_first(vectors, count):
    chosen = [0]
    while len(chosen) < count:
        gaps = cdist(vectors, vectors[chosen]).min(axis=1)
        if gaps.max() == 0:
            break
        chosen.append(int(gaps.argmax()))
    return chosen


vectors = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=st.integers(-9, 9)
)


@given(vectors=vectors, count=st.integers(1, 12))
def test_each_centre_is_as_far_as_any_vector_from_those_before(vectors, count):
    found = k_centre(round_for_products(vectors), count)
    expected = farthest_first(vectors, count)
    assert len(set(found.tolist())) == len(found) == len(expected)
    for size in range(1, len(found)):
        gaps = cdist(vectors, vectors[found[:size]]).min(axis=1)
        assert gaps[found[size]] == pytest.approx(gaps.max())


@given(vectors=vectors, bank=st.integers(1, 9))
def test_the_distance_is_that_to_the_nearest_of_the_bank(vectors, bank):
    rounded = round_for_products(vectors)
    found = nearest_distance(rounded, rounded[:bank])
    assert np.allclose(found, cdist(vectors, vectors[:bank]).min(axis=1))
    assert (found[:bank] == 0).all()


def test_long_vectors_are_projected_with_their_distances_nearly_kept():
    generator = np.random.default_rng(0)
    long = round_for_products(generator.standard_normal((60, 1000)))
    short = project(long, generator)
    ratio = (
        cdist(short, short)[~np.eye(60, dtype=bool)]
        / cdist(long, long)[~np.eye(60, dtype=bool)]
    )
    assert short.shape == (60, 128)
    assert ratio.std() / ratio.mean() < 0.1


def test_motion_is_scaled_in_three_groups_and_any_other_backbone_in_one():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((500, 7)) * [1, 2, 3, 4, 5, 6, 7]
    bags = [cells_bag(values, np.zeros((500, 2)), (4, 4))]
    variance = values.astype(np.float32).var(axis=0)
    motion, other = fit(bags).state()["scale"], fit(bags, backbone="x").state()["scale"]
    sums = [variance[:1].sum()] + [variance[1:3].sum()] * 2 + [variance[3:].sum()] * 4
    assert np.allclose(motion, np.sqrt(sums), rtol=1e-5)
    assert np.allclose(other, np.sqrt(variance.sum()), rtol=1e-5)


@pytest.mark.parametrize("groups", [((0, 1),), ((0,), (1, 1), (2, 3, 4, 5, 6)), ((7,),)])
def test_groups_must_name_every_dimension_once(groups):
    bags = [cells_bag(np.ones((3, 7)), np.zeros((3, 2)), (4, 4))]
    with pytest.raises(SpecError, match="must name each of the 7 dimensions"):
        fit(bags, {"groups": groups})


@pytest.mark.parametrize("parameters", [{"bank": 0}, {"sample": 0}, {"location_weight": -1}])
def test_numbers_that_make_no_sense_are_refused(parameters):
    with pytest.raises(SpecError, match=next(iter(parameters))):
        detectors().get("knn").build(parameters, {"features": recipe("motion")})


def test_the_place_counts_in_shares_of_the_longer_side_so_that_grids_may_differ():
    train = [
        cells_bag(np.zeros((1, 2)), [[2, 4]], (10, 20), "a"),
        cells_bag(np.zeros((1, 2)), [[1, 2]], (5, 10), "b"),
    ]
    detector = fit(train, {"location_weight": 2.0, "squares": False}, backbone="x")
    (same,) = detector.score(cells_bag(np.zeros((1, 2)), [[4, 8]], (20, 40)))
    (moved,) = detector.score(cells_bag(np.zeros((1, 2)), [[4, 18]], (20, 40)))
    assert same.scores_NL[0, 0] == 0
    assert moved.scores_NL[0, 0] == pytest.approx(2 * 10 / 40)


@pytest.mark.parametrize(
    ("squares", "expected"), [(False, [0, 5, 10, 0]), (True, [0, 3.75, 3.75, 0])]
)
def test_a_row_scores_as_its_most_unfamiliar_cells_and_says_where_they_are(squares, expected):
    train = [cells_bag(np.zeros((3, 2)), [[0, 0], [1, 1], [2, 2]], (5, 5))]
    detector = fit(train, {"location_weight": 0, "squares": squares}, backbone="x")
    values, at = [[0, 0], [3, 4], [6, 8], [0, 0]], [[0, 0], [3, 3], [3, 4], [1, 4]]
    (found,) = detector.score(cells_bag(values, at, (5, 5)))
    rows, places, scores = found.cells
    assert rows.tolist() == [0, 0, 0, 0]
    assert places.tolist() == at
    assert scores.tolist() == pytest.approx(expected)
    assert found.scores_NL.tolist() == [[pytest.approx(max(expected))]]


def test_the_bank_holds_no_more_than_asked_and_keeps_outliers():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((5000, 7))
    values[1234] = 40
    detector = fit([cells_bag(values, np.zeros((5000, 2)), (4, 4))], {"bank": 50})
    assert detector.state()["bank"].shape == (50, 9)
    (found,) = detector.score(cells_bag(values[1234:1235], [[0, 0]], (4, 4)))
    assert found.scores_NL[0, 0] < 0.01


def test_two_inputs_are_refused():
    cls = detectors().get("knn")
    detector = cls.build({}, {"a": recipe("motion"), "b": recipe("x")})
    with pytest.raises(SpecError, match="reads one input; given: a, b"):
        detector.fit([], validation=[], context=FitContext(np.random.default_rng(0)))


def of_one_row(number, outlier=None):
    generator = np.random.default_rng(number)
    values = generator.normal(0, 0.1, (30, 2))
    if outlier is not None:
        values[0] = outlier
    return cells_bag(values, np.zeros((30, 2)), (4, 4), f"v{number}")


def row_score(detector, bag):
    (found,) = detector.score(bag)
    return found.scores_NL[0, 0]


def test_what_one_video_alone_has_stays_strange_and_what_two_have_is_normal():
    """The point of `doubt`: training video that is not quite clean."""
    once = [of_one_row(0, (9, 9)), *(of_one_row(n) for n in range(1, 6))]
    twice = [*once[:5], of_one_row(5, (9, 9.1))]
    asked = of_one_row(7, (9.1, 9))
    doubting, trusting = ({"doubt": doubt, "location_weight": 0} for doubt in (1.0, 0.0))
    assert row_score(fit(once, trusting, "x"), asked) < 0.2
    assert row_score(fit(once, doubting, "x"), asked) > 5 * row_score(
        fit(twice, doubting, "x"), asked
    )


def test_a_video_that_is_left_out_is_scored_by_the_others_alone():
    bags = [of_one_row(0, (9, 9)), *(of_one_row(n) for n in range(1, 6))]
    detector = fit(bags, {"doubt": 0.0, "location_weight": 0}, "x")
    honest = {
        bag.video: next(blocks).scores_NL[0, 0] for bag, blocks in detector.left_out(bags)
    }
    assert sorted(honest) == [bag.video for bag in bags]
    assert row_score(detector, bags[0]) == 0
    assert honest["v0"] > 20 * max(score for video, score in honest.items() if video != "v0")


def test_a_bundle_of_an_earlier_version_has_no_doubts_and_scores_as_before():
    bags = [of_one_row(n) for n in range(4)]
    parameters = {"doubt": 0.0}
    detector, old = fit(bags, parameters, "x"), fit(bags[:2], parameters, "x")
    state = detector.state()
    del state["doubt"]
    old.load_state(state)
    assert row_score(old, of_one_row(9)) == row_score(detector, of_one_row(9))


def test_videos_without_any_cell_can_be_left_out_too():
    """The last side has no vector in the sample."""
    full = [of_one_row(n) for n in range(3)]
    nothing = cells_bag(np.zeros((0, 2)), np.zeros((0, 2)), (5, 5), "empty")
    for bags in ([*full, nothing], [nothing, *full]):
        detector = fit(bags, {}, "x")
        honest = {
            bag.video: next(blocks).scores_NL[0, 0] for bag, blocks in detector.left_out(bags)
        }
        assert sorted(honest) == sorted(bag.video for bag in bags)
        assert honest["empty"] == 0
