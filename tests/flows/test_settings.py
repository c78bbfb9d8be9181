"""Settings come from the environment alone, and a wrong one is named."""

from __future__ import annotations

import pytest

from anomaly.errors import SpecError
from flows.settings import Settings, load_settings


def test_defaults_need_no_environment():
    settings = load_settings()
    assert (settings.root, settings.archive, settings.time_zone) == (
        "./anomaly-root",
        None,
        "UTC",
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"ANOMALY_ARCHIVE": '{"root": "/videos", "time_zone": "Europe/Rome"}'},
        {"ANOMALY_ARCHIVE__ROOT": "/videos", "ANOMALY_ARCHIVE__TIME_ZONE": "Europe/Rome"},
    ],
)
def test_an_archive_is_set_as_a_whole_or_field_by_field(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    archive = load_settings().archive
    assert archive is not None
    assert (archive.root, archive.time_zone) == ("/videos", "Europe/Rome")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ANOMALY_WORKRES", "2", "Did you mean ANOMALY_WORKERS?"),
        ("ANOMALY_WORKERS", "many", "found 'many'"),
        ("ANOMALY_WORKERS", "-1", "ANOMALY_WORKERS: Input should be greater"),
        ("ANOMALY_TIME_ZONE", "Mars/Olympus", "no time zone named 'Mars/Olympus'"),
        (
            "ANOMALY_ARCHIVE__RUTE",
            "/videos",
            "ANOMALY_ARCHIVE__ROOT: Field required; found {'rute'",
        ),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, value)
    with pytest.raises(SpecError) as caught:
        load_settings()
    assert message in str(caught.value)


def test_every_setting_is_documented():
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []
