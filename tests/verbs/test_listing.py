"""What `show` tells is complete for every detector, and fit for machines."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anomaly.checkpoints import Checkpoint, Model, save
from anomaly.cli.screen import print_facts
from anomaly.detectors import detectors
from anomaly.storage import open_root
from anomaly.verbs.listing import show

NETWORKS = {n for n in detectors().names() if detectors().get(n).calibration == "held_out"}
NETWORKS -= {"ensemble"}  # what it joins may have networks; it holds out videos to compare them


@pytest.mark.parametrize("name", detectors().names())
def test_every_detector_tells_paper_signal_supervision_figures_and_the_size_of_its_network(
    name, tmp_path
):
    told = json.loads(json.dumps(show(open_root(str(tmp_path)), "detector", name, 512)))
    assert told["name"] == name
    assert told["paper"]
    assert told["signal"]
    assert told["supervision"] in {"one_class", "video_labels", "frame_labels", "none"}
    for figure in told["published"]:
        assert figure["data"]
        assert figure["figure"]
        assert figure["protocol"]
    trainable = told["parameters"]["trainable"]
    assert (trainable is not None and trainable > 0) == (name in NETWORKS)
    assert all(option["description"] for option in told["options"].values())


def test_a_checkpoint_tells_how_its_networks_learnt(tmp_path, capsys):
    root = open_root(str(tmp_path))
    curve = {"learnt": [0.75, 0.5, 0.25], "held_out": [0.5, 0.375, 0.4375], "best_epoch": 2}
    model = Model({"weights": np.zeros(2)}, {}, {"curves": {"network": curve}})
    header = Checkpoint(name="x", detector="predictor", parameters={}, inputs={}, scores={})
    save(root, header, {"gate": model})
    told = show(root, "checkpoint", "x")
    assert told["models"]["gate"]["curves"] == {"network": curve}
    print_facts(told)
    printed = capsys.readouterr().out
    assert "0.75 0.5 0.25" in printed
    assert "best_epoch: 2" in printed
