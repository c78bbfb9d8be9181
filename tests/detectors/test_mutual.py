"""Mutual scoring of a batch without labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomaly.detectors import FitContext, detectors
from anomaly.detectors.mutual import unlikeness
from anomaly.errors import StoreError
from anomaly.features import FeatureSpec, vector_block
from anomaly.video import PixelSpec
from anomaly.windows.bags import Bag, MemorySource

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def bag(values, video):
    index = np.arange(len(values))
    block = vector_block(index, index / 10, values.astype(np.float32))
    return Bag(video, "c", {"features": MemorySource(block)})


def fit(bags, **parameters):
    detector = detectors().get("mutual").build(parameters, {"features": RECIPE})
    return detector.fit(bags, validation=[], context=FitContext(np.random.default_rng(0)))


def scores(detector, video):
    return np.concatenate([block.scores_NL[:, 0] for block in detector.score(video)])


def night(seed, n_rows=100):
    return np.random.default_rng(seed).normal(0, 1, (n_rows, 4))


def test_unlikeness_equals_a_slow_reference():
    vectors, others = night(0, 20), [night(seed, 15) for seed in range(1, 8)]
    expected = []
    for vector in vectors:
        nearest = sorted(min(np.linalg.norm(vector - one) for one in other) for other in others)
        expected.append(np.mean(nearest[:3]))
    assert np.allclose(unlikeness(vectors, others, 0.3), expected, rtol=1e-12)


def test_what_happens_in_one_video_alone_is_found_without_any_label():
    odd = night(0)
    odd[40:50] += 6
    bags = [bag(odd, "0.mp4"), *(bag(night(seed), f"{seed}.mp4") for seed in range(1, 6))]
    truth = np.zeros(100)
    truth[40:50] = 1
    assert roc_auc_score(truth, scores(fit(bags), bags[0])) > 0.99


def test_a_video_is_never_compared_with_itself():
    bags = [bag(night(seed), f"{seed}.mp4") for seed in range(3)]
    assert scores(fit(bags, share=0.1), bags[0]).min() > 0


def test_a_single_video_has_nothing_to_be_compared_with():
    alone = bag(night(0), "0.mp4")
    with pytest.raises(StoreError, match=r"'0\.mp4' has no other video"):
        scores(fit([alone]), alone)


def test_it_says_that_it_peeks_and_needs_no_labels():
    cls = detectors().get("mutual")
    assert (cls.peeks, cls.supervision, cls.scope) == (True, "none", "batch")


def test_state_makes_the_round_trip():
    bags = [bag(night(seed), f"{seed}.mp4") for seed in range(3)]
    detector = fit(bags, sample=20)
    again = detectors().get("mutual").build({"sample": 20}, {"features": RECIPE})
    again.load_state(detector.state())
    assert np.array_equal(scores(again, bags[1]), scores(detector, bags[1]))
    assert len(detector.bank_MD) == 60
