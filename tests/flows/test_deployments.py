"""Deployments, named like their flows, the same from `anomaly deploy` and from `prefect.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.bare_names import full_name
from flows.deployments import FLOWS, WORK_POOL, deployments
from flows.evaluate import evaluate
from flows.settings import Settings

PREFECT_YAML = Path(__file__).parents[2] / "prefect.yaml"


def from_yaml() -> dict[str, dict[str, Any]]:
    listed = yaml.safe_load(PREFECT_YAML.read_text())["deployments"]
    return {one["name"]: one for one in listed}


def test_every_flow_has_a_deployment_of_its_own_name():
    assert [one.full_name for one in deployments()] == [f"{f.name}/{f.name}" for f in FLOWS]


def test_prefects_own_file_lists_the_same_deployments():
    ours = {one.name: (one.entrypoint, one.tags) for one in deployments()}
    theirs = {name: (one["entrypoint"], one["tags"]) for name, one in from_yaml().items()}
    assert theirs == ours
    assert {one["work_pool"]["name"] for one in from_yaml().values()} == {WORK_POOL}


def test_only_the_night_is_scheduled_and_runs_one_at_a_time():
    (night,) = [one for one in deployments() if one.schedules]
    assert night.name == "nightly-scan"
    assert (night.concurrency_limit, night.concurrency_options.collision_strategy) == (
        1,
        "CANCEL_NEW",
    )
    listed = from_yaml()["nightly-scan"]
    assert listed["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    cron, zone = (
        Settings.model_fields["cron"].default,
        Settings.model_fields["time_zone"].default,
    )
    assert listed["schedules"] == [{"cron": cron, "timezone": zone}]


def test_the_settings_say_when_night_falls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANOMALY_CRON", "30 3 * * *")
    monkeypatch.setenv("ANOMALY_TIME_ZONE", "Europe/Rome")
    (night,) = [one for one in deployments() if one.schedules]
    assert (night.schedules[0].schedule.cron, night.schedules[0].schedule.timezone) == (
        "30 3 * * *",
        "Europe/Rome",
    )


def test_a_new_checkpoint_is_evaluated_by_itself_in_both_ways_to_deploy():
    (judge,) = [one for one in deployments() if one.triggers]
    (trigger,) = judge.triggers
    (listed,) = from_yaml()["evaluate"]["triggers"]
    assert judge.name == "evaluate"
    assert (list(trigger.expect), trigger.name) == (listed["expect"], listed["name"])
    assert trigger.match.model_dump() == listed["match"]
    assert trigger.parameters == listed["parameters"]
    assert set(trigger.parameters) <= set(evaluate.parameters.properties)


def test_one_word_means_flow_and_deployment():
    assert full_name("nightly-scan") == "nightly-scan/nightly-scan"
    assert full_name("a/b") == "a/b"
