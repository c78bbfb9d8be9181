"""Events of two checkpoints side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anomaly.datasets.labels import Interval, LabelSet, Truth
from anomaly.evaluation.changes import changes_between


def event(start: int, stop: int, video: str = "a", score: float = 1.0) -> dict:
    return {"video": video, "start_frame": start, "stop_frame": stop, "score": score}


def kinds(before: list[dict], after: list[dict]) -> list[str]:
    return [change.kind for change in changes_between(before, after).changes]


def test_events_are_gained_lost_moved_or_kept() -> None:
    before = [event(0, 10), event(50, 60), event(100, 200), event(0, 9, "b")]
    after = [event(1, 11), event(300, 310), event(170, 260)]
    found = changes_between(before, after)
    assert found.kept == 1
    assert [found.count(kind) for kind in ("gained", "lost", "moved")] == [1, 2, 1]


def test_each_event_has_one_partner_the_one_it_overlaps_most() -> None:
    found = changes_between([event(0, 100)], [event(0, 40), event(40, 100)])
    assert found.kept == 1
    (gained,) = found.changes
    assert (gained.kind, gained.after["stop_frame"]) == ("gained", 40)


def test_the_highest_change_comes_first_and_says_what_the_labels_call_it() -> None:
    truth = {"a": Truth(900, (Interval(0, 50, "fall"), Interval(200, 300, "ignore")))}
    found = changes_between(
        [],
        [
            event(10, 20, score=1),
            event(100, 110, score=4),
            event(210, 220, score=3),
            event(0, 5, "b", score=2),
        ],
        LabelSet("cafe", truth),
    )
    assert [change.truth for change in found.changes] == [
        "normal",
        "ignore",
        "unlabelled",
        "fall",
    ]


_EVENTS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=6).map(
    lambda pairs: [event(start, start + length) for start, length in pairs]
)


@given(_EVENTS, _EVENTS)
def test_every_event_is_told_of_once(before, after) -> None:
    found = changes_between(before, after)
    assert found.count("gained") + found.count("moved") + found.kept == len(after)
    assert found.count("lost") + found.count("moved") + found.kept == len(before)


@given(_EVENTS)
def test_a_checkpoint_changes_nothing_against_itself(events) -> None:
    assert changes_between(events, events).changes == []
