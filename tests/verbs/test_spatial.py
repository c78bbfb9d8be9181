"""Places against masks: real clips of Ped2, and requests that cannot be answered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from anomaly.cli import run
from anomaly.errors import SpecError
from anomaly.evaluation.spatial import pixel_auc
from anomaly.evaluation.table import PLACES
from anomaly.fanout import one_by_one
from anomaly.verbs.evaluate import evaluate
from anomaly.verbs.train import TrainRequest, train
from tests.verbs.conftest import House

FRAMES = 12


def masks(folder: Path, where: slice) -> Path:
    """Masks for the new video of the house, 48 by 64, with something in some columns from frame 4 on."""
    mask_THW = np.zeros((FRAMES, 48, 64), dtype=bool)
    mask_THW[4:, 16:40, where] = True
    (folder / "gate").mkdir(parents=True)
    np.save(folder / "gate" / "3.npy", mask_THW)
    return folder


@pytest.fixture
def labelled(settled: House, clips: list[Path], tmp_path: Path) -> tuple[House, str]:
    """The house with a new video that nothing was trained on, and its labels."""
    shutil.copy(clips[4], settled.folder / "gate/3.mp4")
    settled.score()
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"video,n_frames,start_frame,stop_frame,category\ngate/3.mp4,{FRAMES},4,12,x\n"
    )
    return settled, str(labels)


def test_places_are_judged_against_masks_and_told(
    labelled: tuple[House, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house, labels = labelled
    folder = masks(tmp_path / "masks", slice(0, 32))
    found = evaluate(house.url, house.archive, labels=labels, masks=str(folder)).places
    assert found is not None
    assert set(found.figures) == set(PLACES)
    assert (found.videos, found.frames, found.frames_abnormal) == (1, 12, 8)
    assert found.judged == "motion"
    for name, value in found.figures.items():
        assert value is None or 0 <= value <= 1, name
    command = ["evaluate", house.archive.root, "--root", house.url, "--labels", labels]
    assert run([*command, "--masks", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "\npixel_level_auc " in out
    assert "Places are the cells of motion; 12 frames of 1 videos have masks, 8" in out
    assert run([*command, "--masks", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spatial"]["pixel_auc"] is not None
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spatial"] is None


def test_each_pixel_has_the_score_of_the_cell_that_it_lies_in(
    labelled: tuple[House, str], tmp_path: Path
) -> None:
    from anomaly.checkpoints import load
    from anomaly.datasets.masks import masks_of
    from anomaly.verbs.judge import Judges
    from anomaly.verbs.look import look
    from anomaly.verbs.spatial import _Video

    house, labels = labelled
    folder = masks(tmp_path / "masks", slice(20, 50))
    found = evaluate(house.url, house.archive, labels=labels, masks=str(folder)).places
    seen = look(house.url, house.archive)
    judges = Judges(seen.root, seen.archive, load(house.root, "mine"))
    video = _Video(judges, seen.rows["gate/3.mp4"])
    maps = list(video.frames(FRAMES))
    lines, columns = maps[0].shape
    line_H, column_W = np.arange(48) * lines // 48, np.arange(64) * columns // 64
    maps_THW = np.stack([map_GG[line_H][:, column_W] for map_GG in maps])
    floor = np.nanmin(maps_THW) - 1
    maps_THW = np.where(np.isnan(maps_THW), floor, maps_THW)
    masks_THW = np.stack(list(masks_of(folder, "gate/3.mp4") or ()))
    assert found is not None
    assert found.figures["pixel_auc"] == pytest.approx(
        pixel_auc(maps_THW, masks_THW), abs=1e-12
    )


def test_masks_that_do_not_fit_are_refused(labelled: tuple[House, str], tmp_path: Path) -> None:
    house, labels = labelled

    def ask(folder: Path) -> None:
        evaluate(house.url, house.archive, labels=labels, masks=str(folder))

    with pytest.raises(SpecError, match="No folder of masks"):
        ask(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"No masks in .* the first is 'gate/3.mp4'"):
        ask(tmp_path / "empty")
    (tmp_path / "short").mkdir()
    np.save(tmp_path / "short" / "3.npy", np.zeros((5, 48, 64), dtype=bool))
    with pytest.raises(SpecError, match=r"holds 5 masks, the video 'gate/3\.mp4' 12 frames"):
        ask(tmp_path / "short")


def test_a_detector_without_places_is_told(labelled: tuple[House, str], tmp_path: Path) -> None:
    house, labels = labelled
    request = TrainRequest(detector="predictor", videos=("*/1.mp4", "*/2.mp4"), into="blind")
    train(house.url, house.archive, request, fan_out=one_by_one)
    house.score()
    folder = masks(tmp_path / "masks", slice(0, 32))
    with pytest.raises(SpecError, match="'predictor' tells of no places"):
        evaluate(house.url, house.archive, labels=labels, masks=str(folder))


@pytest.mark.data
@pytest.mark.slow
def test_a_cart_on_ped2_is_found_where_it_is(shared_data: Path, tmp_path: Path) -> None:
    from anomaly.verbs.score import score
    from anomaly.video import ArchiveSpec

    site = tmp_path / "ped2"
    for part, names in (("train", ("01", "05", "09")), ("test", ("02", "09"))):
        (site / part).mkdir(parents=True)
        for name in names:
            shutil.copy(shared_data / "ped2" / part / f"{name}.mp4", site / part)
    labels = tmp_path / "labels.csv"
    rows = (shared_data / "ped2" / "labels.csv").read_text().splitlines()
    mine = (row for row in rows if row.startswith(("test/02", "test/09")))
    labels.write_text("\n".join([rows[0], *mine]))
    archive = ArchiveSpec(root=str(site), pattern="(?P<camera>)")
    root = str(tmp_path / "root")
    request = TrainRequest(
        detector="cell_gaussian", backbones=("motion",), videos=("train/*",), into="mine"
    )
    train(root, archive, request, fan_out=one_by_one)
    score(root, archive, fan_out=one_by_one)
    masks_folder = str(shared_data / "ped2" / "masks")
    found = evaluate(root, archive, labels=str(labels), masks=masks_folder).places
    assert found is not None
    assert (found.frames, found.frames_abnormal) == (300, 206)
    assert (found.figures["pixel_auc"] or 0) > 0.85
    assert (found.figures["tbdc"] or 0) > 0.5
    for name, around in found.intervals.items():
        assert around is not None
        assert around[0] <= (found.figures[name] or 0) <= around[1], name
