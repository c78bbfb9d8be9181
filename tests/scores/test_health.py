"""How cameras are, from catalogs and ledgers that are written down here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from anomaly.catalog import CatalogRow, Condition, LedgerRow
from anomaly.scores.health import CameraHealth, health

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = 3600.0


def recorded(
    camera: str, hours: Sequence[float], length: float = HOUR, **known: object
) -> dict[str, CatalogRow]:
    """Files of one camera that begin `hours` after midnight."""
    rows = {}
    for hour in hours:
        start = MIDNIGHT + timedelta(hours=hour)
        uri = f"{camera}/{start:%d_%H%M}.mp4"
        facts = {
            "status": "ok", "n_frames": 1000, "frames_lost": 0, "duration_seconds": length, **known
        }  # fmt: skip
        rows[uri] = CatalogRow(
            archive="site", uri=uri, location=uri, bytes=1, modified="", camera=camera,
            date=f"{start:%Y-%m-%d}", start_time_utc=start, kind="file", first_seen=start,
            last_seen=start, content=uri, **facts,
        )  # fmt: skip
    return rows


def scored(
    rows: dict[str, CatalogRow],
    conditions: dict[str, tuple[Condition, ...]] | None = None,
    light: dict[str, tuple[int, ...]] | None = None,
) -> list[LedgerRow]:
    return [
        LedgerRow(
            uri=uri, content=uri, camera=row.camera, date=row.date or "", model_digest="m",
            n_frames=1000, n_events=0, conditions=(conditions or {}).get(uri, ()),
            light=(light or {}).get(uri, (120,) * 12),
        )
        for uri, row in rows.items()
    ]  # fmt: skip


def only(found: list[CameraHealth]) -> CameraHealth:
    (camera,) = found
    return camera


def at(hour: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hour)


def test_a_camera_that_records_round_the_clock_is_ok() -> None:
    rows = recorded("gate", range(72))
    found = only(health(rows, scored(rows)))
    assert (found.state, found.troubles, found.switches) == ("ok", (), ())
    assert (found.videos, found.seconds, found.last) == (72, 72 * HOUR, at(72))


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param([d * 24 + h for d in range(3) for h in range(8, 18)], id="by day alone"),
        pytest.param([d * 24 + h for d in range(2) for h in (8, 9.2, 11)], id="now and then"),
        pytest.param([8, 9, 32], id="three files"),
        pytest.param([5], id="one file"),
    ],
)
def test_a_schedule_is_no_gap(hours: list[float]) -> None:
    rows = recorded("gate", hours, length=1200.0 if 9.2 in hours else HOUR)
    assert only(health(rows, scored(rows))).troubles == ()


def test_a_gap_of_a_camera_that_never_pauses_is_told() -> None:
    rows = recorded("gate", [*range(20), *range(23, 48)])
    (gap,) = only(health(rows, scored(rows))).troubles
    assert (gap.what, gap.since, gap.until, gap.is_over) == ("gap", at(20), at(23), True)
    assert gap.text == (
        "gap since 2026-03-02 20:00+00:00 until 2026-03-02 23:00+00:00: nothing recorded for 3.0 h"
    )


def test_a_camera_that_stopped_while_others_went_on_is_missing() -> None:
    rows = recorded("gate", range(72)) | recorded("hall", range(24))
    gate, hall = health(rows, scored(rows))
    assert (gate.state, hall.state, hall.reasons) == ("ok", "missing", ("missing",))
    assert hall.troubles[0].since == at(24)


def test_a_camera_that_is_a_few_hours_behind_is_not_missing() -> None:
    rows = recorded("gate", range(72)) | recorded("hall", range(60))
    assert [one.state for one in health(rows, scored(rows))] == ["ok", "ok"]


def test_a_camera_that_went_blind_is_degraded_since_then() -> None:
    rows = recorded("gate", range(6))
    names = list(rows)
    marks = {names[3]: (Condition("blind", 1800.0, HOUR),)}
    marks |= {name: (Condition("blind", 0.0, HOUR),) for name in names[4:]}
    found = only(health(rows, scored(rows, marks)))
    (trouble,) = found.troubles
    assert (found.state, found.reasons) == ("degraded", ("blind",))
    assert (trouble.since, trouble.until, trouble.first_video) == (at(3.5), None, names[3])


def test_a_camera_that_sees_again_is_ok_and_what_was_is_told() -> None:
    rows = recorded("gate", range(6))
    names = list(rows)
    marks = {
        names[2]: (Condition("frozen", 3000.0, HOUR),),
        names[3]: (Condition("frozen", 0.0, 600.0),),
    }
    found = only(health(rows, scored(rows, marks)))
    (trouble,) = found.troubles
    assert (found.state, found.reasons) == ("ok", ())
    assert (trouble.since, trouble.until) == (at(2 + 3000 / 3600), at(3 + 600 / 3600))


def test_a_moment_is_no_trouble_and_two_spells_are_two() -> None:
    rows = recorded("gate", range(4))
    names = list(rows)
    marks = {
        names[0]: (Condition("moved", 100.0, 110.0),),
        names[1]: (Condition("moved", 0.0, 300.0), Condition("moved", 2000.0, 2400.0)),
    }
    found = only(health(rows, scored(rows, marks)))
    assert [one.since for one in found.troubles] == [at(1 + 2000 / 3600), at(1)]


def test_short_files_are_judged_by_their_length() -> None:
    rows = recorded("gate", range(3), length=30.0)
    marks = {list(rows)[2]: (Condition("blind", 0.0, 30.0),)}
    assert only(health(rows, scored(rows, marks))).state == "degraded"


def test_losses_of_the_last_day_degrade_and_older_ones_are_over() -> None:
    good = recorded("gate", range(47))
    bad = recorded("gate", [47], status="quarantined", duration_seconds=None)
    found = only(health(good | bad, scored(good)))
    assert (found.state, found.reasons) == ("degraded", ("decode losses",))
    assert found.troubles[0].detail == "1 of 24 files unreadable"
    later = recorded("gate", range(48, 60))
    found = only(health(good | bad | later, scored(good | later)))
    assert (found.state, found.troubles[0].is_over) == ("ok", True)


@pytest.mark.parametrize(("lost", "state"), [(5, "ok"), (200, "degraded")])
def test_frames_that_were_lost_count_from_one_in_a_hundred(lost: int, state: str) -> None:
    rows = recorded("gate", [0], frames_lost=lost, status="partial")
    rows |= recorded("gate", range(1, 4))
    assert only(health(rows, scored(rows))).state == state


def test_night_and_day_are_told_with_their_hours() -> None:
    rows = recorded("gate", range(48))
    names = list(rows)
    nights = [hour % 24 >= 19 or hour % 24 < 7 for hour in range(48)]
    light = {
        name: (18 if dark else 110,) * 12 for name, dark in zip(names, nights, strict=True)
    }
    light[names[6]] = (18,) * 6 + (110,) * 6
    found = only(health(rows, scored(rows, light=light)))
    assert [(one.at, one.to_night) for one in found.switches] == [
        (at(6.5), False), (at(19), True), (at(31), False), (at(43), True),
    ]  # fmt: skip
    assert found.state == "ok"


def test_changes_of_light_by_day_are_no_night() -> None:
    rows = recorded("gate", range(24))
    light = {name: (90 + 3 * number,) * 12 for number, name in enumerate(rows)}
    assert only(health(rows, scored(rows, light=light))).switches == ()


def test_without_times_and_marks_nothing_is_claimed() -> None:
    rows = {
        uri: CatalogRow(**{**row.__dict__, "start_time_utc": None, "date": None})
        for uri, row in recorded("gate", range(3)).items()
    }
    old = [
        LedgerRow(**{**row.__dict__, "light": None, "date": "undated-00"})
        for row in scored(rows)
    ]
    found = only(health(rows, old))
    assert (found.state, found.troubles, found.switches, found.last) == ("ok", (), (), None)
