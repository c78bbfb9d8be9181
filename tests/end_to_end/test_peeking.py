"""Scores do not peek: what comes later in a video changes nothing of what was before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.features.backbones import backbones
from anomaly.scores import ScoreSpec
from anomaly.scores.smooth import REACH
from anomaly.scores.tables import read_scores
from anomaly.spec import from_dict
from anomaly.storage import open_root
from anomaly.verbs.score import score
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.end_to_end.roots import PREDICTOR

WHOLE, HALF = 160, 80
SMALL = {"knn": None, "gaussian": None, "predictor": PREDICTOR}
COLUMNS = ("frame", "seconds", "raw", "score", "covered")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three videos to learn from, and one as frames: whole, and its first half alone."""
    import av

    folder = tmp_path_factory.mktemp("videos") / "halves"
    for seed in range(3):
        make_video(folder / "train" / f"{seed}.mp4", frames=100, rate=25, seed=seed)
    film = make_video(folder.parent / "film.mp4", frames=WHOLE, rate=25, seed=7)
    (folder / "whole").mkdir()
    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            frame.to_image().save(folder / "whole" / f"{number:04}.png")
    (folder / "half").mkdir()
    for image in sorted((folder / "whole").iterdir())[:HALF]:
        shutil.copy(image, folder / "half")
    return folder


@pytest.mark.parametrize("detector", SMALL)
def test_the_first_half_alone_scores_as_it_does_in_the_whole(
    archive: Path, detector: str, tmp_path: Path
) -> None:
    root, spec = str(tmp_path / "root"), ArchiveSpec(root=str(archive))
    request = TrainRequest(
        detector=detector, detector_parameters=SMALL[detector], videos=("train/*",), into="x"
    )
    train(root, spec, request, fan_out=one_by_one)
    score(root, spec, videos=("whole", "half"), fan_out=one_by_one)
    whole, half = (
        {
            column: read_scores(open_root(root), "halves", "x", videos=[video])[
                column
            ].to_numpy()
            for column in COLUMNS
        }
        for video in ("whole", "half")
    )
    assert (len(whole["frame"]), len(half["frame"])) == (WHOLE, HALF)
    motion = recipe("motion")
    backbone = backbones().get("motion")
    features = backbone.support_seconds(from_dict(backbone.Parameters, motion.parameters))
    reach = {"raw": features, "score": features + REACH * ScoreSpec().smoothing_seconds}
    for column in COLUMNS:
        same = int((half["seconds"] < half["seconds"][-1] - reach.get(column, 0)).sum())
        assert same > HALF / 3
        np.testing.assert_array_equal(half[column][:same], whole[column][:same], column)
