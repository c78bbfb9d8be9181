"""Rarity is told no more surely than the number of videos behind it allows."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_part_is_not_sure_of_what_one_video_in_twelve_shows():
    """The next video may show a little more of it; however long it lasts, that is one case."""
    known = [np.zeros(400) for _ in range(11)] + [np.full(400, 2.0)]
    assert np.isnan(fit(known).if_sure(np.array([1.0, 2.0, 2.2]), times=10)).all()
    assert fit(known).if_sure(np.array([60.0]), times=10)[0] > np.log10(12 * 400)


def test_the_more_videos_say_so_the_surer_a_part_is():
    score = np.array([18.0])
    few, many = (fit(videos(n, spread=1.0)).pieces(score)[0] for n in (6, 400))
    assert few < many


def test_what_is_sure_happens_by_chance_less_than_once_in_as_much_video_as_was_seen():
    known, fresh = videos(30, spread=2.0), videos(300, seed=1, spread=2.0)
    rarity = fit(known)
    sure = sum(np.isfinite(rarity.if_sure(score_T, times=10)).any() for score_T in fresh)
    assert sure <= len(fresh) / len(known)


def test_a_long_video_counts_as_many_pieces():
    assert fit(videos(1, 10 * PIECE_ROWS)).n_pieces == 10
    assert fit(videos(3, 10)).n_pieces == 3


def test_state_comes_back_and_an_older_one_is_refused():
    rarity, scores = fit(videos(7)), np.linspace(-1, 30, 50)
    again = Rarity.from_state(rarity.state())
    assert np.array_equal(again.rows(scores), rarity.rows(scores))
    found, expected = again.if_sure(scores, 10), rarity.if_sure(scores, 10)
    assert np.array_equal(found, expected, equal_nan=True)
    with pytest.raises(StoreError, match="Train it again"):
        Rarity.from_state(rarity.rows.state())
