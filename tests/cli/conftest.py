"""The command line in this process: fast, for everything that ends before work begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.cli import run
from tests.end_to_end.story import Answer

Cli = Callable[..., Answer]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that runs the command line and returns status, stdout and stderr."""

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        return Answer(status, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three small videos of two cameras."""
    folder = tmp_path_factory.mktemp("videos") / "archive"
    for seed, uri in enumerate(("gate/1.mp4", "gate/2.mp4", "hall/1.mp4")):
        make_video(folder / uri, frames=12, height=48, width=64, seed=seed)
    return folder


@pytest.fixture(scope="session")
def trained(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a checkpoint `mine`, fitted on camera `gate`."""
    root = tmp_path_factory.mktemp("trained") / "root"
    arguments = ["train", archive, "--root", root, "--camera", "gate", "--into", "mine"]
    options = ["--detector", "gaussian", "--workers", "1", "--json"]
    assert run([*map(str, arguments), *options]) == 0
    return root
