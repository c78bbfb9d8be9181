from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anomaly.datasets.labels import Interval, LabelSet, Truth
from anomaly.errors import SpecError
from anomaly.evaluation.evaluate import VideoScores, evaluate_scores
from anomaly.evaluation.files import evaluate_file
from anomaly.evaluation.table import to_markdown, to_text


def scores(values: list[float], start: int = 0) -> VideoScores:
    return VideoScores(
        np.arange(start, start + len(values)), np.array(values, dtype=np.float64)
    )


def truth(*videos: tuple[str, int, list[tuple[int, int, str]]]) -> LabelSet:
    return LabelSet(
        "cafe",
        {
            name: Truth(n_frames, tuple(Interval(*interval) for interval in intervals))
            for name, n_frames, intervals in videos
        },
    )


TWO_VIDEOS = truth(("a", 4, [(2, 4, "fall")]), ("b", 3, []))


def test_frames_are_joined_with_their_labels_by_number() -> None:
    found = evaluate_scores({"a": scores([0, 1, 5, 6]), "b": scores([0, 1, 2])}, TWO_VIDEOS)
    plain = found.to_json()
    assert plain["frame_auc_micro"] == plain["frame_auc_macro"] == 1.0
    assert plain["frames"] == 7
    assert plain["videos"] == 2
    assert plain["videos_left_out_of_macro"] == 1
    assert plain["label_set"] == "cafe"
    assert plain["frame_auc_micro_interval"] == [1.0, 1.0]
    assert plain["peeks"] == ["frame_auc_micro_normalised"]


def test_ignored_frames_count_neither_way() -> None:
    labels = truth(("a", 4, [(1, 2, "fall"), (2, 4, "ignore")]))
    found = evaluate_scores({"a": scores([0, 1, 99, -99])}, labels)
    assert found.figures["frame_auc_micro"].value == 1.0
    assert (found.frames, found.frames_ignored) == (2, 2)


def test_frames_without_a_score_and_beyond_the_labels_are_counted_apart() -> None:
    found = evaluate_scores({"a": scores([np.nan, 1, 5, 6, 7, 8])}, TWO_VIDEOS)
    assert (found.frames, found.frames_without_score, found.frames_beyond_labels) == (3, 1, 2)
    assert found.videos_without_score == 1


def test_one_class_alone_gives_null_figures_and_a_reason() -> None:
    found = evaluate_scores({"b": scores([0, 1, 2])}, TWO_VIDEOS).to_json()
    assert found["frame_auc_micro"] is None
    assert found["frame_auc_micro_interval"] is None
    assert found["eer"] is None
    assert found["reason"] == "none of 3 frames is abnormal"
    json.dumps(found, allow_nan=False)
    assert "none of 3 frames is abnormal" in to_text(found)


def test_scorers_that_know_nothing_stand_beside() -> None:
    labels = truth(*((str(number), 400, [(200, 400, "x")]) for number in range(10)))
    ordered = {str(number): scores(list(range(400))) for number in range(10)}
    difference = {name: scores([1.0] * 400) for name in ordered}
    found = evaluate_scores(ordered, labels, sanity={"frame_difference": difference})
    assert found.sanity["constant"] == 0.5
    assert found.sanity["random"] == pytest.approx(0.5, abs=0.03)
    assert found.sanity["frame_index"] == 1.0  # these labels betray themselves
    assert found.sanity["frame_difference"] == 0.5


def test_equal_seeds_give_equal_evaluations() -> None:
    made = {name: scores(list(np.random.default_rng(1).random(4))) for name in ("a", "b")}
    assert evaluate_scores(made, TWO_VIDEOS, seed=4) == evaluate_scores(
        made, TWO_VIDEOS, seed=4
    )


def whole(**categories: str) -> LabelSet:
    """Labels of whole videos."""
    return LabelSet("cafe", {name: Truth(None, category=c) for name, c in categories.items()})


WHOLE = whole(a="fight", b="", c="fall", d="", e="ignore")
FIVE = {
    "a": scores([1, 9, 1]), "b": scores([2, 2, 2, 2, 2]), "c": scores([3, 1]), "d": scores([4]),
    "e": scores([99]),
}  # fmt: skip


def test_labels_of_whole_videos_give_the_figures_of_whole_videos_and_no_others() -> None:
    found = evaluate_scores(FIVE, WHOLE)
    plain = found.to_json()
    assert (
        plain["video_auc_max"] == 0.75
    )  # of the four pairs, only (c, d) is the wrong way round
    assert plain["video_auc_max_interval"] is not None
    others = set(found.figures) - {"video_auc_max"}
    assert "frame_auc_micro" in others
    assert {found.figures[name].value for name in others} == {None}
    assert (found.videos, found.frames) == (4, 11)
    assert plain["headline"] == "video_auc_max"
    assert plain["protocol"].startswith("Video level")
    assert "do not say which frames" in plain["reason"]
    assert plain["per_video"][0] == {
        "video": "a", "frames": 3, "frames_abnormal": None, "frame_auc": None
    }  # fmt: skip
    assert plain["sanity"]["constant"] == 0.5
    # the longest video is a normal one, the shortest too
    assert plain["sanity"]["frame_index"] == 0.5
    json.dumps(plain, allow_nan=False)
    assert "video_auc_max of a scorer that has learnt nothing" in to_text(plain)


def test_the_figure_of_whole_videos_is_that_of_their_frames() -> None:
    generator = np.random.default_rng(3)
    made = {str(n): scores(list(generator.random(20) + (n % 3 == 0))) for n in range(12)}
    framed = truth(*((str(n), 20, [(5, 9, "x")] if n % 3 == 0 else []) for n in range(12)))
    labelled = whole(**{str(n): "x" if n % 3 == 0 else "" for n in range(12)})
    by_frame = evaluate_scores(made, framed, seed=2).figures["video_auc_max"]
    by_video = evaluate_scores(made, labelled, seed=2).figures["video_auc_max"]
    assert by_video == by_frame


def test_whole_videos_of_one_kind_give_no_figure_and_say_why() -> None:
    found = evaluate_scores({"b": scores([1, 2]), "d": scores([3])}, WHOLE)
    assert found.figures["video_auc_max"].value is None
    assert found.reason.endswith("and 0 of 2 videos are abnormal, so not even those")


def test_a_score_file_is_judged_by_labels_of_whole_videos(tmp_path: Path) -> None:
    labels, table = tmp_path / "labels.csv", tmp_path / "scores.csv"
    labels.write_text("video,category\na,fight\nb,\nc,\n")
    table.write_text("video,frame,score\na,0,1\na,7,5\nb,0,2\n")
    with pytest.raises(SpecError, match="1 labelled videos have no score, the first is 'c'"):
        evaluate_file(table, labels)
    found = evaluate_file(table, labels, only_scored=True)
    assert found.figures["video_auc_max"].value == 1.0
    assert found.videos_without_score == 1


def test_nothing_in_common_is_said_plainly() -> None:
    with pytest.raises(SpecError, match="None of 1 scored videos is among the 2 labelled"):
        evaluate_scores({"x": scores([1])}, TWO_VIDEOS)


def test_the_tables_show_every_figure_and_what_was_counted() -> None:
    found = evaluate_scores({"a": scores([0, 1, 5, 6])}, TWO_VIDEOS).to_json()
    for text in (to_text(found), to_markdown(found)):
        assert "frame_auc_macro_padded" in text
        assert "sanity: frame_index" in text
        assert "4 frames of 1 videos count" in text
    assert to_markdown(found).startswith(
        "| metric | value | 95 % interval | convention |\n| ---"
    )


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


LABELS = "video,n_frames,start_frame,stop_frame,category\n01,4,2,4,fall\n"


def test_scores_from_elsewhere_are_read_from_a_table(write, tmp_path: Path) -> None:
    labels = write("labels.csv", LABELS)
    table = write("scores.csv", "score,video,frame\n5,01,2\n6,01,3\n0,01,0\n1,01,1\n")
    found = evaluate_file(table, labels)
    assert (found.figures["frame_auc_micro"].value, found.frames) == (1.0, 4)

    from pyarrow import csv, parquet

    types = csv.ConvertOptions(column_types={"video": "string"})
    parquet.write_table(csv.read_csv(table, convert_options=types), tmp_path / "scores.parquet")
    assert evaluate_file(tmp_path / "scores.parquet", labels) == found


def test_labelled_frames_without_a_score_are_an_error_unless_left_out_on_purpose(write) -> None:
    labels = write("labels.csv", LABELS)
    table = write("scores.csv", "video,frame,score\n01,1,0\n01,2,3\n01,3,\n")
    with pytest.raises(SpecError, match=r"2 labelled frames of 1 videos.*'01'.*--only-scored"):
        evaluate_file(table, labels)
    found = evaluate_file(table, labels, only_scored=True)
    assert (found.frames, found.frames_without_score) == (2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,frame\n01,1\n", "Expected columns video,frame,score"),
        ("video,frame,score\n01,1,high\n", "Expected columns video,frame,score"),
        ("video,frame,score\n01,1,1\n01,1,2\n", "frame 1 of '01' is scored twice"),
        ("video,frame,score\n01,-1,1\n", "'01' has frame -1"),
        ("video,frame,score\n01,,1\n", "lacks its video or frame"),
        ("", "Cannot read scores"),
    ],
)
def test_a_table_of_scores_that_is_wrong_is_refused(write, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        evaluate_file(write("scores.csv", text), write("labels.csv", LABELS))


def test_a_missing_table_of_scores_is_named(write, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.csv"):
        evaluate_file(tmp_path / "none.csv", write("labels.csv", LABELS))


@pytest.mark.data
def test_published_scores_give_the_published_figures(shared_data: Path) -> None:
    folder = shared_data / "golden_scores"
    found = evaluate_file(
        folder / "memae_avenue_scores.csv", folder / "memae_avenue_labels.csv", only_scored=True
    )
    assert found.figures["frame_auc_micro"].value == pytest.approx(0.80745, abs=1e-5)
    assert found.figures["frame_auc_micro_normalised"].value == pytest.approx(0.80991, abs=1e-5)
    assert found.figures["frame_auc_macro"].value == pytest.approx(0.853, abs=1e-3)
    assert (found.frames, found.frames_without_score) == (15_009, 21 * 15)
    assert found.videos_left_out_of_macro == 2
