"""Three kills of each stage, at seeded moments; `make soak` does twenty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.kills import STAGES, troubles_after_a_kill

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_to_the_same_end(
    stage: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    fixture = request.getfixturevalue
    assert troubles_after_a_kill(STAGES[stage], fixture, tmp_path, seed=seed) == []
