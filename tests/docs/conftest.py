"""A folder in which the demo has been run: where the pages' commands are at home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run a command as a reader would, in a folder of its own, and return what came of it."""
    folder = tmp_path_factory.mktemp("reader")
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
        "COLUMNS": "120",
    }

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def demo_output(shell: Shell) -> str:
    """What the demo printed; it leaves its root where `shell` works."""
    done = shell("anomaly demo --no-open")
    assert done.returncode == 0, done.stderr
    return done.stdout
