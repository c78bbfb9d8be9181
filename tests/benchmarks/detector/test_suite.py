"""The synthetic suite is frozen: what a seed stages may not change once detectors were compared on it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.detector import suite

DIGESTS = {
    "training": "744223d3841fc45d",
    "normal": "1522f78f4cc8c7cd",
    "fast_mover": "68c923dba8ddb418",
    "wrong_way": "26b6f382e5567a93",
    "loiterer": "75c08b1fb32b6b62",
    "left_object": "f8b885a399b6488e",
    "removed_object": "abe827ca3df0e083",
    "odd_object": "f6af868845b4ffff",
    "person_falling": "1d646dcad33a9846",
}


@pytest.mark.parametrize("role", DIGESTS)
def test_a_seed_stages_what_it_always_did(role):
    scripts = [suite.Script(world, role, number) for world in (0, 1) for number in (0, 7)]
    assert suite.digest(scripts) == DIGESTS[role]


def test_no_clip_is_both_learnt_from_and_judged():
    everything = [script for world in range(suite.WORLDS) for script in suite.everything(world)]
    assert len(set(everything)) == len(everything)
    kinds = {script.role for script in everything} - {"training", "normal"}
    assert kinds == set(suite.KINDS)
    assert len(kinds) == 7
    hours = sum(s.seconds for s in everything if s.role == "normal") / 3600
    assert hours == 10
    seeds = [script for script in everything if script.role == "left_object"]
    assert len(seeds) == 100


@pytest.mark.parametrize("kind", suite.KINDS)
def test_every_event_lasts_at_least_a_second_inside_its_clip(kind):
    for world in (0, 1):
        for script in suite.events(world, kind)[:5]:
            start, stop = suite.scene(script)[0].event
            assert start >= 0
            assert start + script.view.frames_per_second <= stop <= script.n_frames


def test_a_share_and_a_rate_come_with_their_intervals():
    assert suite.share([True] * 9 + [False]) == "0.90 [0.55, 1.00]"
    assert suite.rate(0, 10.0) == "0.0 [0.0, 0.4] (0 in 10 h)"


def test_pictures_of_a_clip_are_small_and_change():
    picture_THWC = suite.painted(suite.Script(0, "person_falling", 1))
    assert picture_THWC.shape == (288, 144, 192, 3)
    assert np.abs(picture_THWC[200].astype(int) - picture_THWC[0]).max() > 60
