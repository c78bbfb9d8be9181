"""Official label files, read by the adapters: the counts are the published ones."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy.io import loadmat

from anomaly.datasets.adapters import datasets
from anomaly.datasets.labels import ABNORMAL

pytestmark = pytest.mark.data


@pytest.fixture
def truths(shared_data):
    return shared_data / "ground_truth"


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def totals(dataset, split):
    labels = [dataset.truth(video).labels_T for video in dataset.videos(split)]
    return {
        "videos": len(labels),
        "frames": sum(map(len, labels)),
        "abnormal_frames": sum(int((one == ABNORMAL).sum()) for one in labels),
    }


def published(dataset, split):
    counts = dataset.published[split]
    return {name: getattr(counts, name) for name in ("videos", "frames", "abnormal_frames")}


def test_ped1(truths, tmp_path):
    for clip in range(1, 37):
        touch(tmp_path, *(f"Test/Test{clip:03}/{n:03}.tif" for n in range(1, 201)))
    shutil.copy(truths / "ucsd/UCSDped1.m", tmp_path / "Test")
    dataset = datasets().get("ucsd_ped1")(tmp_path, len)
    assert totals(dataset, "test") == published(dataset, "test")


@pytest.mark.parametrize("variant", ["frames-3867", "frames-3712"])
def test_avenue(truths, tmp_path, variant):
    found = loadmat(truths / "avenue/avenue.mat")
    lengths = {f"{clip:02}": found[f"{clip:02}"].size for clip in range(1, 22)}
    touch(tmp_path, *(f"testing_videos/{name}.avi" for name in lengths))
    for name in ("avenue.mat", "frame_labels_avenue.npy"):
        shutil.copy(truths / "avenue" / name, tmp_path)
    dataset = datasets().get("avenue")(tmp_path, lambda path: lengths[path.stem], variant)
    assert totals(dataset, "test") == published(dataset, "test")


def test_the_frame_labels_of_avenue_differ_on_441_frames(truths, tmp_path):
    found = loadmat(truths / "avenue/avenue.mat")
    clips = np.concatenate([found[f"{clip:02}"].ravel() for clip in range(1, 22)])
    assert (clips != np.load(truths / "avenue/frame_labels_avenue.npy").ravel()).sum() == 441


def test_shanghaitech(truths, tmp_path):
    masks = tmp_path / "testing/test_frame_mask"
    shutil.copytree(truths / "shanghaitech/test_frame_mask", masks)
    for mask in masks.iterdir():
        touch(tmp_path, f"testing/frames/{mask.stem}/000.jpg")
    dataset = datasets().get("shanghaitech")(tmp_path, len)
    assert totals(dataset, "test") == published(dataset, "test")
    expected = json.loads((truths / "shanghaitech/labels.json").read_text())["clips"]
    for name, clip in expected.items():
        stored = dataset.truth(f"testing/frames/{name}").intervals
        pairs = [[one.start, one.stop - 1] for one in stored]
        assert pairs == clip["anomalous_intervals_0based_inclusive"]


def test_ucf_crime(truths, tmp_path):
    lines = (truths / "ucf_crime/UCF_Annotation_with_frame_counts.txt").read_text().split("\n")
    lengths = {line.split()[0]: int(line.split()[1]) for line in lines if line.strip()}
    touch(tmp_path, *lengths)
    (tmp_path / "Anomaly_Test.txt").write_text("\n".join(lengths))
    shutil.copy(truths / "ucf_crime/Temporal_Anomaly_Annotation.txt", tmp_path)
    by_name = {name.split("/")[-1]: length for name, length in lengths.items()}
    dataset = datasets().get("ucf_crime")(tmp_path, lambda path: by_name[path.name])
    assert totals(dataset, "test") == published(dataset, "test")
    abnormal = [video for video in dataset.videos("test") if dataset.truth(video).intervals]
    assert len(abnormal) == dataset.published["test"].abnormal_videos


def test_xd_violence(truths, tmp_path):
    listed = (truths / "xd_violence/XD_Test_5crop.list").read_text().split("\n")
    names = sorted({line.split("/")[-1].rsplit("__", 1)[0] for line in listed if line.strip()})
    touch(tmp_path, *(f"videos/{name}.mp4" for name in names))
    shutil.copy(truths / "xd_violence/annotations.txt", tmp_path)
    dataset = datasets().get("xd_violence")(tmp_path, lambda _path: 10**6)
    videos = dataset.videos("test")
    assert len(videos) == dataset.published["test"].videos
    abnormal = [video for video in videos if dataset.truth(video).intervals]
    assert len(abnormal) == dataset.published["test"].abnormal_videos
