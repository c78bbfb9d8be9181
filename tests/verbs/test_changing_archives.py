"""What becomes of scores when files are renamed, moved, copied, deleted or changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from anomaly.errors import SpecError
from anomaly.fanout import Item, Result
from anomaly.scores.tables import partitions
from anomaly.verbs.listing import retry
from anomaly.verbs.look import look
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import FRAMES, House


class StopError(Exception):
    """Stands for the end of the process at this very moment."""


def stop_after(results: int) -> Callable[..., Iterator[object]]:
    """Return a fan-out that ends the run when so many camera-days have been worked on."""
    left = results

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        nonlocal left
        for item in items:
            yield function(item)
            left -= label == "score"
            if left == 0:
                raise StopError

    return run


def is_whole(rows: list[tuple[int, float]]) -> bool:
    return [frame for frame, _ in rows] == list(range(FRAMES))


def test_a_renamed_video_keeps_its_scores_under_its_new_name_alone(settled: House) -> None:
    before = settled.rows()
    (settled.folder / "gate/1.mp4").rename(settled.folder / "gate/9.mp4")
    night = settled.night()
    (outcome,) = night.scoring.extraction.outcomes
    assert (outcome.uri, outcome.status, outcome.bytes_written) == ("gate/9.mp4", "skipped", 0)
    expected = {
        ("gate/9.mp4" if uri == "gate/1.mp4" else uri): rows for uri, rows in before.items()
    }
    assert settled.rows() == expected
    assert "gate/1.mp4" not in settled.event_videos()
    row = settled.catalog()["gate/9.mp4"]
    assert (row.status, row.n_frames) == ("ok", FRAMES)


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_a_video_moved_to_another_camera_is_never_there_twice(
    settled: House, stopped_after: int
) -> None:
    (settled.folder / "hall/1.mp4").rename(settled.folder / "gate/9.mp4")
    if stopped_after:
        with pytest.raises(StopError):
            settled.night(fan_out=stop_after(stopped_after))
        assert {"hall/1.mp4", "gate/9.mp4"} - set(settled.rows())
    settled.night()
    rows = settled.rows()
    assert set(rows) == {"gate/1.mp4", "gate/2.mp4", "gate/9.mp4", "hall/2.mp4"}
    assert all(map(is_whole, rows.values()))
    assert settled.night().scoring.scored == ()


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_rows_of_a_video_changed_in_place_are_replaced(
    settled: House, clips: Sequence[Path], stopped_after: int
) -> None:
    before = settled.rows()
    shutil.copy(clips[4], settled.folder / "gate/1.mp4")
    if stopped_after:
        with pytest.raises(StopError):
            settled.night(fan_out=stop_after(stopped_after))
    settled.night()
    rows = settled.rows()
    assert is_whole(rows["gate/1.mp4"])
    assert rows["gate/1.mp4"] != before["gate/1.mp4"]
    assert {**rows, "gate/1.mp4": before["gate/1.mp4"]} == before


def test_a_deleted_video_keeps_its_rows_and_is_marked_gone(settled: House) -> None:
    before = settled.rows()
    (settled.folder / "gate/1.mp4").unlink()
    night = settled.night()
    assert (night.new, night.troubled) == (0, ())
    assert settled.rows() == before
    assert not settled.catalog()["gate/1.mp4"].present
    assert settled.catalog()["gate/2.mp4"].present


def test_two_copies_that_come_in_one_night_are_both_scored(
    settled: House, clips: Sequence[Path]
) -> None:
    for uri in ("gate/a.mp4", "hall/b.mp4"):
        shutil.copy(clips[5], settled.folder / uri)
    night = settled.night()
    assert [row.uri for row in night.scoring.scored] == ["gate/a.mp4", "hall/b.mp4"]
    rows = settled.rows()
    assert is_whole(rows["gate/a.mp4"])
    assert is_whole(rows["hall/b.mp4"])


def test_two_videos_that_swap_their_names_swap_their_rows(settled: House) -> None:
    before = settled.rows()
    first, second, aside = (settled.folder / f"gate/{name}.mp4" for name in ("1", "2", "3"))
    for source, target in ((first, aside), (second, first), (aside, second)):
        source.rename(target)
    settled.night()
    swapped = {"gate/1.mp4": before["gate/2.mp4"], "gate/2.mp4": before["gate/1.mp4"]}
    assert settled.rows() == {**before, **swapped}


def test_scoring_some_videos_keeps_the_rest_of_their_camera_day(house: House) -> None:
    for number in "12":
        (house.folder / f"gate/{number}.mp4").rename(
            house.folder / f"gate/20260301_0{number}.mp4"
        )
    pattern = r"(?P<camera>gate)/(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_(?P<hour>\d\d)"
    dated = replace(house, archive=ArchiveSpec(root=house.archive.root, pattern=pattern))
    dated.train()
    for hour in ("01", "02", "02"):
        summary = dated.score(f"gate/*_{hour}.mp4")
        assert summary.videos == 1
    (day,) = partitions(dated.root, "site", "mine")
    assert (day.camera, day.date) == ("gate", "2026-03-01")
    assert set(dated.rows()) == {"gate/20260301_01.mp4", "gate/20260301_02.mp4"}
    assert all(map(is_whole, dated.rows().values()))


def test_two_archives_with_equal_file_names_do_not_mix(
    settled: House, clips: Sequence[Path], tmp_path: Path
) -> None:
    before = settled.rows()
    other = House(ArchiveSpec(root=str(tmp_path / "elsewhere" / "site")), settled.url)
    (other.folder / "gate").mkdir(parents=True)
    shutil.copy(clips[5], other.folder / "gate/1.mp4")
    night = other.night()
    assert night.scoring.archive == "site-2"
    assert settled.rows() == before
    rows = other.rows("site-2")
    assert set(rows) == {"gate/1.mp4"}
    assert rows["gate/1.mp4"] != before["gate/1.mp4"]
    assert settled.night().scoring.scored == ()
    assert other.night().scoring.scored == ()


def test_a_camera_added_later_leaves_the_scores_of_the_others_valid(house: House) -> None:
    house.train("gate/*")
    first = house.night()
    assert first.scoring.models == {"gate": 2, "pooled": 2}
    before = house.rows()
    house.train("hall/*", camera="hall")
    second = house.night()
    assert second.scoring.models == {"hall": 2}
    after = house.rows()
    assert [after[uri] == before[uri] for uri in sorted(before)] == [True, True, False, False]


def test_a_camera_that_moves_in_the_names_takes_its_rows_along(settled: House) -> None:
    everything = replace(
        settled, archive=ArchiveSpec(root=settled.archive.root, pattern=r"(?P<camera>\d)\.mp4")
    )
    night = everything.night()
    assert len(night.scoring.scored) == 4
    assert all(map(is_whole, everything.rows().values()))
    assert set(everything.rows()) == set(settled.catalog())


def test_a_bad_file_is_news_once(settled: House) -> None:
    (settled.folder / "gate/3.mp4").write_bytes(b"no video at all" * 50)
    first = settled.night()
    assert [(o.uri, o.status) for o in first.troubled] == [("gate/3.mp4", "quarantined")]
    for summary in (settled.night().scoring, settled.score()):
        assert summary.extraction.troubled == ()
        assert summary.extraction.to_json()["quarantined"] == 1
    assert settled.train().extraction.troubled == ()
    assert retry(settled.root, [], "site") == ["gate/3.mp4"]
    assert [o.uri for o in settled.night().troubled] == ["gate/3.mp4"]


def test_a_bad_file_that_is_mended_is_scored_without_asking(
    settled: House, clips: Sequence[Path]
) -> None:
    (settled.folder / "gate/3.mp4").write_bytes(b"no video at all" * 50)
    settled.night()
    shutil.copy(clips[5], settled.folder / "gate/3.mp4")
    assert [row.uri for row in settled.night().scoring.scored] == ["gate/3.mp4"]
    assert is_whole(settled.rows()["gate/3.mp4"])


def test_a_file_that_another_run_finds_changed_meanwhile_is_not_taken_for_done(
    settled: House, clips: Sequence[Path]
) -> None:
    new = settled.folder / "gate/3.mp4"
    shutil.copy(clips[4], new)

    def with_a_change(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        for item in items:
            result = function(item)
            if label == "extract":
                shutil.copy(clips[5], new)
                look(settled.url, settled.archive)
            yield result

    settled.night(fan_out=with_a_change)
    old = settled.rows()["gate/3.mp4"]
    settled.night()
    assert is_whole(settled.rows()["gate/3.mp4"])
    assert settled.rows()["gate/3.mp4"] != old


def test_retry_of_an_unknown_archive_is_refused_and_leaves_no_trace(settled: House) -> None:
    before = settled.root.keys("catalog")
    with pytest.raises(SpecError, match=r"No archive named 'sit'\. Did you mean 'site'"):
        retry(settled.root, [], "sit")
    assert settled.root.keys("catalog") == before


def test_training_on_bad_files_alone_is_refused(house: House) -> None:
    (house.folder / "gate/3.mp4").write_bytes(b"no video at all" * 50)
    with pytest.raises(SpecError, match="gate/3"):
        house.train("gate/3.mp4")
    with pytest.raises(SpecError, match="in quarantine"):
        house.train("gate/3.mp4")
