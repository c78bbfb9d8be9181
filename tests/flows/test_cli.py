"""`anomaly serve` and `anomaly deploy` say in a line what is missing."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from prefect.settings import PREFECT_API_URL, temporary_settings

from anomaly.cli import run
from anomaly.errors import SpecError, TransientError
from flows.cli import deploy, serve
from flows.deployments import FLOWS


@pytest.mark.parametrize("verb", [serve, deploy])
def test_without_a_server_named_nothing_is_deployed_anywhere(verb):
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        answer = CliRunner().invoke(verb)
    assert isinstance(answer.exception, SpecError)
    assert "prefect server start" in str(answer.exception)


def test_a_server_that_does_not_answer_is_named():
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        answer = CliRunner().invoke(deploy)
    assert isinstance(answer.exception, TransientError)
    assert "http://127.0.0.1:9/api" in str(answer.exception)


def test_the_command_line_lists_both_verbs(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    assert {"serve", "deploy"} <= set(capsys.readouterr().out.split())


def test_deploying_again_changes_nothing(prefect_server: None):
    first, second = CliRunner().invoke(deploy), CliRunner().invoke(deploy)
    assert (first.exit_code, second.output) == (0, first.output)
    assert [line for line in first.output.splitlines() if "deployment run" in line] == [
        f"prefect deployment run {flow.name}/{flow.name}" for flow in FLOWS
    ]
