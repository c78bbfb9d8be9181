"""A network may begin with the weights of an earlier checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anomaly.checkpoints import load
from anomaly.errors import SpecError
from anomaly.fanout import one_by_one
from anomaly.scores import ScoreSpec
from anomaly.verbs.train import TrainRequest, train

QUICK = {"epochs": 2, "batch": 4, "optimiser": "adam", "learning_rate": 1e-3}
STILL = {**QUICK, "epochs": 1, "learning_rate": 1e-12}


def learn(house, into, training, start_from="", camera="gate", **options: Any):
    request = TrainRequest(
        detector=options.pop("detector", "unet_predict"),
        backbones=("frames",),
        backbone_parameters={"height": 16, "width": 32},
        detector_parameters={"training": training, "channels": 0.05, "block": 8, **options},
        videos=(f"{camera}*",),
        into=into,
        start_from=start_from,
        scores=ScoreSpec(alarms_per_camera_day=50_000.0),
    )
    return train(house.url, house.archive, request, fan_out=one_by_one)


def test_a_network_goes_on_from_a_checkpoint_and_the_bundle_tells_of_it(house):
    learn(house, "first", QUICK)
    learn(house, "second", STILL, "first", camera="hall")
    learn(house, "third", STILL, "first")
    before, after = (load(house.root, name) for name in ("first", "second"))
    old, new = (b.model_for(house.root, "hall")[1].detector for b in (before, after))
    weights = [
        name for name in old if name.startswith("network/") and old[name].dtype.kind == "f"
    ]
    assert all(
        np.allclose(old[name], new[name], atol=1e-6)
        for name in weights
        if "running" not in name
    )
    assert after.facts(house.root)["hall"]["start_from"]["checkpoint"] == "first"
    assert before.trained_contents(house.root) < after.trained_contents(house.root)


def test_what_cannot_be_started_from_is_told_with_why(house):
    learn(house, "first", QUICK)
    for options, told in (
        ({"start_from": "frist"}, "No checkpoint named 'frist'. Did you mean 'first'"),
        (
            {"start_from": "first", "detector": "sendec"},
            "is of detector 'unet_predict', expected",
        ),
        (
            {"start_from": "first", "channels": 0.1},
            r"differs in 'downs.0.0.weight': found \(3, 4",
        ),
    ):
        with pytest.raises(SpecError, match=told):
            learn(house, "other", QUICK, **options)
    with pytest.raises(SpecError, match=r"1 of 1 training videos .*'first' learnt from"):
        learn(house, "other", QUICK, "first", camera="gate/1")
    request = TrainRequest(detector="knn", start_from="first")
    with pytest.raises(SpecError, match="has no network of its own"):
        train(house.url, house.archive, request, fan_out=one_by_one)
