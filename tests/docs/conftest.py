"""A folder in which the demo has been run: where the pages' commands are at home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Demo:
    """The demo has been run once, in `folder`; what it left is kept aside."""

    folder: Path
    kept: Path
    printed: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run the demo."""
    folder = tmp_path_factory.mktemp("reader")
    kept = tmp_path_factory.mktemp("kept") / "anomaly-root"
    done = run("anomaly demo --no-open", folder)
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "anomaly-root", kept)
    return Demo(folder, kept, done.stdout)


@pytest.fixture
def shell(demo: Demo) -> Shell:
    """Run commands as a reader would who has just run the demo."""
    for path in demo.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(demo.kept, demo.folder / "anomaly-root")
    return lambda command: run(command, demo.folder)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with our programs at hand; a warning is an error."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
        "COLUMNS": "120",
        "ANOMALY_WORKERS": "1",  # two halves of the suite share the cores
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
