"""Verdicts: what is stored of them, and which event they are about."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.errors import SpecError, StoreError
from anomaly.scores.verdicts import (
    LONGEST_NOTE,
    Verdict,
    add_verdicts,
    archives_with_verdicts,
    exported,
    match,
    parse_verdict,
    parse_verdicts,
    read_verdicts,
    verdicts_for,
)
from anomaly.storage import Root, open_root

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def verdict(
    event: int = 1,
    said: str = "false",
    start: float = 10.0,
    stop: float = 20.0,
    minutes: float = 0,
    video: str = "gate/1.mp4",
    **more: Any,
) -> Verdict:
    record = {
        "event_id": f"{event:016x}",
        "archive": "site",
        "camera": "gate",
        "video": video,
        "start_seconds": start,
        "stop_seconds": stop,
        "verdict": said,
        "note": "",
        "decided_at": (NOON + timedelta(minutes=minutes)).isoformat(),
    }
    return parse_verdict({**record, **more}, "here")


def event(number: int, start: float, stop: float, video: str = "gate/1.mp4") -> dict[str, Any]:
    """A row of the events table, as far as verdicts look at it."""
    return {
        "event_id": f"{number:016x}",
        "video": video,
        "start_seconds": start,
        "stop_seconds": stop,
    }


def said_of(verdicts: list[Verdict], one: dict[str, Any]) -> str | None:
    found = match(verdicts, [one]).get(one["event_id"])
    return found.verdict if found else None


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(str(tmp_path / "root"))


def test_a_verdict_is_read_as_it_was_stored_time_in_utc(root: Root) -> None:
    there = verdict(note="a fox, \u72d0", decided_at="2026-03-02T13:00:00.123456+01:00")
    assert add_verdicts(root, [there]) == 1
    (found,) = read_verdicts(root, "site").values()
    assert found == there
    assert found.to_json()["decided_at"] == "2026-03-02T12:00:00.123456+00:00"
    assert archives_with_verdicts(root) == ["site"]


def test_archives_are_kept_apart_whatever_they_are_called(root: Root) -> None:
    names = ["site & co", "a/b", "..", "a.json"]
    for number, name in enumerate(names):
        add_verdicts(root, [verdict(number, archive=name)])
    assert archives_with_verdicts(root) == sorted(names)
    for number, name in enumerate(names):
        assert list(read_verdicts(root, name)) == [f"{number:016x}"]


def test_taking_verdicts_in_again_changes_nothing(root: Root) -> None:
    given_ = [verdict(1), verdict(2, start=30, stop=40)]
    assert add_verdicts(root, given_) == 2
    before = root.read("verdicts/site.json")
    assert add_verdicts(root, given_) == 0
    assert root.read("verdicts/site.json") == before


def test_of_two_verdicts_about_one_event_the_later_stays_whichever_comes_first(
    root: Root,
) -> None:
    early, late = verdict(said="false"), verdict(said="real", minutes=1)
    assert add_verdicts(root, [late]) == 1
    assert add_verdicts(root, [early]) == 0
    assert [one.verdict for one in read_verdicts(root, "site").values()] == ["real"]


_MANY = st.lists(
    st.builds(
        verdict,
        event=st.integers(1, 4),
        said=st.sampled_from(["real", "false", "unsure"]),
        minutes=st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(given_=_MANY, data=st.data())
def test_neither_the_order_nor_the_number_of_imports_matters(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Verdict], data: st.DataObject
) -> None:
    stored = []
    for order in (given_, data.draw(st.permutations([*given_, *given_[:3]]))):
        root = open_root(str(tmp_path_factory.mktemp("root")))
        cut = data.draw(st.integers(0, len(order)))
        add_verdicts(root, order[:cut])
        add_verdicts(root, order[cut:])
        stored.append(root.read("verdicts/site.json"))
    assert stored[0] == stored[1]


def _write(url: str, first: int) -> None:
    root = open_root(url)
    for number in range(first, first + 20):
        add_verdicts(root, [verdict(number)])


def test_two_writers_at_once_lose_nothing(root: Root) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(root.url, first)) for first in (1, 101)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(read_verdicts(root, "site")) == 40


@pytest.mark.s3
def test_verdicts_are_kept_in_an_object_store(s3_environment: str) -> None:
    root = open_root(f"s3://{s3_environment}/root")
    assert add_verdicts(root, [verdict(1), verdict(2)]) == 2
    assert add_verdicts(root, [verdict(1)]) == 0
    assert len(read_verdicts(root, "site")) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"verdict": "maybe"}, "verdict: Input should be 'real', 'false' or 'unsure'"),
        ({"decided_at": "2026-03-02T08:00:00"}, "decided_at: .*timezone"),
        ({"event_id": "../../secret"}, "event_id"),
        ({"start_seconds": float("nan")}, "start_seconds"),
        ({"start_seconds": 30}, "stops at 20.0 s, before it starts at 30.0 s"),
        ({"note": "x" * (LONGEST_NOTE + 1)}, "note: .*2000"),
        ({"archive": ""}, "archive"),
        ({"more": 1}, "more: Unexpected"),
    ],
)
def test_a_wrong_record_is_refused_and_told_by_its_place(
    change: dict[str, Any], told: str
) -> None:
    records = [verdict().to_json(), {**verdict().to_json(), **change}]
    data = json.dumps({"archive": "site", "verdicts": records}).encode()
    with pytest.raises(SpecError, match=told) as raised:
        parse_verdicts(data, "mine.json")
    assert str(raised.value).startswith("mine.json, verdict 2: ")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"verdicts": 3}', b"\xff", b"null"])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError, match="holds no verdicts"):
        parse_verdicts(data, "mine.json")


def test_a_damaged_store_is_told_and_not_written_over(root: Root) -> None:
    root.publish("verdicts/site.json", b'{"verdicts": [')
    with pytest.raises(StoreError, match=r"site.json holds no verdicts .* Mend or remove"):
        add_verdicts(root, [verdict()])
    assert root.read("verdicts/site.json") == b'{"verdicts": ['


def test_what_is_exported_can_be_taken_in(root: Root) -> None:
    given_ = [verdict(1, note='a "quoted" <b>note</b>\n'), verdict(2, said="unsure")]
    text = json.dumps(exported("site", "june", given_)).encode()
    assert parse_verdicts(text, "file") == given_


def test_a_verdict_outlives_new_scores_where_the_event_has_another_id_and_other_ends() -> None:
    assert said_of([verdict(1, start=10, stop=20)], event(99, 11, 23)) == "false"
    assert said_of([verdict(1, start=10, stop=20)], event(99, 21, 23)) is None
    assert said_of([verdict(1, start=10, stop=20)], event(99, 11, 23, "gate/2.mp4")) is None


def test_a_renamed_video_keeps_its_verdicts_for_event_ids_are_of_contents() -> None:
    assert said_of([verdict(1)], event(1, 10, 20, "renamed.mp4")) == "false"


def test_a_false_moment_says_nothing_of_a_long_event_around_it_but_a_real_one_does() -> None:
    long = event(99, 0, 100)
    assert said_of([verdict(said="false", start=50, stop=52)], long) is None
    assert said_of([verdict(said="unsure", start=50, stop=52)], long) is None
    assert said_of([verdict(said="real", start=50, stop=52)], long) == "real"


def test_an_event_within_what_was_judged_has_that_verdict() -> None:
    inside = event(99, 50, 52)
    for said in ("real", "false", "unsure"):
        assert said_of([verdict(said=said, start=0, stop=100)], inside) == said


def test_of_several_verdicts_about_one_stretch_the_latest_counts() -> None:
    monday, tuesday = verdict(1, "false"), verdict(2, "real", 9, 21, minutes=1440)
    for one in (event(1, 10, 20), event(2, 9, 21), event(3, 12, 19)):
        assert said_of([tuesday, monday], one) == "real"


def test_events_that_only_touch_a_verdict_are_not_judged_by_it() -> None:
    assert said_of([verdict(said="real", start=10, stop=20)], event(99, 20, 21)) is None
    assert said_of([verdict(said="real", start=10, stop=20)], event(99, 10, 10)) is None


@given(
    ends=st.tuples(*[st.floats(0, 100)] * 4),
    said=st.sampled_from(["real", "false", "unsure"]),
)
def test_what_applies_shares_time_with_the_event_and_a_stretch_judges_itself(
    ends: tuple[float, ...], said: str
) -> None:
    (start, stop), (first, last) = sorted(ends[:2]), sorted(ends[2:])
    one = verdict(said=said, start=start, stop=stop)
    if one.applies_to(event(99, first, last)):
        assert min(stop, last) > max(start, first)
    assert one.applies_to(event(1, first, last))
    assert one.applies_to(event(99, start, stop)) == (stop > start)


def test_verdicts_are_found_for_rows_of_the_events_table(root: Root) -> None:
    add_verdicts(root, [verdict(1), verdict(2, "real", 40, 50)])
    rows = [event(1, 10, 20), event(7, 41, 50), event(8, 70, 80)]
    found = verdicts_for(root, "site", rows)
    assert {name: one.verdict for name, one in found.items()} == {
        f"{1:016x}": "false",
        f"{7:016x}": "real",
    }
    assert verdicts_for(root, "elsewhere", rows) == {}
