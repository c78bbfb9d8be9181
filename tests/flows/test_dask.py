"""A real Dask scheduler and two workers, each a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anomaly.video import ArchiveSpec
from flows.extract_features import extract_features
from tasks.policy import task_runner

ADDRESS = re.compile(r"Scheduler at:\s+(tcp://\S+)")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the scheduler of a cluster of two single-threaded workers."""
    folder = tmp_path_factory.mktemp("dask")
    log = folder / "scheduler.log"
    started: list[subprocess.Popen[bytes]] = []

    def start(output: Path, *arguments: str) -> None:
        with output.open("wb") as file:
            command = [sys.executable, "-m", "dask", *arguments]
            started.append(
                subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder)
            )

    try:
        start(log, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = waited_for(log)
        for number in range(2):
            output = folder / f"worker-{number}.log"
            start(output, "worker", address, "--nthreads", "1", "--no-dashboard")
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def waited_for(log: Path) -> str:
    for _ in range(600):
        found = ADDRESS.search(log.read_text())
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise RuntimeError(f"the Dask scheduler did not start: {log.read_text()}")


@pytest.mark.slow
def test_features_from_a_dask_cluster_are_those_of_the_local_pool(
    scheduler: str,
    campus: ArchiveSpec,
    reference: Path,
    stored: Callable[[Path, str], dict[str, bytes]],
    tmp_path: Path,
    prefect_server: None,
):
    on_dask = extract_features.with_options(task_runner=task_runner(scheduler=scheduler))
    summary = on_dask(archive=campus, root=str(tmp_path))
    assert (summary["ok"], summary["quarantined"]) == (8, 1)
    found = stored(tmp_path, "features")
    assert found == stored(reference, "features")
    assert found
