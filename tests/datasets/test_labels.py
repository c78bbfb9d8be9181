from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anomaly.datasets.labels import LabelSet, check_known, read_labels
from anomaly.errors import SpecError

HEADER = "video,n_frames,start_frame,stop_frame,category\n"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str) -> LabelSet:
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return read_labels(path)

    return read


def test_intervals_become_one_label_per_frame(read) -> None:
    labels = read(HEADER + "a,6,1,3,fall\na,6,4,5,fight\nb,2,,,\n")
    assert labels.videos["a"].labels_T.tolist() == [0, 1, 1, 0, 1, 0]
    assert labels.videos["b"].labels_T.tolist() == [0, 0]


def test_ignored_frames_count_neither_way_even_where_something_happens(read) -> None:
    labels = read(HEADER + "a,5,1,3,ignore\na,5,0,2,fall\n")
    assert labels.videos["a"].labels_T.tolist() == [1, -1, -1, 0, 0]


def test_an_interval_without_a_category_is_abnormal(read) -> None:
    assert read(HEADER + "a,2,0,1,\n").videos["a"].intervals[0].category == "abnormal"


def test_a_file_of_two_columns_labels_whole_videos(read) -> None:
    labels = read("video,category\na,fight\nb,\n")
    assert labels.is_abnormal_without_frames("a")
    assert not labels.is_abnormal_without_frames("b")
    assert not labels.is_abnormal_without_frames("unlabelled")
    with pytest.raises(SpecError, match="which frames"):
        _ = labels.videos["a"].labels_T


def test_the_id_changes_with_any_byte(read) -> None:
    assert read(HEADER + "a,2,0,1,x\n").id != read(HEADER + "a,2,0,2,x\n").id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,n_frames,category\na,3,x\n", "lack the columns start_frame, stop_frame"),
        ("clip,kind\na,3\n", "lack the columns category, video; found clip, kind"),
        (HEADER + "a,9,5,5,x\n", "line 2: has frames 5 to 5 of 9"),
        (HEADER + "a,9,,,\na,9,3,10,x\n", "line 3: has frames 3 to 10 of 9"),
        (HEADER + "a,9,3,,x\n", "line 2: has only one of"),
        (HEADER + "a,,1,2,x\n", "line 2: has no n_frames"),
        (HEADER + "a,9,-1,2,x\n", "line 2: has start_frame '-1', expected a whole number"),
        (HEADER + "a,9,1.5,2,x\n", "line 2: has start_frame '1.5'"),
        (HEADER + "a,9,,,\na,8,,,\n", "line 3: says 8 frames, an earlier line 9"),
        (HEADER + ",9,,,\n", "line 2: names no video"),
        (HEADER + "a\n", "line 2: has no n_frames"),
        (HEADER, "hold no row"),
        ("", "found none"),
    ],
)
def test_a_wrong_line_is_named(read, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.csv"):
        read_labels(tmp_path / "none.csv")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xff\xfe\x00video")
    with pytest.raises(SpecError, match=r"Cannot read labels '.*labels\.csv'"):
        read_labels(path)


def test_normal_rows_keep_a_margin_from_what_is_not_normal(read) -> None:
    labels = read(HEADER + "a,100,40,50,fall\na,100,50,60,ignore\n")
    index_T = np.arange(100)
    assert labels.normal_rows("a", index_T, index_T / 10, 0.0) == ((0, 40), (60, 100))
    assert labels.normal_rows("a", index_T, index_T / 10, 0.95) == ((0, 31), (69, 100))


def test_normal_rows_are_rows_and_not_frames(read) -> None:
    labels = read(HEADER + "a,100,40,50,fall\n")
    index_T = np.arange(0, 100, 4)
    assert labels.normal_rows("a", index_T, index_T / 25, 0.0) == ((0, 10), (13, 25))


def test_a_video_that_is_abnormal_throughout_has_no_normal_row(read) -> None:
    labels = read(HEADER + "a,10,0,10,fall\n")
    index_T = np.arange(10)
    assert labels.normal_rows("a", index_T, index_T / 10, 1.0) == ()


def test_nothing_is_left_out_of_a_video_without_labels_or_without_events(read) -> None:
    labels = read(HEADER + "a,10,,,\n")
    index_T = np.arange(10)
    assert labels.normal_rows("a", index_T, index_T / 10, 1.0) is None
    assert labels.normal_rows("b", index_T, index_T / 10, 1.0) is None


def test_an_unknown_video_is_named_with_the_nearest_known(read) -> None:
    labels = read(HEADER + "test/01.mp4,9,,,\ntest/2.mp4,9,,,\n")
    with pytest.raises(
        SpecError, match=r"'test/2.mp4', which is not among the 2.*'test/02.mp4'"
    ):
        check_known(labels, ["test/01.mp4", "test/02.mp4"])
    check_known(labels, ["test/01.mp4", "test/2.mp4", "more.mp4"])


@pytest.mark.data
def test_the_label_files_of_the_real_videos_are_read(shared_data: Path) -> None:
    files = sorted(shared_data.glob("*/labels.csv"))
    assert len(files) >= 8
    for path in files:
        labels = read_labels(path)
        for video, truth in labels.videos.items():
            assert (path.parent / video).exists(), video
            if truth.n_frames is not None:
                assert len(truth.labels_T) == truth.n_frames


def test_categories_become_classes_in_order_of_name(read) -> None:
    labels = read(
        HEADER + "a,9,1,3,theft\na,9,5,6,fall\nb,9,2,4,fall\nc,9,,,\nd,9,0,2,ignore\n"
    )
    assert labels.categories == ("fall", "theft")
    assert [labels.video_class(name) for name in "abcd"] == [2, 1, 0, 0]
    assert labels.video_class("elsewhere") is None
    index = np.arange(9)
    found = labels.row_classes("a", index, index / 10, 0.05)
    assert found is not None
    assert found.tolist() == [0, 2, 2, 0, 0, 1, 0, 0, 0]


def test_normal_rows_beside_abnormal_ones_and_ignored_rows_count_neither_way(read) -> None:
    labels = read(HEADER + "a,12,4,6,x\na,12,9,10,ignore\n")
    index = np.arange(0, 12, 2)
    found = labels.row_classes("a", index, index / 10, 0.15)
    assert found is not None
    assert found.tolist() == [0, 0, 1, -1, -1, -1]


def test_rows_of_a_video_that_is_abnormal_as_a_whole_have_no_class(read) -> None:
    labels = read("video,category,group\na,x,tape 1\nb,,tape 1\nc,ignore,\n")
    index = np.arange(3)
    assert labels.row_classes("a", index, index / 10, 0.1) is None
    normal = labels.row_classes("b", index, index / 10, 0.1)
    assert normal is not None
    assert normal.tolist() == [0, 0, 0]
    assert [labels.group(name) for name in "abc"] == ["tape 1", "tape 1", ""]
    assert labels.video_class("c") is None
    assert [labels.has_normal_frames(name) for name in "abcz"] == [False, True, False, False]
