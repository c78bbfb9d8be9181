"""Rarity is told no more surely than the number of videos behind it allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.errors import StoreError
from anomaly.training.rarity import PIECE_ROWS, Rarity


def videos(n_videos, n_rows=400, seed=0, spread=0.0):
    """Exponential scores; `spread` is how much videos differ from each other as a whole."""
    generator = np.random.default_rng(seed)
    return [
        generator.exponential(1.0, n_rows) + spread * generator.exponential(1.0)
        for _ in range(n_videos)
    ]


def fit(scores, least_scale=0.25):
    return Rarity.fit(scores, least_scale=least_scale)


@given(scores=st.lists(st.floats(-2, 60), min_size=2, max_size=20), seed=st.integers(0, 20))
def test_rows_are_ranked_as_their_scores_are(scores, seed):
    level = fit(videos(6, seed=seed)).of_rows(np.sort(np.array(scores)))
    assert (level >= 0).all()
    assert (np.diff(level) >= 0).all()


def test_rows_that_half_of_the_videos_reach_are_as_rare_as_they_were_seen():
    known = videos(20)
    rows = np.concatenate(known)
    score = np.quantile(rows, 0.99)
    assert fit(known).of_rows(np.array([score]))[0] == pytest.approx(2.0, abs=0.05)


def test_a_part_is_not_sure_of_what_one_video_in_twelve_shows():
    """The next video may show a little more of it; however long it lasts, that is one case."""
    known = [np.zeros(400) for _ in range(11)] + [np.full(400, 2.0)]
    assert fit(known).if_sure(np.array([1.0, 2.0, 2.2]), times=10).tolist() == [0, 0, 0]
    assert fit(known).if_sure(np.array([60.0]), times=10)[0] > np.log10(12 * 400)


def test_the_more_videos_say_so_the_surer_a_part_is():
    score = np.array([13.0])
    few, many = (fit(videos(n, spread=1.0)).of_rows(score)[0] for n in (6, 400))
    assert few < many


def test_what_is_sure_happens_by_chance_less_than_once_in_as_much_video_as_was_seen():
    known, fresh = videos(30, spread=2.0), videos(300, seed=1, spread=2.0)
    rarity = fit(known)
    sure = sum(rarity.if_sure(score_T, times=10).any() for score_T in fresh)
    assert sure <= len(fresh) / len(known)


def test_a_long_video_counts_as_many_pieces():
    assert fit(videos(1, 10 * PIECE_ROWS)).n_pieces == 10
    assert fit(videos(3, 10)).n_pieces == 3


def test_state_comes_back_and_an_older_one_is_refused():
    rarity, scores = fit(videos(7)), np.linspace(-1, 30, 50)
    again = Rarity.from_state(rarity.state())
    assert np.array_equal(again.of_rows(scores), rarity.of_rows(scores))
    assert np.array_equal(again.if_sure(scores, 10), rarity.if_sure(scores, 10))
    with pytest.raises(StoreError, match="Train it again"):
        Rarity.from_state(rarity.rows.state())
