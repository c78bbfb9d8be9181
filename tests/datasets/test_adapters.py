"""Data sets in miniature, in the layouts in which their authors hand them out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from anomaly.datasets.adapters import datasets
from anomaly.datasets.labels import Interval, Truth, read_labels
from anomaly.datasets.writing import write_labels
from anomaly.errors import SpecError

LENGTHS = {}


def count(path):
    """Length of an empty file that stands for a video."""
    return LENGTHS.get(path.name, 50)


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def open_set(name, root, variant=""):
    return datasets().get(name)(root, count, variant)


def intervals(truth):
    return [(one.start, one.stop) for one in truth.intervals]


@pytest.fixture(params=["ucsd_ped1", "ucsd_ped2"])
def ucsd(request, tmp_path):
    name = f"UCSDped{request.param[-1]}"
    for clip in ("Train/Train001", "Test/Test001", "Test/Test002", "Test/Test003"):
        touch(tmp_path, *(f"{clip}/{n:03}.tif" for n in range(1, 21)), f"{clip}/._001.tif")
    touch(tmp_path, *(f"Test/Test002_gt/{n:03}.bmp" for n in range(1, 21)))
    touch(tmp_path, "Test/.DS_Store")
    write(
        tmp_path / f"Test/{name}.m",
        "TestVideoFile = {};\n"
        "TestVideoFile{end+1}.gt_frame = [6:15];\n"
        "TestVideoFile{end+1}.gt_frame = [1:3, 10:99];\n"
        "TestVideoFile{end+1}.gt_frame = [];\n",
    )
    return open_set(request.param, tmp_path)


def test_ucsd_reads_intervals_from_one_inclusive_and_clips_them(ucsd):
    assert ucsd.videos("train") == ("Train/Train001",)
    assert ucsd.videos("test") == ("Test/Test001", "Test/Test002", "Test/Test003")
    assert ucsd.truth("Train/Train001") == Truth(20)
    assert intervals(ucsd.truth("Test/Test001")) == [(5, 15)]
    assert intervals(ucsd.truth("Test/Test002")) == [(0, 3), (9, 20)]
    assert intervals(ucsd.truth("Test/Test003")) == []


def test_ucsd_knows_the_pixel_masks_of_the_clips_that_have_some(ucsd):
    assert [path.name for path in ucsd.masks("Test/Test002")][:2] == ["001.bmp", "002.bmp"]
    assert ucsd.masks("Test/Test001") == []


def test_ucsd_without_its_label_script_says_where_it_should_lie(ucsd):
    next(ucsd.root.glob("Test/*.m")).unlink()
    with pytest.raises(SpecError, match=r"lacks 'Test/UCSDped\d\.m'.*Expected layout"):
        ucsd.truth("Test/Test001")


@pytest.fixture
def avenue(tmp_path):
    touch(tmp_path, "training_videos/01.avi", "testing_videos/01.avi", "testing_videos/02.avi")
    LENGTHS.update({"01.avi": 6, "02.avi": 4})
    masks = np.empty((1, 6), object)
    for frame in range(6):
        masks[0, frame] = np.full((3, 4), frame in (2, 3), np.uint8)
    folder = tmp_path / "ground_truth_demo/testing_label_mask"
    folder.mkdir(parents=True)
    savemat(folder / "1_label.mat", {"volLabel": masks})
    np.save(tmp_path / "frame_labels_avenue.npy", np.array([[0, 1, 1, 0, 0, 0, 0, 0, 1, 1]]))
    savemat(tmp_path / "avenue.mat", {"01": [[1, 0, 0, 0, 0, 1]], "02": [[0, 0, 0, 1]]})
    yield tmp_path
    LENGTHS.clear()


def test_the_label_sets_of_avenue_are_told_apart_by_name(avenue):
    def found(variant, video):
        return intervals(open_set("avenue", avenue, variant).truth(video))

    assert found("", "testing_videos/01.avi") == found("masks", "testing_videos/01.avi")
    assert found("masks", "testing_videos/01.avi") == [(2, 4)]
    assert found("frames-3867", "testing_videos/01.avi") == [(1, 3)]
    assert found("frames-3867", "testing_videos/02.avi") == [(2, 4)]
    assert found("frames-3712", "testing_videos/01.avi") == [(0, 1), (5, 6)]
    assert found("frames-3712", "testing_videos/02.avi") == [(3, 4)]


def test_labels_of_avenue_that_do_not_fit_the_videos_are_refused(avenue):
    LENGTHS["02.avi"] = 5
    with pytest.raises(SpecError, match="labels 10 frames, the 2 test videos have 11"):
        open_set("avenue", avenue, "frames-3867").truth("testing_videos/01.avi")


def test_an_unknown_label_set_is_refused_with_the_nearest_name(avenue):
    with pytest.raises(SpecError, match="Did you mean 'frames-3867'"):
        open_set("avenue", avenue, "frames-3876")


@pytest.fixture
def shanghaitech(tmp_path):
    touch(tmp_path, "training/videos/01_001.avi", "training/videos/01_002.avi")
    touch(tmp_path, *(f"testing/frames/01_0014/{n:03}.jpg" for n in range(8)))
    (tmp_path / "testing/test_frame_mask").mkdir()
    np.save(
        tmp_path / "testing/test_frame_mask/01_0014.npy", np.array([0, 0, 1, 1, 1, 0, 0, 0])
    )
    write(tmp_path / "SH_Train.txt", "01_0014,1\n01_001\n")
    write(tmp_path / "SH_Test.txt", "01_002\n")
    return tmp_path


def test_the_splits_of_shanghaitech_are_told_apart_by_name(shanghaitech):
    own, weak = (open_set("shanghaitech", shanghaitech, v) for v in ("one-class", "weak"))
    assert own.videos("train") == ("training/videos/01_001.avi", "training/videos/01_002.avi")
    assert own.videos("test") == ("testing/frames/01_0014",)
    assert weak.videos("train") == ("testing/frames/01_0014", "training/videos/01_001.avi")
    assert weak.videos("test") == ("training/videos/01_002.avi",)
    assert intervals(own.truth("testing/frames/01_0014")) == [(2, 5)]
    assert weak.truth("training/videos/01_002.avi") == Truth(50)


def test_a_test_clip_of_shanghaitech_without_its_mask_is_no_normal_clip(shanghaitech):
    (shanghaitech / "testing/test_frame_mask/01_0014.npy").unlink()
    with pytest.raises(SpecError, match=r"lacks 'testing/test_frame_mask/01_0014\.npy'"):
        open_set("shanghaitech", shanghaitech).truth("testing/frames/01_0014")


@pytest.fixture
def ucf(tmp_path):
    touch(
        tmp_path,
        "Anomaly-Videos-Part-1/Abuse/Abuse001_x264.mp4",
        "Anomaly-Videos-Part-1/Abuse/Abuse028_x264.mp4",
        "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
        "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4",
    )
    splits = tmp_path / "Anomaly_Detection_splits"
    write(
        splits / "Anomaly_Train.txt",
        "Abuse/Abuse001_x264.mp4\nTraining_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4\n"
        "Arson/Arson007_x264.mp4\n",
    )
    write(
        splits / "Anomaly_Test.txt",
        "Abuse/Abuse028_x264.mp4\nTesting_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4\n",
    )
    write(
        tmp_path / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt",
        "Abuse028_x264.mp4  Abuse  6  20  40  52\nNormal_Videos_003_x264.mp4  Normal  -1 -1 -1 -1\n",
    )
    return tmp_path


def test_ucf_crime_finds_videos_at_any_depth_and_keeps_the_name_of_a_missing_one(ucf):
    assert open_set("ucf_crime", ucf).videos("train") == (
        "Anomaly-Videos-Part-1/Abuse/Abuse001_x264.mp4",
        "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
        "Arson/Arson007_x264.mp4",
    )


def test_ucf_crime_labels_tests_by_frame_clipped_and_training_as_a_whole(ucf):
    found = open_set("ucf_crime", ucf)
    abuse, normal = found.videos("test")
    assert intervals(found.truth(abuse)) == [(5, 20), (39, 50)]
    assert found.truth(abuse).intervals[0].category == "Abuse"
    assert found.truth(normal) == Truth(50)
    assert [found.truth(video).category for video in found.videos("train")] == [
        "Abuse",
        "",
        "Arson",
    ]


def test_an_annotation_of_ucf_crime_that_is_none_is_shown(ucf):
    write(ucf / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Abuse028 Abuse 1 two\n")
    with pytest.raises(SpecError, match="'Abuse028 Abuse 1 two'"):
        open_set("ucf_crime", ucf).truth("Abuse028_x264.mp4")


@pytest.mark.parametrize("first", [0, 1])
def test_ucfcrime2local_calls_a_frame_abnormal_where_a_box_is_in_view(ucf, first):
    write(ucf / "Train_split_AD.txt", "Abuse001 1\n")
    write(ucf / "Test_split_AD.txt", "Abuse028\nNormal_Videos_003\n")
    lost = {10: 0, 11: 0, 12: 1, 30: 0}
    rows = [
        f'0 1 2 3 4 {first + frame} {lost.get(frame, 1)} 0 1 "Abuse"' for frame in range(40)
    ]
    write(ucf / "annotations/Abuse028.txt", "\n".join(rows))
    found = open_set("ucf_crime2local", ucf)
    abuse, normal = found.videos("test")
    assert found.videos("train") == ("Anomaly-Videos-Part-1/Abuse/Abuse001_x264.mp4",)
    assert intervals(found.truth(abuse)) == [(10, 12), (30, 31)]
    assert found.truth(abuse).intervals[0].category == "Abuse"
    assert found.truth(normal) == Truth(50)


def test_xd_violence_tells_categories_from_names_and_frames_from_its_file(tmp_path):
    fight = "Fast.2001__#00-29-00_00-29-52_label_B1-0-0"
    touch(
        tmp_path,
        f"1-1004/{fight}.mp4",
        "1005-2004/v=abc__#1_label_A.mp4",
        f"videos/{fight}2.mp4",
        "videos/v=d__#1_label_G-B2-0.mp4",
        "videos/v=e__#1_label_A.mp4",
    )
    write(
        tmp_path / "annotations.txt",
        f"{fight}2 5 10 20 99\nv=d__#1_label_G-B2-0.mp4 0 7\n",
    )
    found = open_set("xd_violence", tmp_path)
    assert [found.truth(v).category for v in found.videos("train")] == ["fighting", ""]
    assert len(found.videos("test")) == 3
    assert intervals(found.truth(f"videos/{fight}2.mp4")) == [(5, 10), (20, 50)]
    explosion = found.truth("videos/v=d__#1_label_G-B2-0.mp4")
    assert explosion.intervals == (Interval(0, 7, "explosion"),)
    assert found.truth("videos/v=e__#1_label_A.mp4") == Truth(50)


def test_umn_takes_its_labels_from_a_file_of_ones_own(tmp_path):
    touch(tmp_path, "Crowd-Activity-All.avi")
    found = open_set("umn", tmp_path)
    with pytest.raises(SpecError, match=r"lacks 'labels.csv'"):
        found.truth("Crowd-Activity-All.avi")
    labels = {"Crowd-Activity-All.avi": Truth(50, (Interval(30, 50, "panic"),))}
    write_labels(tmp_path / "labels.csv", labels)
    assert intervals(found.truth(*found.videos("all"))) == [(30, 50)]


def test_any_folder_with_labels_is_a_data_set(tmp_path):
    touch(tmp_path, "a/1.mp4", "a/2.mp4")
    write(tmp_path / "labels.csv", "video,category\na/1.mp4,\na/2.mp4,fall\n")
    found = open_set("csv_folder", tmp_path)
    assert [found.truth(video).category for video in found.videos("all")] == ["", "fall"]


def test_two_folders_of_videos_are_labelled_as_a_whole(tmp_path):
    touch(tmp_path, "Normal/1.mp4", "Anomaly/2.mp4", "Anomaly/3/001.jpg", "Anomaly/note.txt")
    found = open_set("normal_abnormal", tmp_path)
    assert {v: found.truth(v).category for v in found.videos("all")} == {
        "Normal/1.mp4": "",
        "Anomaly/2.mp4": "abnormal",
        "Anomaly/3": "abnormal",
    }


def test_two_folders_of_images_are_two_videos_labelled_by_frame(tmp_path):
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in ("normal", "abnormal") for n in range(4)))
    found = open_set("normal_abnormal", tmp_path)
    assert {v: intervals(found.truth(v)) for v in found.videos("all")} == {
        "normal": [],
        "abnormal": [(0, 4)],
    }


@pytest.mark.parametrize("name", datasets().names())
def test_every_data_set_says_what_it_is_where_it_belongs_and_what_is_published(name, tmp_path):
    cls = datasets().get(name)
    assert cls.about
    assert len(cls.layout) > 30
    for variant in cls.variants:
        assert open_set(name, tmp_path, variant).published


@pytest.mark.parametrize(
    "videos",
    [
        {"a": Truth(9), "b,c": Truth(7, (Interval(0, 2, "x"), Interval(5, 7, "ignore")))},
        {"a": Truth(None), "b": Truth(None, category="fight")},
    ],
)
def test_written_labels_are_read_back_unchanged(videos, tmp_path):
    write_labels(tmp_path / "labels.csv", videos)
    assert dict(read_labels(tmp_path / "labels.csv").videos) == videos
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_labels_of_both_kinds_do_not_make_one_file(tmp_path):
    with pytest.raises(SpecError, match="one split at a time"):
        write_labels(tmp_path / "labels.csv", {"a": Truth(9), "b": Truth(None)})
